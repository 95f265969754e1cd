// A real A2A server on the published Go SDK, the library of the kagent 0.10 controller.
//
// As there, one URL speaks both versions: the header A2A-Version decides.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
)

const cardPath = "/.well-known/agent-card.json"

type options struct {
	host, token, log, only string
	port                   int
	prefixes               []string
}

func arguments() options {
	var given options
	flag.StringVar(&given.host, "host", "127.0.0.1", "address to listen at")
	flag.IntVar(&given.port, "port", 0, "0: any free port, printed when ready")
	flag.StringVar(&given.token, "token", "", "require this bearer token")
	flag.StringVar(&given.log, "log", "", "append every execution to this file, one JSON object per line")
	flag.StringVar(&given.only, "only", "", "speak one version whatever the header says: 0.3 or 1.0")
	flag.Func("prefix", "serve below this path too; repeatable", func(prefix string) error {
		given.prefixes = append(given.prefixes, strings.TrimSuffix(prefix, "/"))
		return nil
	})
	flag.Parse()
	if !slices.Contains([]string{"", "0.3", "1.0"}, given.only) {
		log.Fatalf("--only %s: 0.3 or 1.0", given.only)
	}
	return given
}

// The versions that are served, in the order of kagent's card.
func (given options) versions() []a2a.ProtocolVersion {
	if given.only != "" {
		return []a2a.ProtocolVersion{a2a.ProtocolVersion(given.only)}
	}
	return []a2a.ProtocolVersion{a2av0.Version, a2a.Version}
}

// The SDK leaves it to the application to tell the versions apart. This is how kagent 0.10 does it.
func byVersion(old, current http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		switch version := req.Header.Get("A2A-Version"); version {
		case "", string(a2av0.Version):
			old.ServeHTTP(rw, req)
		case string(a2a.Version):
			current.ServeHTTP(rw, req)
		default:
			http.Error(rw, fmt.Sprintf("unsupported A2A-Version %q: use 0.3 or 1.0", version), http.StatusBadRequest)
		}
	})
}

func card(given options, url string) http.Handler {
	card := &a2a.AgentCard{
		Name:               "echo_agent",
		Description:        "Echo agent on the Go SDK",
		Version:            "1.0.0",
		DefaultInputModes:  []string{"text/plain"},
		DefaultOutputModes: []string{"text/plain"},
		Capabilities:       a2a.AgentCapabilities{Streaming: true},
		Skills:             []a2a.AgentSkill{{ID: "echo", Name: "Echo", Description: "echoes", Tags: []string{"test"}}},
	}
	for _, version := range given.versions() {
		card.SupportedInterfaces = append(card.SupportedInterfaces, &a2a.AgentInterface{
			URL: url, ProtocolBinding: a2a.TransportProtocolJSONRPC, ProtocolVersion: version,
		})
	}
	if given.only == string(a2a.Version) {
		return a2asrv.NewStaticAgentCardHandler(card)
	}
	return a2asrv.NewAgentCardHandler(a2av0.NewStaticAgentCardProducer(card))
}

func application(given options, url string, runs *runLog) http.Handler {
	handler := a2asrv.NewHandler(&executor{runs}, a2asrv.WithCallInterceptors(users{}))
	old, current := a2av0.NewJSONRPCHandler(handler), a2asrv.NewJSONRPCHandler(handler)
	rpc := byVersion(old, current)
	switch given.only {
	case string(a2av0.Version):
		rpc = old
	case string(a2a.Version):
		rpc = current
	}

	mux := http.NewServeMux()
	card := card(given, url)
	for _, prefix := range append([]string{""}, given.prefixes...) {
		mux.Handle(prefix+cardPath, card)
		mux.Handle(prefix+"/", rpc)
		if prefix != "" {
			mux.Handle(prefix, rpc)
		}
	}
	return mux
}

func main() {
	given := arguments()
	runs, err := openRunLog(given.log)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(given.host, fmt.Sprint(given.port)))
	if err != nil {
		log.Fatal(err)
	}
	url := fmt.Sprintf("http://%s/", listener.Addr())
	control := &control{app: application(given, url, runs), runs: runs, token: given.token, requests: []request{}}
	// Connections wait in the listener until Serve takes them.
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, control))
}

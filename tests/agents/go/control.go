package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

var recordedHeaders = []string{
	"a2a-version", "a2a-extensions", "authorization", "traceparent", "tracestate",
	"x-user-id", "content-type", "accept", "user-agent", "idempotency-key",
}

type request struct {
	T         float64           `json:"t"`
	Path      string            `json:"path"`
	RPC       any               `json:"rpc"`
	ID        any               `json:"id"`
	MessageID any               `json:"messageId"`
	Headers   map[string]string `json:"headers"`
}

// What is read of a JSON-RPC call; an unreadable body counts as an empty one.
type call struct {
	ID     any `json:"id"`
	Method any `json:"method"`
	Params struct {
		Message struct {
			MessageID any `json:"messageId"`
		} `json:"message"`
	} `json:"params"`
}

type fault struct {
	Mode       string   `json:"mode,omitempty"`
	Count      int      `json:"count"`
	OnlyRPC    []string `json:"onlyRpc,omitempty"`
	Status     int      `json:"status,omitempty"`
	RetryAfter any      `json:"retryAfter,omitempty"`
	Body       string   `json:"body,omitempty"`
	Code       int      `json:"code,omitempty"`
	Message    string   `json:"message,omitempty"`
	Data       any      `json:"data,omitempty"`
	Seconds    float64  `json:"seconds,omitempty"`
}

// The test control plane in front of the real SDK application: the README lists its endpoints and faults.
// Everything on the A2A wire is the SDK's, except the faults that a test asks for by name.
type control struct {
	app   http.Handler
	runs  *runLog
	token string

	mutex    sync.Mutex
	requests []request
	fault    fault
}

func (control *control) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	switch {
	case strings.HasPrefix(req.URL.Path, "/_test/"):
		control.test(rw, req)
	case req.URL.Path == "/health":
		answer(rw, http.StatusOK, "text/plain", "OK")
	case req.Method != http.MethodPost:
		control.app.ServeHTTP(rw, req)
	default:
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		var call call
		if json.Unmarshal(body, &call) != nil {
			call.ID, call.Method = nil, nil
		}
		control.note(req, call)
		if control.token != "" && req.Header.Get("Authorization") != "Bearer "+control.token {
			rw.Header().Set("WWW-Authenticate", `Bearer realm="a2a"`)
			answer(rw, http.StatusUnauthorized, "text/plain; charset=utf-8", "Unauthorized\n")
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		control.faulty(control.take(call), call, rw, req)
	}
}

func (control *control) test(rw http.ResponseWriter, req *http.Request) {
	control.mutex.Lock()
	defer control.mutex.Unlock()
	control.runs.mutex.Lock()
	defer control.runs.mutex.Unlock()
	switch req.URL.Path {
	case "/_test/executions":
		if req.Method == http.MethodDelete {
			control.runs.executions = []execution{}
			control.requests = []request{}
		}
		answerJSON(rw, control.runs.executions)
	case "/_test/requests":
		answerJSON(rw, control.requests)
	case "/_test/faults":
		switch req.Method {
		case http.MethodPost:
			armed := fault{Count: 1}
			if err := json.NewDecoder(req.Body).Decode(&armed); err != nil {
				answer(rw, http.StatusBadRequest, "text/plain", err.Error())
				return
			}
			control.fault = armed
		case http.MethodDelete:
			control.fault = fault{}
		}
		answerJSON(rw, control.fault)
	default:
		answer(rw, http.StatusNotFound, "text/plain", "no such control endpoint")
	}
}

func (control *control) note(req *http.Request, call call) {
	headers := map[string]string{}
	for _, name := range recordedHeaders {
		if value := req.Header.Get(name); value != "" {
			headers[name] = value
		}
	}
	control.mutex.Lock()
	defer control.mutex.Unlock()
	control.requests = append(control.requests, request{
		T: unixSeconds(), Path: req.URL.Path, RPC: call.Method, ID: call.ID,
		MessageID: call.Params.Message.MessageID, Headers: headers,
	})
}

// The armed fault, if it applies to this call; uses up one of its count.
func (control *control) take(call call) fault {
	control.mutex.Lock()
	defer control.mutex.Unlock()
	method, _ := call.Method.(string)
	only := control.fault.OnlyRPC
	if control.fault.Count <= 0 || len(only) > 0 && !slices.Contains(only, method) {
		return fault{}
	}
	control.fault.Count--
	return control.fault
}

func (control *control) faulty(fault fault, call call, rw http.ResponseWriter, req *http.Request) {
	switch fault.Mode {
	case "status":
		if fault.RetryAfter != nil {
			rw.Header().Set("Retry-After", fmt.Sprint(fault.RetryAfter))
		}
		answer(rw, either(fault.Status, http.StatusServiceUnavailable), "text/plain", either(fault.Body, "busy\n"))
	case "jsonrpc":
		problem := map[string]any{"code": either(fault.Code, -32603), "message": either(fault.Message, "boom")}
		if fault.Data != nil {
			problem["data"] = fault.Data
		}
		answerJSON(rw, map[string]any{"jsonrpc": "2.0", "id": call.ID, "error": problem})
	case "garbage":
		answer(rw, http.StatusOK, "text/html", "<html>gateway</html>")
	case "empty":
		answer(rw, http.StatusOK, "application/json", "")
	case "drop_before":
		reset(rw, "")
	case "drop_after":
		control.app.ServeHTTP(httptest.NewRecorder(), req)
		reset(rw, "")
	case "truncate":
		control.app.ServeHTTP(httptest.NewRecorder(), req)
		reset(rw, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"+
			`{"jsonrpc":"2.0","id":"1","resu`)
	case "delay":
		time.Sleep(time.Duration(either(fault.Seconds, 5) * float64(time.Second)))
		control.app.ServeHTTP(rw, req)
	default:
		control.app.ServeHTTP(rw, req)
	}
}

// Ends the TCP connection with a reset, after some bytes of our own.
func reset(rw http.ResponseWriter, bytes string) {
	connection, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	if bytes != "" {
		_, _ = io.WriteString(connection, bytes)
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

func either[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

func answerJSON(rw http.ResponseWriter, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		answer(rw, http.StatusInternalServerError, "text/plain", err.Error())
		return
	}
	answer(rw, http.StatusOK, "application/json", string(body))
}

func answer(rw http.ResponseWriter, status int, contentType, body string) {
	rw.Header().Set("Content-Type", contentType)
	rw.Header().Set("Content-Length", fmt.Sprint(len(body)))
	rw.WriteHeader(status)
	_, _ = io.WriteString(rw, body)
}

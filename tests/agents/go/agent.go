package main

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
)

// What the agent executed. With a file, every execution is on disk before the agent goes on.
type runLog struct {
	mutex      sync.Mutex
	executions []execution
	file       *os.File
}

type execution struct {
	T         float64 `json:"t"`
	MessageID string  `json:"messageId"`
	TaskID    string  `json:"taskId"`
	ContextID string  `json:"contextId"`
	Text      string  `json:"text"`
	Continued bool    `json:"continued"`
}

func openRunLog(path string) (*runLog, error) {
	runs := &runLog{executions: []execution{}}
	if path == "" {
		return runs, nil
	}
	var err error
	runs.file, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	return runs, err
}

func (runs *runLog) record(run execution) error {
	line, err := json.Marshal(run)
	if err != nil {
		return err
	}
	runs.mutex.Lock()
	defer runs.mutex.Unlock()
	runs.executions = append(runs.executions, run)
	if runs.file == nil {
		return nil
	}
	_, err = runs.file.Write(append(line, '\n'))
	return err
}

func unixSeconds() float64 { return float64(time.Now().UnixMicro()) / 1e6 }

// The caller is who X-User-Id says, as in kagent. The SDK lists nobody's tasks but the caller's own.
type users struct {
	a2asrv.PassthroughCallInterceptor
}

func (users) Before(ctx context.Context, call *a2asrv.CallContext, _ *a2asrv.Request) (context.Context, any, error) {
	if names, found := call.ServiceParams().Get("X-User-Id"); found && len(names) > 0 {
		call.User = a2asrv.NewAuthenticatedUser(names[0], nil)
	}
	return ctx, nil, nil
}

type executor struct{ runs *runLog }

// Execute does what the message says: see the table in the README.
func (agent *executor) Execute(ctx context.Context, about *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		text := textOf(about.Message)
		continued := about.StoredTask != nil
		err := agent.runs.record(execution{
			T: unixSeconds(), MessageID: about.Message.ID, TaskID: string(about.TaskID),
			ContextID: about.ContextID, Text: text, Continued: continued,
		})
		if err != nil {
			yield(nil, err)
			return
		}
		if continued && about.StoredTask.Status.State == a2a.TaskStateInputRequired {
			text = "echo continued " + text
		}
		behave(ctx, text, &emit{about: about, yield: yield, open: continued})
	}
}

// Cancel ends the task; Execute's context is cancelled by the SDK.
func (agent *executor) Cancel(_ context.Context, about *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(about, a2a.TaskStateCanceled, nil), nil)
	}
}

func textOf(message *a2a.Message) string {
	var texts []string
	for _, part := range message.Parts {
		if text := part.Text(); text != "" {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "\n")
}

// Reports progress the way the SDK wants it; the task is created by the first report.
type emit struct {
	about *a2asrv.ExecutorContext
	yield func(a2a.Event, error) bool
	open  bool
	over  bool
}

func (emit *emit) event(event a2a.Event) {
	if !emit.over {
		emit.over = !emit.yield(event, nil)
	}
}

func (emit *emit) status(state a2a.TaskState, text string) {
	if !emit.open {
		emit.open = true
		emit.event(a2a.NewSubmittedTask(emit.about, emit.about.Message))
	}
	var message *a2a.Message
	if text != "" {
		message = a2a.NewMessageForTask(a2a.MessageRoleAgent, emit.about, a2a.NewTextPart(text))
	}
	emit.event(a2a.NewStatusUpdateEvent(emit.about, state, message))
}

func (emit *emit) working() { emit.status(a2a.TaskStateWorking, "") }

func (emit *emit) artifact(text string) {
	event := a2a.NewArtifactEvent(emit.about, a2a.NewTextPart(text))
	event.Artifact.Name = "result"
	emit.event(event)
}

func (emit *emit) completed() { emit.status(a2a.TaskStateCompleted, "") }

func (emit *emit) message(text string) {
	message := a2a.NewMessage(a2a.MessageRoleAgent, a2a.NewTextPart(text))
	message.ContextID = emit.about.ContextID
	emit.event(message)
}

func (emit *emit) raise(text string) {
	if !emit.over {
		emit.over = true
		emit.yield(nil, errors.New(text))
	}
}

// Waits; false when the task was cancelled meanwhile.
func wait(ctx context.Context, seconds float64) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Duration(seconds * float64(time.Second))):
		return true
	}
}

var order = regexp.MustCompile(`\[agent: ([^\]\n]*)\]`)

func behave(ctx context.Context, text string, emit *emit) {
	command := text
	if found := order.FindStringSubmatch(text); found != nil {
		command = found[1]
	}
	word, rest, _ := strings.Cut(command, " ")
	switch strings.TrimSpace(strings.ToLower(word)) {
	case "slow":
		number, rest, _ := strings.Cut(rest, " ")
		seconds, err := strconv.ParseFloat(number, 64)
		if err != nil {
			seconds = 5
		}
		emit.working()
		if wait(ctx, seconds) {
			emit.artifact("done after " + number + "s: " + rest)
			emit.completed()
		}
	case "fail":
		emit.working()
		emit.status(a2a.TaskStateFailed, "simulated failure: "+rest)
	case "reject":
		emit.status(a2a.TaskStateRejected, "simulated rejection: "+rest)
	case "input":
		emit.working()
		emit.status(a2a.TaskStateInputRequired, "Which cluster?")
	case "auth":
		emit.working()
		emit.status(a2a.TaskStateAuthRequired, "approve in the agent's own console")
	case "message":
		emit.message("echo: " + rest)
	case "raise":
		emit.raise("the agent raised at once: " + rest)
	case "raise-late":
		emit.working()
		if wait(ctx, 0.3) {
			emit.raise("the agent raised while working: " + rest)
		}
	case "hang":
		emit.working()
		if wait(ctx, 3600) {
			emit.completed()
		}
	case "empty":
		emit.working()
		emit.completed()
	case "big":
		size, err := strconv.Atoi(strings.TrimSpace(rest))
		if err != nil {
			size = 1_000_000
		}
		emit.working()
		emit.artifact(strings.Repeat("x", size))
		emit.completed()
	default:
		emit.working()
		emit.artifact("echo: " + text)
		emit.completed()
	}
}

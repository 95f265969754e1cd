// KEDA's own scaler clients, driven by lines of JSON: one order on stdin, one answer on stdout.
//
// Orders: {"do":"make","name":N,"type":T,"metadata":{...}} keeps a trigger; {"do":"ask","name":N} reads it once as
// KEDA's loop does, with its second attempt; {"do":"push","name":N,"millis":M} listens to a push trigger for so long.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	v2 "k8s.io/api/autoscaling/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// No client of KEDA sets a deadline. One that never answers would hold the table up for ever.
const patience = 60 * time.Second

type order struct {
	Do       string            `json:"do"`
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Metadata map[string]string `json:"metadata"`
	Millis   int               `json:"millis"`
}

// An answer has the fields that its order asks for.
type answer struct {
	Error  string    `json:"error,omitempty"`
	Ask    *reading  `json:"ask,omitempty"`
	Pushed []message `json:"pushed,omitempty"`
}

// What KEDA knows after a poll: a value, or the errors of both attempts.
type reading struct {
	Metric   string   `json:"metric"`
	Target   float64  `json:"target"`
	Value    float64  `json:"value"`
	Values   int      `json:"values"`
	Active   bool     `json:"active"`
	Attempts []string `json:"attempts"`
	// KEDA could not build the scaler again after the first attempt: its fallback does not count this.
	Unbuilt bool  `json:"unbuilt"`
	Millis  int64 `json:"millis"`
}

type message struct {
	Millis int64 `json:"millis"`
	Active bool  `json:"active"`
}

type trigger struct {
	config scalersconfig.ScalerConfig
	scaler scalers.Scaler
}

func main() {
	ctrl.SetLogger(logr.Discard())
	triggers := map[string]*trigger{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var given order
		result := answer{}
		if err := json.Unmarshal(lines.Bytes(), &given); err != nil {
			result.Error = err.Error()
		} else {
			result = obey(given, triggers)
		}
		if out.Encode(result) != nil {
			return
		}
	}
}

func obey(given order, triggers map[string]*trigger) answer {
	switch given.Do {
	case "make":
		triggers[given.Name] = &trigger{config: config(given)}
		return answer{}
	case "ask":
		known, found := triggers[given.Name]
		if !found {
			return answer{Error: "no such trigger"}
		}
		return answer{Ask: known.ask()}
	case "push":
		known, found := triggers[given.Name]
		if !found {
			return answer{Error: "no such trigger"}
		}
		return known.listen(time.Duration(given.Millis) * time.Millisecond)
	}
	return answer{Error: fmt.Sprintf("no such order: %q", given.Do)}
}

func config(given order) scalersconfig.ScalerConfig {
	return scalersconfig.ScalerConfig{
		ScalableObjectName:      "workers",
		ScalableObjectNamespace: "test",
		ScalableObjectType:      "ScaledObject",
		TriggerName:             given.Name,
		TriggerType:             given.Type,
		TriggerMetadata:         given.Metadata,
		ResolvedEnv:             map[string]string{},
		AuthParams:              map[string]string{},
		MetricType:              v2.AverageValueMetricType,
		GlobalHTTPTimeout:       3 * time.Second,
	}
}

func (t *trigger) build(ctx context.Context) (err error) {
	switch t.config.TriggerType {
	case "external":
		t.scaler, err = scalers.NewExternalScaler(&t.config)
	case "external-push":
		t.scaler, err = scalers.NewExternalPushScaler(&t.config)
	case "redis-sentinel-streams":
		t.scaler, err = scalers.NewRedisStreamsScaler(ctx, false, true, &t.config)
	default:
		err = fmt.Errorf("no such type: %q", t.config.TriggerType)
	}
	if err != nil {
		t.scaler = nil
	}
	return err
}

func (t *trigger) drop(ctx context.Context) {
	if t.scaler != nil {
		_ = t.scaler.Close(ctx)
		t.scaler = nil
	}
}

// One poll. KEDA builds a scaler when it has none, and builds it again after an error for a second attempt.
func (t *trigger) ask() *reading {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	begin := time.Now()
	seen := &reading{Attempts: []string{}}
	for attempt := 0; attempt < 2; attempt++ {
		if t.scaler == nil {
			if err := t.build(ctx); err != nil {
				seen.Attempts = append(seen.Attempts, err.Error())
				seen.Unbuilt = true
				break
			}
		}
		err := t.read(ctx, seen)
		if err == nil {
			break
		}
		seen.Attempts = append(seen.Attempts, err.Error())
		t.drop(ctx)
	}
	seen.Millis = time.Since(begin).Milliseconds()
	return seen
}

func (t *trigger) read(ctx context.Context, seen *reading) error {
	specs := t.scaler.GetMetricSpecForScaling(ctx)
	if len(specs) == 0 || specs[0].External == nil {
		return fmt.Errorf("no metric spec")
	}
	spec := specs[0].External
	seen.Metric = spec.Metric.Name
	if spec.Target.AverageValue != nil {
		seen.Target = spec.Target.AverageValue.AsApproximateFloat64()
	}
	values, active, err := t.scaler.GetMetricsAndActivity(ctx, spec.Metric.Name)
	if err != nil {
		return err
	}
	seen.Value, seen.Values, seen.Active = 0, len(values), active
	for _, value := range values {
		seen.Value += value.Value.AsApproximateFloat64()
	}
	return nil
}

// Everything that a push trigger is told in this time.
func (t *trigger) listen(limit time.Duration) answer {
	if t.scaler == nil {
		if err := t.build(context.Background()); err != nil {
			return answer{Error: err.Error()}
		}
	}
	push, is := t.scaler.(scalers.PushScaler)
	if !is {
		return answer{Error: "not a push trigger"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	active := make(chan bool)
	go push.Run(ctx, active)
	begin, told := time.Now(), []message{}
	for word := range active {
		told = append(told, message{Millis: time.Since(begin).Milliseconds(), Active: word})
	}
	return answer{Pushed: told}
}

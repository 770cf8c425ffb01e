package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Behaviour says how the server answers. The zero value answers everything at once and well.
type Behaviour struct {
	// ErrorRate is the share of requests (0 to 1) answered with Status, evenly spread: 0.01 is every hundredth.
	ErrorRate float64 `json:"error_rate"`
	// Status is the code of the failing answers; 500 if absent.
	Status int `json:"status"`
	// LatencyMS delays the share LatencyRate of the requests (all, if absent) by that many milliseconds.
	LatencyMS   float64  `json:"latency_ms"`
	LatencyRate *float64 `json:"latency_rate"`
	// Hang takes requests and never answers them.
	Hang bool `json:"hang"`
	// ExitOnRequest ends the process with code 1 at the next request.
	ExitOnRequest bool `json:"exit_on_request"`
	// ExitOnStart ends the process with code 0 before it listens.
	ExitOnStart bool `json:"exit_on_start"`
	// NotReady makes /ready answer 503.
	NotReady bool `json:"not_ready"`
	// Metrics makes /metrics useless: `hang` never answers, `error` answers 500, `empty` counts nothing, `nan` counts
	// what is no number.
	Metrics string `json:"metrics"`
}

func (b Behaviour) validate() error {
	if b.ErrorRate < 0 || b.ErrorRate > 1 {
		return fmt.Errorf("error_rate: %v is not in 0 to 1", b.ErrorRate)
	}
	if b.LatencyRate != nil && (*b.LatencyRate < 0 || *b.LatencyRate > 1) {
		return fmt.Errorf("latency_rate: %v is not in 0 to 1", *b.LatencyRate)
	}
	if b.Status != 0 && (b.Status < 200 || b.Status > 599) {
		return fmt.Errorf("status: %d is not in 200 to 599", b.Status)
	}
	switch b.Metrics {
	case "", "hang", "error", "empty", "nan":
	default:
		return fmt.Errorf("metrics: %q is none of hang, error, empty, nan", b.Metrics)
	}
	return nil
}

var judged atomic.Uint64

// fails tells whether the present request is one of the share that fails. Chance would have a run in some hundreds
// without any, or with so many that a test of them rightly objects.
func (b Behaviour) fails() bool {
	number := float64(judged.Add(1))
	return math.Floor(number*b.ErrorRate) > math.Floor((number-1)*b.ErrorRate)
}

func (b Behaviour) delay() time.Duration {
	if b.LatencyRate != nil && rand.Float64() >= *b.LatencyRate {
		return 0
	}
	return time.Duration(b.LatencyMS * float64(time.Millisecond))
}

func (b Behaviour) status() int {
	if b.Status == 0 {
		return http.StatusInternalServerError
	}
	return b.Status
}

// current holds the behaviour in force; handlers read it once per request.
var current atomic.Pointer[Behaviour]

// fromEnvironment takes BEHAVE_V<version> for the version in TIDEGATE_MODEL_VERSION, else BEHAVE.
func fromEnvironment() (Behaviour, error) {
	text := os.Getenv("BEHAVE")
	if own, set := os.LookupEnv("BEHAVE_V" + os.Getenv("TIDEGATE_MODEL_VERSION")); set {
		text = own
	}
	var behaviour Behaviour
	if text == "" {
		return behaviour, nil
	}
	if err := json.Unmarshal([]byte(text), &behaviour); err != nil {
		return behaviour, err
	}
	return behaviour, behaviour.validate()
}

// behave replaces the whole behaviour by the body.
func behave(writer http.ResponseWriter, request *http.Request) {
	var wanted Behaviour
	decoder := json.NewDecoder(request.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&wanted)
	if err == nil {
		err = wanted.validate()
	}
	if err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	current.Store(&wanted)
	writer.WriteHeader(http.StatusNoContent)
}

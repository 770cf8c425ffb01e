// Command testserver stands in for a model server in tests: small, quick to start,
// and as bad as it is told to be.
//
//	GET  /ready, /healthz   200, or 503 from /ready while not_ready or draining
//	POST /invocations       a prediction, or what the behaviour says
//	POST /behave            replaces the behaviour (see Behaviour)
//	GET  /metrics           requests_total{code}, request_duration_seconds
//
// PORT (8080) is where it listens, TIDEGATE_REVISION what it says in the header
// x-tidegate-revision, BEHAVE and BEHAVE_V<version> how it behaves at first.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	revisionHeader = "x-tidegate-revision"
	drainTime      = 20 * time.Second
	// A gateway keeps idle connections; a server that closes them first makes it answer 503 now and then.
	idleTime = time.Hour
)

var draining atomic.Bool

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	behaviour, err := fromEnvironment()
	if err != nil {
		log.Fatalf("BEHAVE: %v", err)
	}
	if behaviour.ExitOnStart {
		log.Print("told to exit")
		return
	}
	current.Store(&behaviour)
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	server := &http.Server{Handler: routes(), IdleTimeout: idleTime, ReadHeaderTimeout: idleTime}
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan struct{})
	go drain(server, ended)
	log.Printf("serving on %s", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-ended
}

// drain answers what was begun, and no more, once the process is told to end.
func drain(server *http.Server, ended chan<- struct{}) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
	draining.Store(true)
	deadline, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		log.Printf("not drained: %v", err)
	}
	close(ended)
}

func routes() http.Handler {
	counted := newMetrics()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /invocations", func(writer http.ResponseWriter, request *http.Request) {
		invoke(writer, request, counted)
	})
	mux.HandleFunc("POST /behave", behave)
	mux.Handle("GET /metrics", counted)
	mux.HandleFunc("GET /healthz", func(writer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(writer, "ok")
	})
	mux.HandleFunc("GET /ready", func(writer http.ResponseWriter, _ *http.Request) {
		if draining.Load() || current.Load().NotReady {
			http.Error(writer, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(writer, "ok")
	})
	return mux
}

func invoke(writer http.ResponseWriter, request *http.Request, counted *metrics) {
	began := time.Now()
	behaviour := *current.Load()
	if behaviour.ExitOnRequest {
		log.Print("told to exit on a request")
		os.Exit(1)
	}
	if _, err := io.Copy(io.Discard, request.Body); err != nil {
		return
	}
	if behaviour.Hang {
		// Until the client gives up: then there is nobody to answer, and nothing to count.
		<-request.Context().Done()
		return
	}
	select {
	case <-time.After(behaviour.delay()):
	case <-request.Context().Done():
		return
	}
	code := http.StatusOK
	if behaviour.fails() {
		code = behaviour.status()
	}
	writer.Header().Set(revisionHeader, os.Getenv("TIDEGATE_REVISION"))
	writer.Header().Set("Content-Type", "application/json")
	counted.observe(code, time.Since(began).Seconds())
	writer.WriteHeader(code)
	fmt.Fprintf(writer, "{\"predictions\": [0], \"status\": %d}\n", code)
}

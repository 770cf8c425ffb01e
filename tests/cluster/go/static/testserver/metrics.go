package main

import (
	"fmt"
	"net/http"
	"sort"
	"sync"
)

// edges are the upper bounds of the histogram's buckets, in seconds.
var edges = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// metrics counts answers and their durations, in Prometheus' text form.
type metrics struct {
	mutex   sync.Mutex
	codes   map[int]uint64
	buckets []uint64
	sum     float64
	count   uint64
}

func newMetrics() *metrics {
	return &metrics{codes: map[int]uint64{}, buckets: make([]uint64, len(edges))}
}

func (m *metrics) observe(code int, seconds float64) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.codes[code]++
	m.sum += seconds
	m.count++
	for i, edge := range edges {
		if seconds <= edge {
			m.buckets[i]++
		}
	}
}

func (m *metrics) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	switch current.Load().Metrics {
	case "hang":
		<-request.Context().Done()
		return
	case "error":
		http.Error(writer, "no metrics", http.StatusInternalServerError)
		return
	case "empty":
		return
	case "nan":
		fmt.Fprintln(writer, "requests_total{code=\"200\"} NaN")
		return
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	writer.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	fmt.Fprintln(writer, "# HELP requests_total Answers to /invocations by status code.")
	fmt.Fprintln(writer, "# TYPE requests_total counter")
	codes := make([]int, 0, len(m.codes))
	for code := range m.codes {
		codes = append(codes, code)
	}
	sort.Ints(codes)
	for _, code := range codes {
		fmt.Fprintf(writer, "requests_total{code=\"%d\"} %d\n", code, m.codes[code])
	}
	fmt.Fprintln(writer, "# HELP request_duration_seconds Time to answer /invocations.")
	fmt.Fprintln(writer, "# TYPE request_duration_seconds histogram")
	for i, edge := range edges {
		fmt.Fprintf(writer, "request_duration_seconds_bucket{le=\"%g\"} %d\n", edge, m.buckets[i])
	}
	fmt.Fprintf(writer, "request_duration_seconds_bucket{le=\"+Inf\"} %d\n", m.count)
	fmt.Fprintf(writer, "request_duration_seconds_sum %g\n", m.sum)
	fmt.Fprintf(writer, "request_duration_seconds_count %d\n", m.count)
}

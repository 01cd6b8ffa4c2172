package telemetry

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxSeries is how many combinations of label values one metric may have. What comes after them counts as other, so that no
	// input, however strange, makes a metric grow without end.
	maxSeries = 1000
	other     = "other"
)

// series are the values of one metric by their labels. It may be used by any number of goroutines.
type series struct {
	metric *metric
	known  map[string]map[string]bool // label → the values it may have; a label that is not here may have any
	make   func(labels []string) func(amount float64)

	mu  sync.RWMutex
	add map[string]func(amount float64) // by raw label values, each followed by a zero byte
}

// newSeries registers the metric; what is read at a scrape is not for it.
func newSeries(m *metric, known map[string]map[string]bool, registry prometheus.Registerer) *series {
	s := &series{metric: m, known: known, add: make(map[string]func(float64))}
	switch m.kind {
	case counter:
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.name, Help: m.help}, m.labels)
		registry.MustRegister(vec)
		s.make = func(labels []string) func(float64) { return vec.WithLabelValues(labels...).Add }
	case histogram:
		vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.name, Help: m.help, Buckets: m.buckets}, m.labels)
		registry.MustRegister(vec)
		s.make = func(labels []string) func(float64) { return vec.WithLabelValues(labels...).Observe }
	case gauge:
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.name, Help: m.help}, m.labels)
		registry.MustRegister(vec)
		s.make = func(labels []string) func(float64) { return vec.WithLabelValues(labels...).Set }
	}
	if len(m.labels) == 0 && m.kind == counter {
		s.make(nil)(0) // so that it is there, as 0, from the start
	}
	return s
}

// record adds amount under the labels whose raw values key holds, each followed by a zero byte.
func (s *series) record(key []byte, amount float64) {
	s.mu.RLock()
	add := s.add[string(key)]
	s.mu.RUnlock()
	if add == nil {
		add = s.first(string(key))
	}
	add(amount)
}

// first makes the series of label values that were not seen before.
func (s *series) first(key string) func(amount float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if add := s.add[key]; add != nil {
		return add
	}
	values := strings.Split(key, "\x00")[:len(s.metric.labels)]
	for i, label := range s.metric.labels {
		values[i] = s.bound(label, values[i])
	}
	// What is bounded is kept under its bounded name, so that a flood of strange values takes no room here.
	if add := s.add[joined(values)]; add != nil {
		return add
	}
	if len(s.add) >= maxSeries {
		for i := range values {
			values[i] = other
		}
	}
	add := s.make(values)
	s.add[joined(values)] = add
	return add
}

func joined(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return strings.Join(values, "\x00") + "\x00"
}

// bound keeps the values of a label few, and fit to be one.
func (s *series) bound(label, value string) string {
	value = strings.ToValidUTF8(value, "�")
	if known := s.known[label]; known != nil && value != "" && !known[value] {
		return other
	}
	if label == labelType && strings.HasPrefix(value, "unknown.") {
		return "unknown"
	}
	return value
}

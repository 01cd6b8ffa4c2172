package telemetry

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// readTimeout bounds what is read at a scrape.
const readTimeout = 3 * time.Second

// Names are the values that labels may have beyond which everything is "other". Polled are those of the sources that are asked
// for builds.
type Names struct{ Sources, Targets, Polled []string }

// Metrics is what one process counts and measures, in a registry of its own. It may be used by any number of goroutines.
type Metrics struct {
	registry  *prometheus.Registry
	byMessage map[string][]meaning
	requests  *series
	gauges    map[string]*prometheus.Desc // those read at a scrape
	read      atomic.Pointer[func(context.Context) ([]Gauge, error)]
	now       func() time.Time
}

// NewMetrics makes all metrics, empty, and those of the Go runtime and of the process.
func NewMetrics(names Names) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), byMessage: make(map[string][]meaning),
		gauges: make(map[string]*prometheus.Desc), now: time.Now,
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	known := map[string]map[string]bool{labelSource: set(append(slices.Clone(names.Sources), "schedule")), labelTarget: set(names.Targets)}
	rows := table()
	for i := range rows {
		row := &rows[i]
		if row.kind == gauge && len(row.lines) == 0 {
			m.gauges[row.name] = prometheus.NewDesc(row.name, row.help, row.labels, nil)
			continue
		}
		s := newSeries(row, known, m.registry)
		if row.name == requestSeconds {
			m.requests = s
		}
		if row.start != nil {
			for _, values := range row.start(names) {
				s.record([]byte(joined(values)), 0)
			}
		}
		for j := range row.lines {
			l := &row.lines[j]
			m.byMessage[l.message] = append(m.byMessage[l.message], means(s, l))
		}
	}
	m.registry.MustRegister(scraped{m})
	return m
}

func set(values []string) map[string]bool {
	all := make(map[string]bool, len(values))
	for _, v := range values {
		all[v] = true
	}
	return all
}

// Logger is a logger as the function Logger makes it, whose lines are counted: those of level info and above, also when level
// says that they are not to be written.
func (m *Metrics) Logger(w io.Writer, format, level string) zerolog.Logger {
	least := levelOf(level)
	out := &counting{out: formatted(w, format), least: least, metrics: m}
	return zerolog.New(out).Level(min(least, zerolog.InfoLevel)).Hook(stamp{})
}

// Request measures one request to CodeArts. status is the HTTP status, 0 if no answer came.
func (m *Metrics) Request(connection, operation string, status int, took time.Duration) {
	code := "none"
	if status != 0 {
		code = strconv.Itoa(status)
	}
	m.requests.record([]byte(connection+"\x00"+operation+"\x00"+code+"\x00"), took.Seconds())
}

// Gauge is a value read at a scrape. Labels are in the order of the table.
type Gauge struct {
	Name   string
	Labels []string
	Value  float64
}

// Read sets what is asked for the gauges at every scrape; ctx ends after 3 seconds. The gauges that come with an error are shown
// all the same, and those that are missing are absent. There are none before Read.
func (m *Metrics) Read(read func(ctx context.Context) ([]Gauge, error)) { m.read.Store(&read) }

// Handler serves the metrics in Prometheus's formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 2 * readTimeout})
}

// scraped is what is read at a scrape.
type scraped struct{ m *Metrics }

// Describe names all that may come.
func (s scraped) Describe(to chan<- *prometheus.Desc) {
	for _, d := range s.m.gauges {
		to <- d
	}
}

// Collect reads. A gauge that is not in the table, or has the wrong number of labels, is a mistake in the program and shows as an
// error of the scrape.
func (s scraped) Collect(to chan<- prometheus.Metric) {
	read := s.m.read.Load()
	if read == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	all, err := (*read)(ctx)
	up := 1.0
	if err != nil {
		up = 0
	}
	for _, g := range append(all, Gauge{Name: storesUp, Value: up}) {
		desc := s.m.gauges[g.Name]
		if desc == nil {
			to <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(errUnknownGauge(g.Name)), errUnknownGauge(g.Name))
			continue
		}
		made, err := prometheus.NewConstMetric(desc, prometheus.GaugeValue, g.Value, g.Labels...)
		if err != nil {
			made = prometheus.NewInvalidMetric(desc, err)
		}
		to <- made
	}
}

type errUnknownGauge string

func (e errUnknownGauge) Error() string {
	return "gauge " + string(e) + " is not in the table of metrics"
}

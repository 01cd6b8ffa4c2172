package telemetry

import (
	"io"
	"strconv"
	"time"

	"github.com/rs/zerolog"
)

// meaning is what a log line of one message does to one metric.
type meaning struct {
	series *series
	*logLine
	scale float64
}

// means makes ready what one row of the table says about one line.
func means(s *series, l *logLine) meaning {
	m := meaning{series: s, logLine: l, scale: 1}
	if l.adds != "" && s.metric.kind == histogram {
		m.scale = 1e-3 // zerolog writes durations in milliseconds
	}
	return m
}

// counting is the writer of a log whose lines are counted. It gets each line as JSON, with its level, before anybody else.
type counting struct {
	out     io.Writer
	least   zerolog.Level // less important lines are counted, and not written
	metrics *Metrics
}

// Write is for lines without a level; zerolog has none here.
func (c *counting) Write(line []byte) (int, error) { return c.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel counts a line and writes it, if it is important enough for that.
func (c *counting) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if level >= zerolog.InfoLevel {
		c.metrics.count(line)
	}
	if level < c.least {
		return len(line), nil
	}
	return c.out.Write(line)
}

// count does what the table says about a line.
func (m *Metrics) count(line []byte) {
	meanings := m.byMessage[string(message(line))]
	if len(meanings) == 0 {
		return
	}
	var f fields
	f.read(line)
	for i := range meanings {
		meanings[i].count(&f, m.now)
	}
}

func (m *meaning) count(f *fields, now func() time.Time) {
	if m.only.field != "" && string(f.get(m.only.field)) != m.only.is {
		return
	}
	amount := 1.0
	switch {
	case m.clears:
		amount = 0
	case m.nowSet:
		amount = float64(now().UnixMilli()) / 1e3
	case m.adds != "":
		n, err := strconv.ParseFloat(string(f.get(m.adds)), 64)
		if err != nil || n < 0 {
			return // the line does not say: a tick's has no took
		}
		amount = n * m.scale
	}
	var room [256]byte
	key := room[:0]
	for _, v := range m.values {
		if v.field == "" {
			key = append(key, v.text...)
		} else {
			key = append(key, f.get(v.field)...)
		}
		key = append(key, 0)
	}
	m.series.record(key, amount)
}

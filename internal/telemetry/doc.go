// Package telemetry builds what Millrace reports about itself with: the logger, the metrics, and the page that serves them.
//
// It owns the look of a log line (JSON in containers, a readable line on a terminal, times in RFC 3339, UTC, to the millisecond) and the
// table of all metrics, docs/reference/metrics.md. Most metrics are counted from the log lines themselves, whose phrases and fields are
// fixed; so a metric and a line never disagree, and no other package counts anything. Only lines of level info and above are counted,
// whatever level is written. It never decides what is logged, keeps no logger of its own and touches none of zerolog's package variables.
//
// Start with Logger, or with NewMetrics and its Logger.
package telemetry

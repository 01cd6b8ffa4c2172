package telemetry

import (
	"fmt"
	"strings"
)

// Reference is docs/reference/metrics.md: every metric, from the table.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, m := range table() {
		labels := ""
		if len(m.labels) > 0 {
			labels = "`" + strings.Join(m.labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.name, m.kind, labels, m.help, origin(&m))
	}
	b.WriteString(referenceTail)
	return b.String()
}

// origin says where the values come from.
func origin(m *metric) string {
	if len(m.lines) == 0 {
		if m.kind == gauge {
			return "read at each scrape"
		}
		return "each request"
	}
	var all []string
	for _, l := range m.lines {
		if text := "`" + l.message + "`"; len(all) == 0 || all[len(all)-1] != text {
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}

const referenceHead = `# Metrics

<!-- Generated from internal/telemetry by go test ./internal/telemetry -update. -->

The receiver and the worker each serve ` + "`/metrics`" + ` at their ` + "`admin_listen`" + ` (` + "`127.0.0.1:9080`" + ` and ` + "`127.0.0.1:9081`" + ` by default), in the
formats of Prometheus. Both have the same metrics; what a process does not do stays absent or 0.

Most are counted from the lines of the log, whose phrases are fixed (last column), so a metric and the log never disagree. Lines of level
info and above are counted, also when ` + "`log.level`" + ` says that they are not written; debug lines never are. That is why there is no counter of
parked work: ` + "`millrace_work_parked`" + ` shows how much there is, ` + "`millrace_retries_total`" + ` and ` + "`millrace_facts_awaited_total`" + ` why.

No label holds an id, an address or anything a sender can choose: sources and targets that are not configured are ` + "`other`" + `, and after 1000
combinations of values a metric counts what is new as ` + "`other`" + `. Rules' names are labels. A series appears when it is first counted; those of configured sources and targets are there, as 0, from the start.

| Name | Type | Labels | Meaning | From |
|---|---|---|---|---|
`

const referenceTail = `
Those of the Go runtime (` + "`go_…`" + `) and of the process (` + "`process_…`" + `) are served beside them. What to watch, and alerts worth
having: [operations](../operations.md).
`

package telemetry

// kind is what Prometheus calls the type of a metric.
type kind string

const (
	counter   kind = "counter"
	histogram kind = "histogram"
	gauge     kind = "gauge"
)

// metric is one row of the table: everything there is to know about a metric.
type metric struct {
	name, help string
	kind       kind
	labels     []string
	buckets    []float64 // of a histogram, upper bounds in seconds
	lines      []logLine // what it is counted from; empty: it is observed or read
	// start are the label values that are there, as 0, from the start: a series that begins at 1 looks to Prometheus's increase as if
	// nothing had happened. May be nil.
	start func(Names) [][]string
}

// logLine says what a line of the log means for a metric.
type logLine struct {
	message string
	values  []value // one for each label
	adds    string  // numeric field that is added; for a histogram a duration in milliseconds, as zerolog writes it; "": 1
	only    only    // counted only if a field has this value; the zero value: always
	nowSet  bool    // the gauge becomes the time of the line
	clears  bool    // the gauge becomes 0, else 1
}

// value is what a label says: text as it is, or a field of the line.
type value struct{ text, field string }

type only struct{ field, is string }

func is(text string) value    { return value{text: text} }
func field(name string) value { return value{field: name} }

// The labels whose values come from outside, and how they are kept few: see series.bound.
const (
	labelSource = "source"
	labelTarget = "target"
	labelType   = "type"
)

// The metrics that are not counted from lines.
const (
	requestSeconds = "millrace_codearts_request_seconds"
	storesUp       = "millrace_stores_reachable"
)

var (
	fastBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	slowBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
)

// table is all metrics but Go's own, in the order of the reference.
func table() []metric {
	all := append(deliveryMetrics(), pollMetrics()...)
	all = append(all, runMetrics()...)
	all = append(all, actionMetrics()...)
	return append(all, storeMetrics()...)
}

// combined puts each name before each of the tails.
func combined(names []string, tails ...[]string) [][]string {
	var all [][]string
	for _, name := range names {
		for _, tail := range tails {
			all = append(all, append([]string{name}, tail...))
		}
	}
	return all
}

func deliveryMetrics() []metric {
	return []metric{
		{
			name: "millrace_deliveries_total", kind: counter, labels: []string{labelSource, "outcome", "reason"},
			help: "Deliveries by what they were answered: accepted, duplicate, or refused with the reason. A source that is not configured is other. Ticks of schedules are accepted by a worker, with the source schedule, and so are builds that were asked for.",
			lines: []logLine{
				{message: "event accepted", values: []value{field("source"), is("accepted"), is("")}},
				{message: "event duplicate", values: []value{field("source"), is("duplicate"), is("")}},
				{message: "event refused", values: []value{field("source"), is("refused"), field("reason")}},
			},
			start: func(n Names) [][]string {
				return combined(n.Sources, []string{"accepted", ""}, []string{"duplicate", ""}, []string{"refused", "not_stored"}, []string{"refused", "unverified"})
			},
		},
		{
			name: "millrace_delivery_seconds", kind: histogram, labels: []string{labelSource}, buckets: fastBuckets,
			help: "Time from the first look at a delivery until its event is stored.",
			lines: []logLine{
				{message: "event accepted", values: []value{field("source")}, adds: "took"},
				{message: "event duplicate", values: []value{field("source")}, adds: "took"},
			},
		},
		{
			name: "millrace_events_total", kind: counter, labels: []string{labelType},
			help:  "Events stored, by type; all unknown.… are unknown.",
			lines: []logLine{{message: "event accepted", values: []value{field("type")}}},
		},
	}
}

func pollMetrics() []metric {
	return []metric{
		{
			name: "millrace_polls_total", kind: counter, labels: []string{labelSource, "outcome"},
			help: "Polls of sources with codearts_builds, by this worker: polled (all tasks were listed), and failed (something could not be looked at; the next poll does). One poll can be both.",
			lines: []logLine{
				{message: "source polled", values: []value{field("source"), is("polled")}},
				{message: "poll failed", values: []value{field("source"), is("failed")}},
			},
			start: func(n Names) [][]string { return combined(n.Polled, []string{"polled"}, []string{"failed"}) },
		},
		{
			name: "millrace_source_polled_timestamp_seconds", kind: gauge, labels: []string{labelSource},
			help:  "When this worker last listed all tasks of a source with codearts_builds, in seconds since 1970. The workers take turns: look at the newest.",
			lines: []logLine{{message: "source polled", values: []value{field("source")}, nowSet: true}},
		},
	}
}

func runMetrics() []metric {
	return []metric{
		{
			name: "millrace_matches_total", kind: counter, labels: []string{labelType},
			help:  "Events matched with the rules.",
			lines: []logLine{{message: "matched", values: []value{field("type")}}},
		},
		{
			name: "millrace_candidates_total", kind: counter, labels: []string{labelType},
			help:  "Rules that fitted an event, each of which is run on it.",
			lines: []logLine{{message: "matched", values: []value{field("type")}, adds: "candidates"}},
		},
		{
			name: "millrace_own_commits_total", kind: counter,
			help:  "Events and facts that name a commit of Millrace's own: what the loop guard looks at.",
			lines: []logLine{{message: "own commit recognised"}},
		},
		{
			name: "millrace_runs_total", kind: counter, labels: []string{"rule", "outcome"},
			help:  "Runs decided, by rule and outcome: acted, no_match, skipped, shadow, own_commit, throttled, overtaken, paused.",
			lines: []logLine{{message: "run decided", values: []value{field("rule"), field("outcome")}}},
		},
		{
			name: "millrace_rules_paused_total", kind: counter, labels: []string{"rule"},
			help:  "Times a rule was paused because too many events fitted it in one minute: a person must look at it. Each worker counts by itself.",
			lines: []logLine{{message: "rule paused", values: []value{field("rule")}}},
		},
		{
			name: "millrace_fact_seconds", kind: histogram, labels: []string{"kind"}, buckets: slowBuckets,
			help:  "Time to fetch a fact, by its kind. A fact that is not ready yet is not counted here.",
			lines: []logLine{{message: "fact fetched", values: []value{field("kind")}, adds: "took"}},
		},
		{
			name: "millrace_facts_awaited_total", kind: counter, labels: []string{"rule"},
			help:  "Times a run was parked because a fact was not ready.",
			lines: []logLine{{message: "facts awaited", values: []value{field("rule")}}},
		},
		{
			name: "millrace_ruleset_loads_total", kind: counter, labels: []string{"outcome"},
			help: "Rulesets taken into use (loaded), those of them with warnings (doubted, too), and changes to rule files that were not (refused): the rules before them go on.",
			lines: []logLine{
				{message: "rules loaded", values: []value{is("loaded")}},
				{message: "rules doubted", values: []value{is("doubted")}},
				{message: "rules refused", values: []value{is("refused")}},
			},
			start: func(Names) [][]string { return [][]string{{"loaded"}, {"doubted"}, {"refused"}} },
		},
		{
			name: "millrace_ruleset_loaded_timestamp_seconds", kind: gauge,
			help:  "When the ruleset in use was loaded, in seconds since 1970.",
			lines: []logLine{{message: "rules loaded", nowSet: true}},
		},
		{name: "millrace_ruleset_info", kind: gauge, labels: []string{"digest"}, help: "1 for the ruleset in use. Workers that show different digests for long have different rule files."},
		{name: "millrace_ruleset_rules", kind: gauge, help: "Rules in the ruleset in use."},
	}
}

func actionMetrics() []metric {
	toTarget := only{"kind", "notify"}
	return []metric{
		{
			name: "millrace_actions_total", kind: counter, labels: []string{"kind", "state"},
			help: "Actions by kind (commit, build, notify, alert) and what became of them: started (commits and builds only), done, failed, skipped. A message to one target counts as one.",
			lines: []logLine{
				{message: "action started", values: []value{field("kind"), is("started")}},
				{message: "action done", values: []value{field("kind"), is("done")}},
				{message: "message sent", values: []value{field("kind"), is("done")}},
				{message: "action failed", values: []value{field("kind"), is("failed")}},
				{message: "action skipped", values: []value{field("kind"), is("skipped")}},
			},
		},
		{
			name: "millrace_messages_total", kind: counter, labels: []string{labelTarget, "outcome"},
			help: "Attempts to tell a target something: sent, retried (it failed and is tried again), dead_lettered (given up).",
			lines: []logLine{
				{message: "message sent", values: []value{field("target"), is("sent")}},
				{message: "retried", values: []value{field("target"), is("retried")}, only: toTarget},
				{message: "dead-lettered", values: []value{field("target"), is("dead_lettered")}, only: toTarget},
			},
			start: func(n Names) [][]string {
				return combined(n.Targets, []string{"sent"}, []string{"retried"}, []string{"dead_lettered"})
			},
		},
		{
			name: "millrace_circuit_open", kind: gauge, labels: []string{labelTarget},
			help: "1 while this worker asks for no messages to a target, because calls of it failed again and again; one is tried after each pause.",
			lines: []logLine{
				{message: "circuit opened", values: []value{field("target")}},
				{message: "circuit closed", values: []value{field("target")}, clears: true},
			},
			start: func(n Names) [][]string { return combined(n.Targets, nil) },
		},
		{
			name: "millrace_addresses_refused_total", kind: counter,
			help:  "Messages and checks whose address led where none may go.",
			lines: []logLine{{message: "address refused"}},
		},
		{
			name: "millrace_alerts_total", kind: counter, labels: []string{"rule"},
			help:  "Rungs and renewals of alerts put as messages.",
			lines: []logLine{{message: "alert put", values: []value{field("rule")}}},
		},
		{
			name: "millrace_retries_total", kind: counter, labels: []string{"kind", "class"},
			help:  "Work that failed and is tried again, by kind of work and class of the failure.",
			lines: []logLine{{message: "retried", values: []value{field("kind"), field("class")}}},
		},
		{
			name: "millrace_dead_letters_total", kind: counter, labels: []string{"kind", "class"},
			help:  "Work given up: a person must look at each.",
			lines: []logLine{{message: "dead-lettered", values: []value{field("kind"), field("class")}}},
		},
		{
			name: "millrace_dead_letters_unwritten_total", kind: counter,
			help:  "Dead letters that could not be written (the store DEAD is full, above all): the work is parked again.",
			lines: []logLine{{message: "not dead-lettered, parked again"}},
		},
		{
			name: requestSeconds, kind: histogram, labels: []string{"connection", "operation", "status"}, buckets: slowBuckets,
			help: "Requests to CodeArts, by connection, operation and HTTP status, and how long each took; the status is none when no answer came. " +
				"CodeArts can fail inside a 200.",
		},
	}
}

func storeMetrics() []metric {
	return []metric{
		{
			name: "millrace_broker_disconnects_total", kind: counter,
			help:  "Times the connection to NATS was lost. It is opened again by itself.",
			lines: []logLine{{message: "broker disconnected"}},
		},
		{
			name: "millrace_consuming_interrupted_total", kind: counter,
			help:  "Times a worker could not ask NATS for work; once in 10 seconds for each kind of work.",
			lines: []logLine{{message: "consuming interrupted"}},
		},
		{
			name: "millrace_events_purged_total", kind: counter,
			help:  "Events removed from EVENTS after they were matched, by this worker.",
			lines: []logLine{{message: "events purged", adds: "events"}},
		},
		{
			name: "millrace_journal_failures_total", kind: counter,
			help:  "Times the journal's disk began to fail, or a file of it could not be removed: until a write succeeds deliveries are answered 503.",
			lines: []logLine{{message: "journal failed"}},
		},
		{
			name: "millrace_journal_damages_total", kind: counter,
			help:  "Files of the journal in which something was found that cannot be read any more: accepted events may be lost.",
			lines: []logLine{{message: "journal damaged"}},
		},
		{
			name: "millrace_journal_published_total", kind: counter,
			help:  "Events published from the files of the journal: those of an outage, and after a start or a reconnect all that are held.",
			lines: []logLine{{message: "journal published", adds: "events"}},
		},
		{
			name: "millrace_journal_stuck_total", kind: counter,
			help:  "Times NATS has said of an accepted event that it will never take it as it is.",
			lines: []logLine{{message: "event stuck"}},
		},
		{name: "millrace_journal_bytes", kind: gauge, help: "Size of the journal's files; absent without a journal."},
		{name: "millrace_journal_limit_bytes", kind: gauge, help: "The most they may have together. A full journal refuses."},
		{name: "millrace_journal_unpublished_bytes", kind: gauge, help: "The part of them that NATS may not have yet, at most."},
		{name: "millrace_journal_door_closed", kind: gauge, help: "1 while deliveries are answered 503 because NATS refuses events, until it has taken those accepted before."},
		{name: storesUp, kind: gauge, help: "1 when NATS answered for this scrape; when 0, the gauges below are absent."},
		{name: "millrace_store_messages", kind: gauge, labels: []string{"store"}, help: "Messages in a store: EVENTS, WORK, RECORDS, DEAD."},
		{name: "millrace_store_bytes", kind: gauge, labels: []string{"store"}, help: "Size of a store."},
		{name: "millrace_store_limit_bytes", kind: gauge, labels: []string{"store"}, help: "The most a store may hold; absent when it has no limit. A store that is full refuses, it never drops."},
		{name: "millrace_events_unmatched", kind: gauge, help: "Events stored and not yet matched with the rules. It grows while no worker runs."},
		{name: "millrace_source_events_unmatched", kind: gauge, labels: []string{labelSource}, help: "The same by source, of those that have events in EVENTS."},
		{name: "millrace_source_runs_waiting", kind: gauge, labels: []string{labelSource}, help: "Runs to be decided now or being decided, by the source of their events."},
		{name: "millrace_work_waiting", kind: gauge, labels: []string{"kind", labelTarget}, help: "Work to be done now or being done, by kind (match, run, commit, build, alert, notify, tick, poll) and, for messages, target."},
		{name: "millrace_work_parked", kind: gauge, help: "Work that waits for its time: a retry, or a fact that is not ready."},
		{name: "millrace_schedules", kind: gauge, help: "Schedules in NATS, those included that no rule and no source has any more."},
		{name: "millrace_dead_letters", kind: gauge, labels: []string{"class"}, help: "Dead letters kept, by class."},
	}
}

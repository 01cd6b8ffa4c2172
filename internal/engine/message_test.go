package engine

import (
	"testing"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// What a run's message says comes out as it went in, whatever ids were made of.
func FuzzOrder(f *testing.F) {
	f.Add("repo/1", "record-failed-build", "repo/0", 1)
	f.Add("repo/ü\r\nNats-Msg-Id: x", "规则 100%", "%41", 3)
	f.Fuzz(func(t *testing.T, eventID, rule, origin string, depth int) {
		ev := &events.Event{ID: "repo/" + eventID, Source: "repo", Type: "push", Time: start, Body: []byte("{}")}
		// Ids with broken UTF-8 never get here: the envelope repairs them on the way out.
		probe, err := events.FromHeader(func(n string) string { return ev.Header()[n] }, ev.Body)
		if err != nil || probe.ID != ev.ID || rule == "" {
			return
		}
		want := runOrder{event: ev, runID: rules.RunID(ev.ID, rule), rule: rule, digest: "d"}
		if depth > 0 {
			want.chain = events.Chain{Depth: depth, Origin: origin, Action: "k"}
		}
		h := want.header(map[string]string{"traceparent": "t", "Nats-Msg-Id": "x"})
		for name, value := range h {
			for i := range len(value) {
				if value[i] < ' ' || value[i] > '~' {
					t.Fatalf("header %s: %q", name, value)
				}
			}
		}
		if h["Nats-Msg-Id"] != "" || h["traceparent"] != "t" {
			t.Errorf("headers passed on: %v", h)
		}
		got, err := readOrder(Message{Header: h, Data: ev.Body})
		if err != nil {
			t.Fatal(err)
		}
		if got.rule != want.rule || got.chain != want.chain || got.event.ID != ev.ID || got.digest != want.digest {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

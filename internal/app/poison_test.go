package app_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// TestPoison: what cannot be read, wherever it is put, is a dead letter with its own bytes at once, and all other work goes on.
func TestPoison(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Rules: "shop"})
	w.startReceiver()
	w.startWorkerHere()
	before := time.Now().Add(-time.Minute)
	event := map[string]string{"ce-specversion": "1.0", "ce-id": "shop/p", "ce-source": "/shop", "ce-type": "push", "ce-time": "yesterday"}
	poison := map[string]struct {
		subject string
		header  map[string]string
		data    string
	}{
		"event without headers":    {"events.shop.push", nil, "\x00\xffgarbage 1"},
		"event of a broken time":   {"events.shop.push", event, `{"a":2}`},
		"event again":              {"work.match", map[string]string{"Millrace-Key": "k3"}, "\x00garbage 3"},
		"run":                      {"work.run", map[string]string{"Millrace-Key": "k4"}, "\x00garbage 4"},
		"run without key":          {"work.run", event, "\x00garbage 5"},
		"commit":                   {"work.commit", map[string]string{"Millrace-Key": "k6"}, "\x00garbage 6"},
		"commit of another kind":   {"work.commit", nil, `{"v":1,"key":"k7","kind":"notify","notify":{"to":["team"]}}`},
		"build":                    {"work.build", nil, "[8]"},
		"alert":                    {"work.alert", nil, "{"},
		"message":                  {"work.notify.team", nil, "\x00garbage 10"},
		"message without contents": {"work.notify.team", nil, `{"v":1,"key":"k11","kind":"notify"}`},
		"message with odd headers": {"work.notify.ops", map[string]string{"Millrace-Attempts": "many", "Millrace-First-Failure": "x", "Millrace-Key": "a b.c"}, "null"},
		"tick":                     {"work.tick.x", nil, "\x00garbage 13"},
	}
	for _, p := range poison {
		w.broker.Publish(p.subject, p.header, []byte(p.data))
	}
	eventually(t, "a dead letter for each", func() error {
		if n := w.counts().Dead; n != uint64(len(poison)) {
			return fmt.Errorf("there are %d of %d", n, len(poison))
		}
		return nil
	})
	letters := w.dead()
	for name, p := range poison {
		found := false
		for _, l := range letters {
			if l.Subject != p.subject || !bytes.Equal(l.Data, []byte(p.data)) {
				continue
			}
			found = true
			if l.Class != "message" || l.Attempts != 1 || l.Reason == "" || l.FirstFailure.Before(before) || !l.FirstFailure.Equal(l.LastFailure) || l.FirstStored.Before(before) {
				t.Errorf("%s: %+v", name, l)
			}
			for h, v := range p.header {
				if got := l.Header[h]; got != v && h != "Millrace-Key" && h != "Millrace-Attempts" && h != "Millrace-First-Failure" {
					t.Errorf("%s: header %s is %q, want %q", name, h, got, v)
				}
			}
		}
		if !found {
			t.Errorf("%s: its bytes are in no dead letter", name)
		}
	}
	w.deliver(mergeRequest(t, 7))
	eventually(t, "the messages", func() error { return w.atLeast(announced(7)...) })
	eventually(t, "the end of all work", w.settled)
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// refusal is an error that makes a dead letter of a message at once.
type refusal struct{ error }

func (refusal) Retryable() bool { return false }
func (refusal) Class() string   { return "refused" }

// bury makes dead letters in the broker of a script, in this order: the messages to team and to ops about the merge request shop/mr-1 of
// shop/orders, a commit about it, the run of a rule on shop/mr-2 of shop/pay, and the event shop/mr-3 of shop/pay. What the first four are
// about was accepted just now, and the event shop/mr-1 is stored with its records; with the argument "old" it was accepted four weeks ago, and no
// record is left.
func bury(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	conn, err := stream.Connect(ctx, stream.Config{URLs: []string{ts.Getenv("MILLRACE_NATS_URL")}, DeadMaxBytes: 32 << 20, Log: zerolog.Nop()})
	ts.Check(err)
	defer conn.Close()
	ts.Check(conn.Ensure(ctx))
	accepted := time.Now().UTC()
	if len(args) > 0 {
		accepted = accepted.AddDate(0, 0, -28)
	}
	eff := effects.New(effects.Seams{Records: conn, Work: conn}, effects.Settings{}, zerolog.Nop())
	for _, m := range buriedMessages(accepted) {
		if m.subject == "" {
			_, err = conn.PublishEvent(ctx, m.event)
		} else {
			err = conn.Put(ctx, m.subject, m.header, m.data)
		}
		ts.Check(err)
		one, stop := context.WithCancel(ctx)
		cons := stream.Consumer{
			Name: "bury", Stream: stream.Work, Filter: m.subject, Concurrency: 1,
			Handler: func(context.Context, *stream.Message) error { return refusal{errors.New(m.reason)} },
			Buried: func(ctx context.Context, sm *stream.Message, reason, class string) error {
				if len(args) > 0 || m.event != nil {
					return nil
				}
				return eff.Buried(ctx, effects.Message{Header: sm.Header, Data: sm.Data}, reason, class)
			},
		}
		if m.subject == "" {
			cons.Stream, cons.Filter = stream.Events, stream.AllEvents
		}
		cons.Name += "-" + rules.Hash(cons.Filter)
		ended := make(chan error, 1)
		before, err := conn.Counts(ctx)
		ts.Check(err)
		go func() { ended <- conn.Consume(one, cons) }()
		for n := before; n.Dead == before.Dead; {
			n, err = conn.Counts(ctx)
			ts.Check(err)
		}
		stop()
		ts.Check(<-ended)
	}
	if len(args) == 0 {
		decided(ctx, ts, conn, accepted)
	}
}

// decided stores the event shop/mr-1 and the records of the rule that took it.
func decided(ctx context.Context, ts *testscript.TestScript, conn *stream.Conn, accepted time.Time) {
	_, err := conn.PublishEvent(ctx, &events.Event{
		ID: "shop/mr-1", Source: "shop", Type: "merge_request.open", Time: accepted, Repository: "shop/orders",
		Body: []byte(`{"object_kind":"merge_request","note":"token: abcdef0123456789 \u001b[2J"}` + strings.Repeat(" ", bodyShown)),
	})
	ts.Check(err)
	d := rules.Decision{V: rules.FormatVersion, EventID: "shop/mr-1", RunID: rules.RunID("shop/mr-1", "announce"), Rule: "announce", Outcome: rules.OutcomeActed}
	item := rules.Item{Fired: true}
	seen := map[string]bool{}
	for _, m := range buriedMessages(accepted) {
		a := new(rules.Action)
		if m.event == nil && json.Unmarshal(m.data, a) == nil && !seen[a.Key] {
			item.Actions, seen[a.Key] = append(item.Actions, *a), true
		}
	}
	d.Items = []rules.Item{item}
	for subject, record := range map[string]any{
		"match." + rules.Hash("shop/mr-1"): map[string]any{"v": 1, "event_id": "shop/mr-1", "digest": "0123456789abcdef", "candidates": []string{"announce"}, "at": accepted},
		"run." + d.RunID:                   d,
	} {
		data, err := json.Marshal(record)
		ts.Check(err)
		_, err = conn.Create(ctx, subject, data)
		ts.Check(err)
	}
}

// buriedMessage is work, or with an event alone an event.
type buriedMessage struct {
	subject, reason string
	header          map[string]string
	data            []byte
	event           *events.Event
}

func buriedMessages(accepted time.Time) []buriedMessage {
	action := func(kind, id string, change func(*rules.Action)) *rules.Action {
		run := rules.RunID("shop/mr-1", "announce")
		a := &rules.Action{
			V: rules.FormatVersion, Key: rules.ActionKey(run, "", id), ID: id, Kind: kind, EventID: "shop/mr-1", RunID: run, Rule: "announce",
			Accepted: accepted, Repository: "shop/orders",
		}
		change(a)
		return a
	}
	work := func(a *rules.Action, subject, target, reason string) buriedMessage {
		data, err := json.Marshal(a)
		if err != nil {
			panic(err)
		}
		h := map[string]string{"Millrace-Key": effects.Key(a, target), "Millrace-Type": "merge_request.open"}
		if target != "" {
			h["Millrace-Target"] = target
		}
		return buriedMessage{subject: subject, reason: reason, header: h, data: data}
	}
	notify := action(rules.KindNotify, "notify1", func(a *rules.Action) {
		a.Notify = &rules.Notify{To: []string{"team", "ops"}, Text: rules.Text{{Literal: "opened \x1b[2J by token: abcdef0123456789"}}}
	})
	commit := action(rules.KindCommit, "note", func(a *rules.Action) {
		a.Commit = &rules.Commit{RepoID: "2111", Branch: "main", Message: "note", Actions: []rules.FileAction{{Action: "create", FilePath: "a.md"}}}
	})
	event := func(n int) *events.Event {
		return &events.Event{
			ID: fmt.Sprintf("shop/mr-%d", n), Source: "shop", Type: "merge_request.open", Time: accepted, Repository: "shop/pay",
			Body: []byte(`{"object_kind":"merge_request"}`),
		}
	}
	second := event(2)
	run := maps.Clone(second.Header())
	run["Millrace-Run"] = rules.RunID(second.ID, "announce")
	run["Millrace-Key"], run["Millrace-Rule"], run["Millrace-Digest"] = run["Millrace-Run"], "announce", "0123456789abcdef"
	return []buriedMessage{
		work(notify, "work.notify.team", "team", "the robot refuses: 19001 param invalid"),
		work(notify, "work.notify.ops", "ops", "the robot refuses: 19001 param invalid"),
		work(commit, "work.commit", "", "commit to 2111@main: 400"),
		{subject: "work.run", reason: "when: no such field", header: run, data: second.Body, event: second},
		{reason: "not an event", event: event(3)},
	}
}

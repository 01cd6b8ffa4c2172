package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts/codeartstest"
	"github.com/millrace/millrace/pkg/rules"
)

// crashPoint is a place at which a worker is killed.
type crashPoint struct {
	name  string
	brake brake
	// building: the build of the pushed commit ends only when the worker has come to its brake.
	building bool
	// failure is what goes wrong with the call that makes the commit, timeout how long the worker waits for it.
	failure *codeartstest.Failure
	timeout string
	// under is an error while what has to be under way when the worker is killed is not yet.
	under func(w *world) error
	// acked: the message the worker stands at is acknowledged already.
	acked bool
	// repeated is the message that may come once more: its robot has taken it, and the worker died before it wrote so.
	repeated string
}

// The messages of testdata/failed-build: by robot and title.
const (
	failedOps   = "feishu: Build failed"
	recorded    = "dingtalk: Recorded"
	patienceOps = "feishu: Patience runs out"
	patienceTm  = "dingtalk: Patience runs out"
)

// held is a call whose effect is there and whose answer does not come while the worker lives.
var held = codeartstest.Failure{Times: 1, Done: true, Delay: patience}

// late is a call that is accepted, and carried out when whoever sent it is long dead: as soon as the fake's clock is put on.
var late = codeartstest.Failure{Times: 1, Late: time.Hour, Delay: patience}

// broken is a call whose effect is there and whose answer breaks off.
var broken = codeartstest.Failure{Times: 1, Cut: true, Done: true}

func crashPoints() []crashPoint {
	at := func(message string, fields ...string) brake {
		b := brake{Message: message, Fields: map[string]string{}}
		for i := 0; i+1 < len(fields); i += 2 {
			b.Fields[fields[i]] = fields[i+1]
		}
		return b
	}
	frozen := func(b brake) brake { b.Freeze = true; return b }
	passed := func(b brake) brake { b.Pass = true; return b }
	return []crashPoint{
		{name: "after the match record", brake: frozen(at("match recorded"))},
		{name: "after the run is put as work", brake: frozen(at("work put", "subject", "work.run.shop"))},
		{name: "after the run record", brake: frozen(at("run recorded"))},
		{name: "after 1 of 3 actions is put", brake: frozen(at("work put", "subject", "work.commit"))},
		{name: "after 1 of 3 actions is put and done", brake: at("work put", "subject", "work.commit")},
		{name: "after 2 of 3 actions are put", brake: at("work put", "subject", "work.notify.ops", "action_id", "notify1")},
		{name: "after 3 of 3 actions are put", brake: at("work put", "subject", "work.alert")},
		{name: "between park and ack", brake: frozen(at("parked")), building: true},
		{name: "between park and ack, and it comes back before", brake: at("parked"), building: true},
		{name: "after park and ack", brake: frozen(at("acked", "kind", "run")), building: true},
		{name: "after the ack of the event", brake: frozen(at("acked", "kind", "events"))},
		{name: "after the ack of the run", brake: at("acked", "kind", "run"), acked: true},
		{name: "after the ack of the commit", brake: at("acked", "kind", "commit"), acked: true},
		{name: "after started", brake: at("action started", "kind", "commit")},
		{
			name: "after the commit and before its answer", brake: passed(at("commit sent")), failure: &held, timeout: "30s",
			under: func(w *world) error {
				if n := len(w.made()); n != 1 {
					return fmt.Errorf("%d commits are made", n)
				}
				return nil
			},
		},
		{
			name: "before the commit, which is made after the death", brake: passed(at("commit sent")), failure: &late, timeout: "40s",
			under: func(w *world) error {
				if n := w.fake.Calls("create_commit"); n != 1 {
					return fmt.Errorf("%d calls have arrived", n)
				}
				return nil
			},
		},
		{name: "after the answer and before any record", brake: at("commit answered")},
		{name: "after an answer that broke off", brake: at("commit answered"), failure: &broken},
		{name: "after done and before what waited", brake: at("action done", "kind", "commit")},
		{name: "after what waited is put", brake: at("work put", "action_id", "notify2")},
		{name: "after the alert is recorded", brake: at("alert recorded")},
		{name: "after 1 of 2 messages of the alert is put", brake: at("work put", "kind", "notify", "action_id", "alert1")},
		{name: "after the alert is put", brake: at("alert put")},
		{name: "after the alert is marked", brake: at("alert marked")},
		{name: "after a message is sent", brake: at("message sent", "action_id", "notify1"), repeated: failedOps},
		{name: "after the message that waited is sent", brake: at("message sent", "action_id", "notify2"), repeated: recorded},
		{name: "after a rung is sent", brake: at("message sent", "action_id", "alert1", "target", "team"), repeated: patienceTm},
	}
}

// TestCrash kills a worker at each step of the way and has another one finish. Nothing is lost and nothing is done twice.
func TestCrash(t *testing.T) {
	for _, p := range crashPoints() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.run(t, false)
		})
		t.Run(p.name+", then an edit and a restart", func(t *testing.T) {
			t.Parallel()
			p.run(t, true)
		})
	}
}

// run lets a worker die at the point. With harder, while nobody works, the rules are edited, facts that were decided on become
// others, the broker is started again, and the event is delivered once more, which the broker does not recognise.
func (p *crashPoint) run(t *testing.T, harder bool) {
	s := settings{Timeout: p.timeout, Restarts: harder, AckWait: soon}
	if harder {
		s.DuplicateWindow = "100ms"
	}
	w := newWorld(t, s)
	w.startReceiver()
	w.fake.SetHook(w.receiver+"/hooks/shop", webhookToken) // our own commits come back
	if p.failure != nil {
		w.fake.Fail("create_commit", *p.failure)
	}

	first := w.startWorker("first worker", p.brake)
	commit, body := w.push("count totals in cents", 0, "")
	if !p.building {
		w.fake.StartBuild(jobID, commit, "main", "FAILED", 0)
	}
	w.deliver(body)
	first.braked()
	if p.building {
		w.fake.StartBuild(jobID, commit, "main", "FAILED", 0)
	}
	p.bring(w)
	first.kill()

	if harder {
		w.useRules("failed-build-edited")
		if len(first.log.lines("run recorded")) > 0 {
			w.forgetBuilds()
			w.fake.StartBuild(jobID, commit, "main", "SUCCESS", 0)
		}
		w.broker.Restart()
		if a := w.deliver(body); a.Status != "accepted" {
			t.Errorf("the broker still knows the event, so the records are not put to the test: %+v", a)
		}
	}
	second := w.startWorker("second worker", brake{})
	if p.failure == &late {
		eventually(t, "the second worker to wait for what the first has sent", func() error {
			if len(second.log.lines("parked", "kind", "commit")) == 0 { // several: each copy that was put
				return fmt.Errorf("it does not wait")
			}
			return nil
		})
		if len(w.made()) != 0 {
			t.Fatal("the commit was made before")
		}
		w.fake.Advance(late.Late)
	}
	p.verify(w)
	second.stop()
}

// bring waits until the worker that stands at the point has nothing else to do, so that what is not done when it dies is known.
func (p *crashPoint) bring(w *world) {
	w.t.Helper()
	if p.under != nil {
		eventually(w.t, "the call to be under way", func() error { return p.under(w) })
	}
	if p.brake.Freeze {
		return
	}
	left := uint64(1)
	if p.acked {
		left = 0
	}
	eventually(w.t, "everything else to be done", func() error {
		events, err := w.broker.Unsettled("EVENTS")
		if err != nil {
			return err
		}
		n, err := w.look().Counts(w.t.Context())
		// On a machine that stalls, the broker may have given the last one to somebody else.
		if err == nil && (events != 0 || n.Parked != 0 || n.Work > left) {
			err = fmt.Errorf("%d events, %d messages of work, %d parked", events, n.Work, n.Parked)
		}
		return err
	})
}

// verify waits for the end and looks at what came of it.
func (p *crashPoint) verify(w *world) {
	t := w.t
	t.Helper()
	all := []string{failedOps, recorded, patienceOps, patienceTm}
	eventually(t, "the commit and the messages", func() error {
		if n := len(w.made()); n == 0 {
			return fmt.Errorf("there is no commit")
		}
		return w.atLeast(all...)
	})
	eventually(t, "the delivery of our own commit", func() error {
		if len(w.fake.Deliveries()) == 0 {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	eventually(t, "the end of all work", w.settled)

	made := w.made()
	if len(made) != 1 {
		t.Fatalf("%d commits were made: %+v", len(made), made)
	}
	if key, ok := rules.Trailer(made[0].Message); !ok || key == "" || !strings.HasPrefix(made[0].Message, "docs: record failed build 1\n") {
		t.Errorf("message of the commit: %q", made[0].Message)
	}
	if n := w.fake.Calls("create_commit"); n != 1 {
		t.Errorf("the commit was asked for %d times", n)
	}
	p.verifyMessages(w, made[0].ID, all)
	n, err := w.look().Counts(t.Context())
	if err != nil || n.Dead != 0 || n.Work != 0 || n.Parked != 0 {
		t.Errorf("left in the stores: %+v, %v", n, err)
	}
}

// verifyMessages makes sure that each message came once, as the first edition of the rules had it.
func (p *crashPoint) verifyMessages(w *world, commit string, all []string) {
	t := w.t
	t.Helper()
	told := w.told()
	for _, title := range all {
		n, most := told[title], 1
		if title == p.repeated {
			most = 2
		}
		if n < 1 || n > most {
			t.Errorf("%q came %d times, wanted 1 to %d", title, n, most)
		}
		delete(told, title)
	}
	if len(told) != 0 {
		t.Errorf("messages that nobody wanted: %v", told)
	}
	for _, m := range w.robots.Messages() {
		if !strings.Contains(m.Text, "First edition") {
			t.Errorf("message %q is not of the rules that decided: %q", m.Title, m.Text)
		}
		if m.Title == "Recorded" && !strings.Contains(m.Text, "https://codearts.example/"+repoPath+"/commits/detail/"+commit) {
			t.Errorf("the message that waited does not lead to the commit: %q", m.Text)
		}
	}
}

package effects

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

// Headers of work messages.
const (
	headerKey    = "Millrace-Key"
	headerTarget = "Millrace-Target"
	headerFailed = "Millrace-Failed" // why the action failed already, percent-encoded; see Effects.fail
	// For the log lines of whoever only passes the message on, percent-encoded.
	headerEvent = "Millrace-Event"
	headerRun   = "Millrace-Run"
	headerRule  = "Millrace-Rule"
	headerType  = "Millrace-Type" // of the event
)

// Subjects of work messages.
const (
	subjectCommit = "work.commit"
	subjectBuild  = "work.build"
	subjectAlert  = "work.alert"
	subjectNotify = "work.notify."
)

// traceHeaders travel from message to message unread.
var traceHeaders = [...]string{"traceparent", "tracestate", headerType, headerFailed, HeaderReplayed}

// Seams is what effects are wired to. All are needed; Notifiers are by the name of their target.
type Seams struct {
	Records   Records
	Work      Work
	Repos     Repos
	Builders  Builders
	Notifiers map[string]Notifier
}

// Settings tune the effects. The zero value of each field stands for the default named there.
type Settings struct {
	// Owner names this worker in the records it writes, and must be of this process alone.
	// Default: random.
	Owner string
	// Now is the clock. Default: time.Now.
	Now func() time.Time

	// ClientTimeout bounds one call that creates a commit or starts a build, from the moment the
	// attempt is recorded. Default 30 s.
	ClientTimeout time.Duration
	// MessageTimeout bounds one message to a target, from the moment the attempt is recorded:
	// after it another worker sends the message in its place. Default 12 s.
	MessageTimeout time.Duration
	// Settle is how long after ClientTimeout a commit may still appear on the branch, or a run
	// in the list of its task: what is under way between us and the service, and the difference between the clocks of two
	// workers. Default 60 s.
	Settle time.Duration
	// ClockSkew is how far the service's clock may be behind ours: a look-back begins that
	// much before the event was accepted, or before the task's last run was read. Default 10 min.
	ClockSkew time.Duration
	// LookbackPages bounds one look-back, in pages of 100 commits or runs. Default 50.
	LookbackPages int

	// BreakerCommits within BreakerPeriod are what one rule may commit to one branch, and how
	// many runs of one build task it may start. Default 10 within 1 h.
	BreakerCommits int
	BreakerPeriod  time.Duration

	// WebURL is the address of a commit's page by connection, with {web_url} for the page
	// of the repository and {id} for the commit's id. Default "{web_url}/commits/detail/{id}".
	WebURL map[string]string
	// BranchQueue is how many commits to one branch wait for each other in this process, and
	// JobQueue how many builds of one task; more are parked. Default 64.
	BranchQueue, JobQueue int

	// Deadline is how long after its event was accepted an action is carried out, by kind, when its rule does not say.
	// Default: without end.
	Deadline map[string]time.Duration

	// BuildTrigger is the trigger_type that the service gives to runs started by a call, which
	// is not documented: in a look-back, a run of another one is not ours. Default "": unknown, any
	// run may be ours.
	BuildTrigger string
}

func (s Settings) withDefaults() Settings {
	if s.Owner == "" {
		s.Owner = rand.Text()
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	s.ClientTimeout = positive(s.ClientTimeout, 30*time.Second)
	s.MessageTimeout = positive(s.MessageTimeout, 12*time.Second)
	s.Settle = positive(s.Settle, time.Minute)
	s.ClockSkew = positive(s.ClockSkew, 10*time.Minute)
	s.LookbackPages = positive(s.LookbackPages, 50)
	s.BreakerCommits = positive(s.BreakerCommits, 10)
	s.BreakerPeriod = positive(s.BreakerPeriod, time.Hour)
	s.BranchQueue = positive(s.BranchQueue, 64)
	s.JobQueue = positive(s.JobQueue, 64)
	return s
}

func positive[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// Effects carries out actions. It is safe for concurrent use and starts no goroutine.
type Effects struct {
	seams    Seams
	settings Settings
	log      zerolog.Logger
	branches keyLocks
	jobs     keyLocks
	messages keyLocks
	// render is rules.RenderDeferred.
	render func(a *rules.Action, results map[string]rules.Result) (ready *rules.Action, skipped string, err error)
}

// New makes the handlers of a worker.
func New(seams Seams, settings Settings, log zerolog.Logger) *Effects {
	settings = settings.withDefaults()
	return &Effects{
		seams:    seams,
		settings: settings,
		log:      log,
		branches: keyLocks{limit: settings.BranchQueue},
		jobs:     keyLocks{limit: settings.JobQueue},
		messages: keyLocks{limit: messageQueue},
		render:   rules.RenderDeferred,
	}
}

func (e *Effects) now() time.Time { return e.settings.Now().UTC() }

// readAction reads a work message and checks that it is a whole action of the wanted kind
// ("" any).
func readAction(m Message, kind string) (*rules.Action, error) {
	a := new(rules.Action)
	if err := json.Unmarshal(m.Data, a); err != nil {
		return nil, final(ClassMessage, "read the action of a message: %w", err)
	}
	if a.V > rules.FormatVersion {
		return nil, &RetryError{err: newerFormatError("action message", a.V)}
	}
	whole := a.Kind == rules.KindCommit && a.Commit != nil ||
		a.Kind == rules.KindBuild && a.Build != nil ||
		a.Kind == rules.KindNotify && a.Notify != nil ||
		a.Kind == rules.KindAlert && a.Alert != nil
	switch {
	case a.V < 1 || a.Key == "" || !whole:
		return nil, final(ClassMessage, "message is not a whole action: kind %q, key %q, format %d", a.Kind, a.Key, a.V)
	case kind != "" && a.Kind != kind:
		return nil, final(ClassMessage, "message holds an action of kind %s where %s is carried out", a.Kind, kind)
	}
	return a, nil
}

// workKey is the name of the record of a message: the action's key, or for a notify, which has
// one message for each target, the key of that message.
func workKey(m Message, a *rules.Action) string {
	if a.Kind != rules.KindNotify {
		return a.Key
	}
	if k := m.Header[headerKey]; k != "" {
		return k
	}
	return rules.WorkKey(a.Key, target(m, a))
}

// target is which of its targets a message of a notify is for.
func target(m Message, a *rules.Action) string {
	if t := m.Header[headerTarget]; t != "" || len(a.Notify.To) != 1 {
		return t
	}
	return a.Notify.To[0]
}

// put puts an action as work: one message, or for a notify one for each target. It may be done
// again: who carries a message out finds the record of the first.
func (e *Effects) put(ctx context.Context, from Message, a *rules.Action) error {
	switch a.Kind {
	case rules.KindCommit:
		return e.putOne(ctx, from, a, subjectCommit, a.Key, "")
	case rules.KindBuild:
		return e.putOne(ctx, from, a, subjectBuild, a.Key, "")
	case rules.KindAlert:
		return e.putOne(ctx, from, a, subjectAlert, a.Key, "")
	case rules.KindNotify:
		for i, t := range a.Notify.To {
			if slices.Contains(a.Notify.To[:i], t) {
				continue
			}
			one, notify := *a, *a.Notify
			notify.To = []string{t}
			one.Notify = &notify
			if err := e.putOne(ctx, from, &one, subjectNotify+t, rules.WorkKey(a.Key, t), t); err != nil {
				return err
			}
		}
		return nil
	}
	return final(ClassMessage, "action %s has the unknown kind %q", a.ID, a.Kind)
}

func (e *Effects) putOne(ctx context.Context, from Message, a *rules.Action, subject, key, target string) error {
	data, err := json.Marshal(a)
	if err != nil {
		return final(ClassMessage, "encode action %s: %w", a.ID, err)
	}
	header := map[string]string{
		headerKey: key, headerEvent: url.PathEscape(a.EventID), headerRun: a.RunID, headerRule: url.PathEscape(a.Rule),
	}
	if target != "" {
		header[headerTarget] = target
	}
	for _, name := range traceHeaders {
		if v := from.Header[name]; v != "" {
			header[name] = v
		}
	}
	if err := e.seams.Work.Put(ctx, subject, header, data); err != nil {
		return fmt.Errorf("put action %s as %s: %w", a.ID, subject, err)
	}
	log := e.actionLog(a, key)
	log.Debug().Str("subject", subject).Msg("work put")
	return nil
}

// actionLog is the logger of one action: every line about it has the same fields.
func (e *Effects) actionLog(a *rules.Action, key string) zerolog.Logger {
	c := e.log.With().Str("event_id", a.EventID).Str("rule", a.Rule).Str("run_id", a.RunID).
		Str("action_id", a.ID).Str("kind", a.Kind).Str("key", key)
	if a.Commit != nil {
		c = c.Str("repo_id", a.Commit.RepoID).Str("branch", a.Commit.Branch)
	}
	if a.Build != nil {
		c = c.Str("job_id", a.Build.JobID)
	}
	return c.Logger()
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

// ensureEvery is how often the schedules of the rules in use are looked after, for a server of another version, or a person, may have
// removed one; and how often a write to the timeline that failed is tried again.
const ensureEvery = 10 * time.Second

// Loader keeps the rules of a Live those of their origin: of rule files, or of what is pushed. A change is taken whole or not at
// all; while it is refused, or being written, the rules in use go on. It is used by one goroutine at a time, Trouble aside.
type Loader struct {
	origin    origin
	live      *Live
	schedules Schedules
	timeline  *Timeline // nil: nobody asks
	presence  *Presence // nil: nobody asks
	log       zerolog.Logger

	refusal *Refusal                // what is refused for good, until there is something else
	failure *Refusal                // what is tried again at each poll; each is logged once
	trouble atomic.Pointer[Refusal] // which of the two is to be told
	ensured time.Time               // when the schedules were last looked after
}

// origin is where a loader's rules come from.
type origin interface {
	// next is what is to be taken into use, nil when there is nothing new. It is asked again when it fails.
	next(ctx context.Context, now time.Time) (*offer, error)
	// handled says that what was offered is in use, or refused for good. What is not handled is offered again.
	handled(o *offer)
}

// offer is a ruleset to be taken into use.
type offer struct {
	read       contents // of files
	digest     string   // of what was pushed; that of files is known when they compile
	generation uint64   // of the push
	// compile makes the ruleset and sees to it that it is stored. What no later try can mend is [rules.Problems] or a *refusedError.
	compile func(ctx context.Context) (*rules.Ruleset, rules.Problems, error)
}

// refusedError says that what was pushed cannot be used by this program with its configuration.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// NewLoader makes a loader of the rule files of paths: files and folders.
func NewLoader(paths []string, live *Live, schedules Schedules, log zerolog.Logger) *Loader {
	return &Loader{origin: newFileSource(paths, live), live: live, schedules: schedules, log: log}
}

// NewPushedLoader makes a loader of the ruleset that was pushed last, as the record in records says.
func NewPushedLoader(records RecordReader, live *Live, schedules Schedules, log zerolog.Logger) *Loader {
	return &Loader{origin: &pushedSource{records: records, live: live}, live: live, schedules: schedules, log: log}
}

// Record makes the loader write down in t since when which rules are in use. Call it before the first load.
func (l *Loader) Record(t *Timeline) { l.timeline = t }

// Report makes the loader tell p which rules are in use and which are refused. Call it before the first load.
func (l *Loader) Report(p *Presence) { l.presence = p }

// Trouble is why the newest rules are not in use, "" when they are. It may be called by any goroutine.
func (l *Loader) Trouble() string {
	if t := l.trouble.Load(); t != nil {
		return t.Reason
	}
	return ""
}

// Load loads the rules for the first time, of files. now is the current time. What is wrong with the rules
// comes back as [rules.Problems]; nothing is loaded then.
func (l *Loader) Load(ctx context.Context, now time.Time) error {
	files, ok := l.origin.(*fileSource)
	if !ok {
		return errors.New("load rules: what is pushed has to be awaited")
	}
	o, err := files.first()
	if err != nil {
		return err
	}
	return l.use(ctx, o, now)
}

// Await polls every interval until rules are in use, or ctx is done.
func (l *Loader) Await(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for now := time.Now(); ctx.Err() == nil; {
		if l.Poll(ctx, now); l.live.Current() != nil {
			return
		}
		select {
		case <-ctx.Done():
		case now = <-ticker.C:
		}
	}
}

// Watch polls every interval until ctx is done.
func (l *Loader) Watch(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			l.Poll(ctx, now)
		}
	}
}

// Poll looks once whether there are other rules and loads them; of files what two polls in a row found the
// same, so that a folder half written is not loaded. It logs `rules loaded` or `rules refused`,
// a refusal once for each change. now is the current time.
func (l *Loader) Poll(ctx context.Context, now time.Time) {
	l.upkeep(ctx, now)
	o, err := l.origin.next(ctx, now)
	if err != nil {
		l.fail(ctx, err, "", now)
		return
	}
	if o == nil {
		l.failure = nil
		l.tell()
		return
	}
	var problems rules.Problems
	var refused *refusedError
	switch err := l.use(ctx, o, now); {
	case errors.As(err, &problems), errors.As(err, &refused):
		l.refuse(o, err, problems, now)
	case err != nil:
		l.fail(ctx, err, o.digest, now) // and try again at the next poll
	}
}

// use compiles what is offered, which stores it, starts its schedules, and then makes it the
// current ruleset.
func (l *Loader) use(ctx context.Context, o *offer, now time.Time) error {
	rs, problems, err := o.compile(ctx)
	if err != nil {
		return err
	}
	if err := l.ensureSchedules(ctx, rs); err != nil {
		return err
	}
	l.live.swap(rs)
	l.origin.handled(o)
	if l.timeline != nil {
		l.timeline.swapped(ctx, rs.Digest(), now)
	}
	if l.presence != nil {
		l.presence.loaded(rs.Digest(), o.generation, now)
	}
	l.failure, l.refusal = nil, nil
	l.tell()
	l.log.Info().Str("digest", rs.Digest()).Strs("rules", bounded(ruleNames(rs.Rules()))).Msg("rules loaded")
	if len(problems) > 0 { // warnings
		l.log.Warn().Str("digest", rs.Digest()).Strs("problems", bounded(texts(problems))).Msg("rules doubted")
	}
	return nil
}

// ensureSchedules starts the schedules of a ruleset that are not there.
func (l *Loader) ensureSchedules(ctx context.Context, rs *rules.Ruleset) error {
	for _, s := range rs.Schedules() {
		if err := l.schedules.EnsureSchedule(ctx, s.ID, s.Pattern, s.TimeZone); err != nil {
			return fmt.Errorf("start schedule %q: %w", s.Pattern, err)
		}
	}
	return nil
}

// upkeep starts again what is not there any more of the schedules in use, and writes what the timeline still lacks, now and then.
func (l *Loader) upkeep(ctx context.Context, now time.Time) {
	rs := l.live.Current()
	if rs == nil || now.Sub(l.ensured) < ensureEvery {
		return
	}
	l.ensured = now
	if l.timeline != nil {
		l.timeline.keep(ctx)
	}
	if err := l.ensureSchedules(ctx, rs); err != nil {
		l.log.Debug().Err(err).Msg("schedules not looked after") // the broker is away, and others say so
	}
}

// refuse says what is wrong with what is offered, for good. The rules in use go on.
func (l *Loader) refuse(o *offer, err error, problems rules.Problems, now time.Time) {
	l.origin.handled(o)
	l.failure, l.refusal = nil, &Refusal{Digest: o.digest, Reason: err.Error(), At: now.UTC()}
	if problems != nil {
		l.refusal.Reason = inShort(problems)
	}
	l.tell() // first why, then that it is final
	if l.presence != nil {
		l.presence.handled(o.generation)
	}
	if problems != nil {
		l.line(zerolog.ErrorLevel).Strs("problems", texts(problems)).Msg("rules refused")
		return
	}
	l.line(zerolog.ErrorLevel).Err(err).Msg("rules refused")
}

// fail says why rules could not be loaded, once for each reason in a row. It is tried again
// at each poll. digest is that of the rules, "" when it is not known.
func (l *Loader) fail(ctx context.Context, err error, digest string, now time.Time) {
	text := err.Error()
	if ctx.Err() != nil || l.failure != nil && l.failure.Reason == text {
		return
	}
	l.failure = &Refusal{Digest: digest, Reason: text, At: now.UTC()}
	l.tell()
	if errors.Is(err, errNothingPushed) {
		l.line(zerolog.WarnLevel).Str("reason", text).Msg("rules awaited")
		return
	}
	l.line(zerolog.WarnLevel).Err(err).Msg("rules refused")
}

// tell hands on what is the matter, if anything is.
func (l *Loader) tell() {
	trouble := l.failure
	if trouble == nil {
		trouble = l.refusal
	}
	if l.trouble.Swap(trouble) != trouble && l.presence != nil {
		l.presence.refused(trouble)
	}
}

func (l *Loader) line(level zerolog.Level) *zerolog.Event {
	line := l.log.WithLevel(level)
	if rs := l.live.Current(); rs != nil {
		line = line.Str("digest", rs.Digest()) // of the rules that go on
	}
	return line
}

func texts(problems rules.Problems) []string {
	all := make([]string, len(problems))
	for i, p := range problems {
		all[i] = p.String()
	}
	return all
}

// inShort is the first error, without the folders of its file, and how many there are besides.
func inShort(problems rules.Problems) string {
	errs, _ := problems.Count()
	for _, p := range problems {
		if p.Severity != rules.SeverityError {
			continue
		}
		p.File = path.Base(p.File)
		if errs > 1 {
			return fmt.Sprintf("%s, and %d more", p, errs-1)
		}
		return p.String()
	}
	return ""
}

package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

// settled is how long ago a file must have been changed for its size and time to be trusted: a
// file changed again at the same moment, to the same size, looks the same.
const settled = 3 * time.Second

// ensureEvery is how often the schedules of the rules in use are looked after, for a server of another version, or a person, may have
// removed one; and how often a write to the timeline that failed is tried again.
const ensureEvery = 10 * time.Second

// Loader keeps the rules of a Live those of the rule files. A change is taken whole or not at
// all; while the files are refused, or being written, the rules in use go on. It is used by one
// goroutine at a time.
type Loader struct {
	paths     []string
	live      *Live
	schedules Schedules
	timeline  *Timeline // nil: nobody asks
	log       zerolog.Logger

	stats   []fileStat // of the last poll
	trusted bool       // no file was fresh at that poll, and all was read
	pending contents   // read once, waiting to be read a second time
	handled contents   // loaded, or refused for good
	failure string     // the last failure logged, so that each is logged once
	ensured time.Time  // when the schedules were last looked after
}

// contents is one reading of all files, by hash.
type contents struct {
	hash [sha256.Size]byte
	set  bool
}

// NewLoader makes a loader of the rule files of paths: files and folders.
func NewLoader(paths []string, live *Live, schedules Schedules, log zerolog.Logger) *Loader {
	return &Loader{paths: slices.Clone(paths), live: live, schedules: schedules, log: log}
}

// Record makes the loader write down in t, from now on, since when which rules are in use. Call it before the first load.
func (l *Loader) Record(t *Timeline) { l.timeline = t }

// Load loads the rules for the first time. now is the current time. What is wrong with the rules
// comes back as [rules.Problems]; nothing is loaded then.
func (l *Loader) Load(ctx context.Context, now time.Time) error {
	files, err := l.readTwice()
	if err != nil {
		return err
	}
	if err := l.use(ctx, files, now); err != nil {
		return err
	}
	l.handled = contents{contentHash(files), true}
	if l.stats, err = statFiles(l.paths); err != nil {
		l.stats = nil // the next poll says what is the matter
	}
	l.trusted = false // what was read may be older than what was looked at
	return nil
}

// readTwice reads until two readings bring the same.
func (l *Loader) readTwice() ([]rules.File, error) {
	before, err := ReadFiles(l.paths)
	if err != nil {
		return nil, err
	}
	for range 5 {
		files, err := ReadFiles(l.paths)
		if err != nil {
			return nil, err
		}
		if contentHash(files) == contentHash(before) {
			return files, nil
		}
		before = files
	}
	return nil, errors.New("load rules: the files change while they are read")
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

// Poll looks once whether the files have changed and loads what two polls in a row found the
// same, so that a folder half written is not loaded. It logs `rules loaded` or `rules refused`,
// a refusal once for each change. now is the current time.
func (l *Loader) Poll(ctx context.Context, now time.Time) {
	l.upkeep(ctx, now)
	stats, err := statFiles(l.paths)
	if err != nil {
		l.fail(err)
		return
	}
	if l.trusted && slices.Equal(stats, l.stats) {
		return
	}
	files, err := readFiles(stats)
	if err != nil {
		l.fail(err)
		return
	}
	l.stats = stats
	read := contents{contentHash(files), true}
	if read == l.handled {
		l.pending, l.failure = contents{}, ""
		l.trusted = old(stats, now)
		return
	}
	l.trusted = false
	if read != l.pending {
		l.pending = read
		return
	}
	var problems rules.Problems
	switch err := l.use(ctx, files, now); {
	case errors.As(err, &problems):
		l.refuse(problems)
	case err != nil:
		l.fail(err) // and try again at the next poll
		return
	}
	l.handled, l.pending = read, contents{}
}

// old tells whether no file was changed so lately that it may change again unnoticed.
func old(stats []fileStat, now time.Time) bool {
	return !slices.ContainsFunc(stats, func(s fileStat) bool { return now.Sub(s.modified) < settled })
}

// use compiles the files, stores the ruleset, starts its schedules, and then makes it the
// current one.
func (l *Loader) use(ctx context.Context, files []rules.File, now time.Time) error {
	rs, problems := rules.Compile(files, l.live.catalogue)
	if problems.HasErrors() {
		return problems
	}
	data, err := encodeBundle(rs)
	if err != nil {
		return err
	}
	if err := l.live.store.PutRuleset(ctx, rs.Digest(), data); err != nil {
		return fmt.Errorf("store ruleset %s: %w", rs.Digest(), err)
	}
	if err := l.ensureSchedules(ctx, rs); err != nil {
		return err
	}
	l.live.swap(rs)
	if l.timeline != nil {
		l.timeline.swapped(ctx, rs.Digest(), now)
	}
	l.failure = ""
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

// refuse says what is wrong with the files. The rules in use go on.
func (l *Loader) refuse(problems rules.Problems) {
	l.failure = ""
	l.line(zerolog.ErrorLevel).Strs("problems", texts(problems)).Msg("rules refused")
}

// fail says why the files could not be loaded, once for each reason in a row. It is tried again
// at each poll.
func (l *Loader) fail(err error) {
	l.trusted = false
	if text := err.Error(); text != l.failure {
		l.failure = text
		l.line(zerolog.WarnLevel).Err(err).Msg("rules refused")
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

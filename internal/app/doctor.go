package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/rules"
)

// Verdict is what the doctor says of one point.
type Verdict string

// The verdicts.
const (
	VerdictOK      Verdict = "ok"
	VerdictWarn    Verdict = "warn"    // it works, and a person should know
	VerdictFail    Verdict = "fail"    // it does not work, or would lose events
	VerdictSkipped Verdict = "skipped" // not looked at, for the reason the text gives
)

// The codes of points. That of CodeArts is followed by the connection and one of the last five words.
const (
	codeConfig    = "config"
	codeReceiver  = "config.receiver"
	codeWorker    = "config.worker"
	codeJournal   = "receiver.journal"
	codeDisk      = "receiver.journal.disk"
	codeBroker    = "nats"
	codeMonitor   = "nats.monitor"
	codeReplicas  = "nats.replicas"
	codeSync      = "nats.sync"
	codeStores    = "nats.stores"
	codeRisks     = "nats.safety"
	codeClock     = "nats.clock"
	codeBacklog   = "work.backlog"
	codeUnclaimed = "work.targets"
	codeDead      = "work.dead_letters"
	codeSchedules = "work.schedules"
	codeRules     = "rules"
	codeCodeArts  = "codearts"
	codeSource    = "sources" // followed by the name of a source that is asked for builds

	partSignIn  = "sign_in"
	partProject = "project"
	partClock   = "clock"
	partBuild   = "build"
	partRepo    = "repo"
)

// Point is one thing the doctor looked at. Nothing in it is secret.
type Point struct {
	Code    string  `json:"code"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"`
	Remedy  string  `json:"remedy,omitempty"`
	// Status and ErrorCode are what CodeArts answered, where a probe tried something.
	Status    int    `json:"status,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
}

// Diagnosis is what the doctor found. Points of one code may come several times, one for each thing found.
type Diagnosis struct {
	Verdict Verdict `json:"verdict"` // the worst of the points: ok, warn or fail
	Points  []Point `json:"points"`
}

// Count is how many points have a verdict.
func (d *Diagnosis) Count(v Verdict) int {
	n := 0
	for _, p := range d.Points {
		if p.Verdict == v {
			n++
		}
	}
	return n
}

func (d *Diagnosis) add(v Verdict, code, remedy, format string, args ...any) {
	d.Points = append(d.Points, Point{Code: code, Verdict: v, Text: fmt.Sprintf(format, args...), Remedy: remedy})
	if v == VerdictFail || v == VerdictWarn && d.Verdict == VerdictOK {
		d.Verdict = v
	}
}

func (d *Diagnosis) ok(code, format string, args ...any) { d.add(VerdictOK, code, "", format, args...) }

func (d *Diagnosis) skip(code, format string, args ...any) {
	d.add(VerdictSkipped, code, "", format, args...)
}

// partTimeout bounds the look at the broker, and at each connection to CodeArts.
const partTimeout = 20 * time.Second

// mostProblems is how many problems of the rules are told.
const mostProblems = 20

// DoctorOptions are what the doctor may use beside the configuration.
type DoctorOptions struct {
	// Monitors are addresses of the monitoring of nats-servers, http://host:8222: only there they say how often they write to disk.
	Monitors []string
	// Disk looks at what a folder is on. nil: as the system says.
	Disk func(folder string) (Disk, error)
	// Probe, if not nil, has the doctor try on a branch of its own what CodeArts enforces.
	Probe *Probe
}

// Doctor looks at what receivers and workers of a configuration would meet: the configuration itself (read as Load reads it), the rules,
// the broker and its stores, and each CodeArts connection. It signs in to CodeArts and asks Build and Repo for something that is not there.
// Without a probe it makes and changes nothing.
func Doctor(ctx context.Context, path string, environ []string, opts DoctorOptions) *Diagnosis {
	if opts.Disk == nil {
		opts.Disk = diskOf
	}
	d := &Diagnosis{Verdict: VerdictOK}
	cfg, err := Load(path, environ)
	if err != nil {
		d.badConfig(err)
		for _, code := range []string{codeBroker, codeRules, codeCodeArts} {
			d.skip(code, "not looked at: the configuration is not right")
		}
		return d
	}
	d.ok(codeConfig, "the configuration can be read, and its secrets are there")
	d.unfinished(codeReceiver, cfg.CheckReceiver())
	d.unfinished(codeWorker, cfg.CheckWorker())
	files, ruleset := d.rules(ctx, cfg)
	asked := d.monitors(ctx, cfg, opts.Monitors)
	servers := d.broker(ctx, cfg, ruleset, asked)
	lazy, how := asked.lazy(servers)
	d.journal(cfg, opts.Disk, lazy, how)
	d.codeArts(ctx, cfg, files)
	if opts.Probe != nil {
		d.probe(ctx, cfg, *opts.Probe)
	}
	return d
}

// badConfig tells every problem of the configuration.
func (d *Diagnosis) badConfig(err error) {
	var problems config.Problems
	if !errors.As(err, &problems) {
		d.add(VerdictFail, codeConfig, "", "%v", err)
		return
	}
	for _, p := range problems {
		remedy := p.Hint
		p.Hint = ""
		d.add(VerdictFail, codeConfig, remedy, "%s", strings.TrimSuffix(p.Error(), " [config]"))
	}
}

// unfinished tells what a server could not start without. Only one of the two may be meant to run with this configuration.
func (d *Diagnosis) unfinished(code string, err error) {
	var problems config.Problems
	if !errors.As(err, &problems) {
		return
	}
	for _, p := range problems {
		d.add(VerdictWarn, code, p.Hint, "%s", p.Message)
	}
}

// rules compiles the rules as a worker would. Both results are nil when they would be refused.
func (d *Diagnosis) rules(ctx context.Context, cfg *config.Config) ([]rules.File, *rules.Ruleset) {
	if cfg.Worker.RulesFrom == engine.FromPushed {
		return d.pushedRules(ctx, cfg)
	}
	if len(cfg.Worker.Rules) == 0 {
		d.skip(codeRules, "no rules are configured")
		return nil, nil
	}
	files, err := engine.ReadFiles(cfg.Worker.Rules)
	if err != nil {
		d.add(VerdictFail, codeRules, "correct worker.rules", "a worker would not start: %v", err)
		return nil, nil
	}
	ruleset, problems := rules.Compile(files, Catalogue(cfg))
	for _, p := range problems[:min(len(problems), mostProblems)] {
		verdict, remedy := VerdictFail, "a worker would not start with it; one that runs keeps the rules it has. millrace rules check shows the place"
		if p.Severity == rules.SeverityWarning {
			verdict, remedy = VerdictWarn, p.Hint
			p.Hint = ""
		}
		d.add(verdict, codeRules, remedy, "%s", p)
	}
	if more := len(problems) - mostProblems; more > 0 {
		d.add(VerdictWarn, codeRules, "millrace rules check shows all", "and %d more", more)
	}
	if problems.HasErrors() {
		return nil, nil
	}
	d.ok(codeRules, "%s in %s, digest %.12s", counted(len(ruleset.Rules()), "rule"), counted(len(files), "file"), ruleset.Digest())
	return files, ruleset
}

// pushedRules compiles what is pushed, as a worker would.
func (d *Diagnosis) pushedRules(ctx context.Context, cfg *config.Config) ([]rules.File, *rules.Ruleset) {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	archive, err := openArchive(ctx, cfg)
	if err != nil {
		d.skip(codeRules, "what is pushed was not looked at: NATS cannot be used")
		return nil, nil
	}
	defer archive.Close()
	pushed, err := engine.ReadPushed(ctx, archive.conn)
	switch {
	case err != nil:
		d.skip(codeRules, "what is pushed was not looked at: %v", err)
		return nil, nil
	case pushed.Generation == 0:
		d.add(VerdictWarn, codeRules, "millrace rules push PATH…", "no ruleset has been pushed yet, so workers take no event")
		return nil, nil
	}
	ruleset, err := archive.Ruleset(ctx, pushed.Digest)
	if err != nil {
		d.add(VerdictFail, codeRules, "millrace rules push PATH…, or millrace rules rollback", "a worker would not use what is pushed: %v", err)
		return nil, nil
	}
	files := ruleset.Files()
	d.ok(codeRules, "%s in %s, digest %.12s, pushed by %s", counted(len(ruleset.Rules()), "rule"), counted(len(files), "file"), pushed.Digest, pushed.By)
	return files, ruleset
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "s") {
		what += "e"
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// placesOf are the first places, file:line, at which the files have text.
func placesOf(files []rules.File, text string) []string {
	const most = 3
	var places []string
	for _, f := range files {
		for i, line := range strings.Split(string(f.Data), "\n") {
			if strings.Contains(line, text) {
				places = append(places, fmt.Sprintf("%s:%d", f.Name, i+1))
			}
		}
	}
	if len(places) > most {
		places = append(slices.Clip(places[:most]), "…")
	}
	return places
}

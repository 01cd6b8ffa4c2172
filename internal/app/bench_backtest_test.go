package app_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

const (
	backtestRules  = 1000
	backtestEvents = 10_000
)

// backtestRuleset is a file of rules, each for one repository and with a fact, a condition and two templates. The first few have another
// text.
func backtestRuleset(changed int) rules.File {
	var text strings.Builder
	text.WriteString("rules:\n")
	for i := range backtestRules {
		word := "Pushed"
		if i < changed {
			word = "New"
		}
		fmt.Fprintf(&text, `  - name: rule-%d
    mode: shadow
    on: push
    match: { repository.path: shop/r%d, branch: main }
    fetch: { job: { job_config: { job_id: %s } } }
    when: size(event.commits) > 0 && facts.job.job_name != ""
    do: [ { notify: { to: team, title: "%s to ${{ event.repository.path }}", text: "By ${{ event.author.name }}, built by ${{ facts.job.job_name }}" } } ]
`, i, i, jobID, word)
	}
	return rules.File{Name: "rules.yaml", Data: []byte(text.String())}
}

// BenchmarkBacktest plays 1,000 rules on 10,000 recorded pushes, each of which fits one rule and was decided by a real worker, read from a
// real broker in this process: when one rule has changed, 100, and all.
func BenchmarkBacktest(b *testing.B) {
	w := newWorld(b, settings{EventsMaxBytes: "1GiB"})
	w.writeRule("rules.yaml", string(backtestRuleset(0).Data)) // in place of the only file there is
	w.record(backtestEvents)
	archive := w.archive()
	live, err := archive.Baseline(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	for _, changed := range []int{1, 100, backtestRules} {
		var files []rules.File
		for _, f := range live.Files() {
			if strings.HasSuffix(f.Name, "rules.yaml") {
				f.Data = backtestRuleset(changed).Data
			}
			files = append(files, f)
		}
		tried, problems := rules.Compile(files, archive.Catalogue())
		if problems.HasErrors() {
			b.Fatal(problems)
		}
		b.Run(fmt.Sprintf("changed=%d", changed), func(b *testing.B) {
			for b.Loop() {
				report, err := archive.Backtest(b.Context(), app.BacktestOptions{Before: live, After: tried, Examples: 5})
				if err != nil {
					b.Fatal(err)
				}
				if n := len(report.Rules); n != changed {
					b.Fatalf("%d rules differ", n)
				}
			}
			b.ReportMetric(float64(backtestEvents)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// record has a worker decide about n pushes, to one repository after the other.
func (w *world) record(n int) {
	w.t.Helper()
	_, stop := w.start("worker", func(ctx context.Context, cfg *config.Config, _ io.Writer, ready func()) error {
		cfg.Log.Level = "error"
		return app.Worker(ctx, cfg, io.Discard, ready)
	})
	look, at := w.look(), time.Now().UTC()
	var senders sync.WaitGroup
	for sender := range 64 {
		senders.Go(func() {
			for i := sender; i < n; i += 64 {
				path := fmt.Sprintf("shop/r%d", i%backtestRules)
				e := &events.Event{ID: fmt.Sprintf("shop/p%d", i), Source: "shop", Type: "push", Time: at, Repository: path, Body: fmt.Appendf(nil,
					`{"object_kind":"push","event_name":"push","before":"%040x","after":"%040x","ref":"refs/heads/main","checkout_sha":"%[2]040x",`+
						`"user_name":"Li Na","user_username":"lina","user_email":"lina@example.com","project_id":%d,`+
						`"project":{"id":%[3]d,"name":"r%[3]d","path_with_namespace":%q,"default_branch":"main","web_url":"https://codearts.example/%[4]s"},`+
						`"commits":[{"id":"%[2]040x","message":"count totals in cents","timestamp":"2026-04-01T08:30:00Z","author":{"name":"Li Na","email":"lina@example.com"},`+
						`"added":[],"modified":["totals.go"],"removed":[]}],"total_commits_count":1}`, i, i+1, i%backtestRules, path)}
				if _, err := look.PublishEvent(w.t.Context(), e); err != nil {
					w.t.Error(err)
					return
				}
			}
		})
	}
	senders.Wait()
	eventually(w.t, "everything to be decided", w.settled)
	stop()
}

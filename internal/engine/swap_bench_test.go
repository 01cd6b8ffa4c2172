package engine

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// manyRules are n rules in files of 20, with one `when` and two templates each, half of the texts repeated. Each version is another
// ruleset.
func manyRules(n, version int) []rules.File {
	var files []rules.File
	var b strings.Builder
	for i := range n {
		if i%20 == 0 {
			b.Reset()
			fmt.Fprintf(&b, "vars: { job: f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3 }\n# version %d\nrules:\n", version)
		}
		threshold := i
		if i%2 == 0 {
			threshold = i % 50
		}
		fmt.Fprintf(&b, `  - name: rule-%d
    on: push
    match: { repository.path: team-%d/repo-%d, branch: { glob: "release/**" } }
    fetch:
      build: { build_of_commit: { job_id: "${{ vars.job }}", commit: "${{ event.after }}" }, until: facts.build.finished }
    when: facts.build.outcome == "failed" && facts.build.build_no > %d
    do:
      - notify:
          to: ops
          title: "Build ${{ facts.build.build_no }} failed"
          text: "Commit ${{ short(event.after) + ' %d' }} on ${{ event.branch }}"
`, i, i%100, i, threshold, threshold)
		if i%20 == 19 || i == n-1 {
			files = append(files, rules.File{Name: fmt.Sprintf("rules-%05d.yaml", i/20), Data: []byte(b.String())})
		}
	}
	return files
}

// latencies counts how long matches took, exactly up to a limit.
type latencies struct {
	counts []int32 // by steps of 10 ns
	n      int
	most   time.Duration
}

func newLatencies() *latencies { return &latencies{counts: make([]int32, 1_000_000)} }

func (l *latencies) add(d time.Duration) {
	l.counts[min(int(d/10), len(l.counts)-1)]++
	l.n++
	l.most = max(l.most, d)
}

// at is the time that a share of the matches did not exceed, in nanoseconds.
func (l *latencies) at(share float64) float64 {
	rank, seen := int(math.Ceil(share*float64(l.n))), 0
	for i, c := range l.counts {
		if seen += int(c); seen >= rank {
			return float64(i)*10 + 5
		}
	}
	return float64(l.most)
}

// matching matches events until stop says so: one after the other, or, with a pace, one each time it has passed, and counts from the
// moment that one is due.
func (l *latencies) matching(b *testing.B, live *Live, pace time.Duration, stop func(matched int) bool) {
	evs := manyEvents()
	dst := make([]*rules.Rule, 0, 16)
	timer := time.NewTimer(0)
	<-timer.C
	due := time.Now()
	for i := 0; !stop(i); i++ {
		if due = due.Add(pace); pace == 0 {
			due = time.Now()
		} else if left := time.Until(due); left > 0 {
			timer.Reset(left)
			<-timer.C
		}
		dst = live.Current().Match(dst[:0], &evs[i%len(evs)])
		l.add(time.Since(due))
		if len(dst) != 1 {
			b.Fatalf("%d rules fit, want 1", len(dst))
		}
	}
}

const benchmarked = 10000 // rules

// manyEvents are events that one of manyRules fits.
func manyEvents() []events.Flat {
	evs := make([]events.Flat, 64)
	for i := range evs {
		no := i * benchmarked / len(evs)
		evs[i].Set(events.FieldType, "push")
		evs[i].Set(events.FieldSource, "shop")
		evs[i].Set(events.FieldRepositoryPath, fmt.Sprintf("team-%d/repo-%d", no%100, no))
		evs[i].Set(events.FieldBranch, "release/2.4")
	}
	return evs
}

// BenchmarkSwap is how long 10,000 rules take to be compiled and swapped in, and how long matching takes meanwhile and without: events
// one after the other, and one each millisecond, whose times have the wake-up in them. A turn is one swap.
func BenchmarkSwap(b *testing.B) {
	b.Run("one-after-the-other", func(b *testing.B) { benchmarkSwap(b, 0, 3_000_000) })
	b.Run("each-millisecond", func(b *testing.B) { benchmarkSwap(b, time.Millisecond, 3000) })
}

func benchmarkSwap(b *testing.B, pace time.Duration, matches int) {
	live := NewLive(Catalogue(nil, nil), nil)
	load := func(files []rules.File) {
		rs, problems := rules.Compile(files, live.catalogue)
		if rs == nil {
			b.Error(problems)
			return
		}
		live.swap(rs)
	}
	load(manyRules(benchmarked, 0))
	if live.Current() == nil {
		b.FailNow()
	}
	steady, swapping := newLatencies(), newLatencies()
	var compiling time.Duration
	version := 0
	for b.Loop() {
		version++
		files := manyRules(benchmarked, version)
		runtime.GC()
		steady.matching(b, live, pace, func(matched int) bool { return matched == matches })
		old, began := live.Current(), time.Now()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			load(files)
		}()
		swapping.matching(b, live, pace, func(int) bool { return live.Current() != old || b.Failed() })
		compiling += time.Since(began)
		<-ended
	}
	report := func(l *latencies, when string) {
		for _, p := range []struct {
			name  string
			share float64
		}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}} {
			b.ReportMetric(l.at(p.share), p.name+"-"+when+"-ns")
		}
		b.ReportMetric(float64(l.most), "max-"+when+"-ns")
	}
	report(steady, "steady")
	report(swapping, "swapping")
	b.ReportMetric(swapping.at(0.999)/steady.at(0.999), "p99.9-ratio")
	b.ReportMetric(compiling.Seconds()/float64(version), "s/swap")
	b.ReportMetric(float64(swapping.n)/float64(version), "matches-swapping/swap")
	b.ReportMetric(0, "ns/op") // it says nothing: a turn is both phases
}

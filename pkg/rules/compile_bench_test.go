package rules

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// manyRules are n rules in files of 20: one `when` and two templates each, half of the texts repeated.
func manyRules(n int) []File {
	var files []File
	var b strings.Builder
	for i := range n {
		if i%20 == 0 {
			b.Reset()
			b.WriteString("vars: { job: f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3 }\nrules:\n")
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
			files = append(files, File{Name: fmt.Sprintf("rules-%05d.yaml", i/20), Data: []byte(b.String())})
		}
	}
	return files
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			files, cat := manyRules(n), testCatalogue()
			b.ReportAllocs()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var keep *Ruleset
			for b.Loop() {
				rs, problems := Compile(files, cat)
				if len(problems) > 0 {
					b.Fatal(problems)
				}
				keep = rs
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB-kept")
			runtime.KeepAlive(keep)
		})
	}
}

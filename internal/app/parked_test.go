package app_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestParkedRunsDelayNobody: 10,000 runs wait for builds that do not come, and an event that has nothing to do with them is decided
// and told while every one of them is still parked. (How it is done, internal/stream tests; here the engine parks them.)
func TestParkedRunsDelayNobody(t *testing.T) {
	t.Parallel()
	const rules, pushes = 200, 50
	w := newWorld(t, settings{Rules: "shop", LogLevel: "info"})
	w.writeRule("builds.yaml", waitingRules(rules))
	w.startReceiver()
	log, _ := w.startWorkerHere()
	for i := range pushes {
		w.deliver(fmt.Appendf(nil, `{"object_kind":"push","uuid":"push-%d","ref":"refs/heads/main","after":"%040x","project":{"id":%s,"path_with_namespace":%q}}`,
			i, i+1, repoID, repoPath))
	}
	waiting := func() error {
		if n := w.counts(); n.Parked != rules*pushes || n.Work != 0 {
			return fmt.Errorf("%d are parked, %d are not", n.Parked, n.Work)
		}
		return nil
	}
	within(t, 4*patience, "all facts to be asked for", func() error { // counting what is parked is dear
		if n := w.fake.Calls("job_runs"); n < rules*pushes {
			return fmt.Errorf("%d times", n)
		}
		return nil
	})
	eventually(t, "all runs to be parked", waiting)
	w.deliver(mergeRequest(t, 9))
	eventually(t, "the messages", func() error { return w.atLeast(announced(9)...) })
	eventually(t, "nothing but what is parked to be left", waiting)
	if n := len(log.lines("run decided")); n != 1 {
		t.Errorf("%d runs are decided", n)
	}
}

// waitingRules is a file of so many rules, each of which waits for a build.
func waitingRules(n int) string {
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range n {
		fmt.Fprintf(&b, `  - name: wait-%d
    on: push
    match: { repository.path: shop/*, branch: main }
    fetch:
      build:
        build_of_commit: { job_id: %s, commit: "${{ event.after }}" }
        until: facts.build.finished
        every: 1h
        timeout: 5h
    do:
      - notify: { to: [ops], title: "Built", text: "${{ facts.build.build_no }}" }
`, i, jobID)
	}
	return b.String()
}

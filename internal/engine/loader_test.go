package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/rules"
)

// reloading is a loader on a folder, and the time of its polls.
type reloading struct {
	t      *testing.T
	folder string
	store  *memory
	log    *lines
	live   *Live
	loader *Loader
	at     time.Time
}

func newReloading(t *testing.T, files map[string]string) *reloading {
	t.Helper()
	r := &reloading{t: t, folder: t.TempDir(), store: newMemory(), log: &lines{}, at: start}
	r.live = NewLive(Catalogue(nil, nil), r.store)
	r.loader = NewLoader([]string{r.folder}, r.live, r.store, r.log.logger())
	for name, text := range files {
		r.write(name, text)
	}
	return r
}

// write writes a file and gives it the time of the next poll.
func (r *reloading) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.folder, name)
	writeFile(r.t, path, text)
	if err := os.Chtimes(path, r.at, r.at); err != nil {
		r.t.Fatal(err)
	}
}

// poll polls n times, a second apart.
func (r *reloading) poll(n int) {
	for range n {
		r.at = r.at.Add(time.Second)
		r.loader.Poll(r.t.Context(), r.at)
	}
}

func (r *reloading) wantRules(names ...string) {
	r.t.Helper()
	if diff := cmp.Diff(names, ruleNames(r.live.Current().Rules())); diff != "" {
		r.t.Errorf("rules: %s", diff)
	}
}

func (r *reloading) wantLines(message string, n int) []map[string]any {
	r.t.Helper()
	found := r.log.all(r.t, message)
	if len(found) != n {
		r.t.Errorf("%d lines %q, want %d: %v", len(found), message, n, found)
	}
	return found
}

func oneRule(name string) string {
	return fmt.Sprintf("rules:\n  - name: %s\n    on: push\n    do: [ { notify: { to: [team], title: t, text: t } } ]\n", name)
}

func TestLoadAndReload(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": oneRule("one")})
	if err := r.loader.Load(t.Context(), r.at); err != nil {
		t.Fatal(err)
	}
	r.wantRules("one")
	first := r.live.Current().Digest()
	if r.store.rulesets[first] == nil {
		t.Error("the ruleset in use is not stored")
	}
	r.poll(5)
	r.wantLines("rules loaded", 1)

	r.write("b.yaml", oneRule("two"))
	r.poll(1)
	r.wantRules("one")
	r.poll(1)
	r.wantRules("one", "two")
	r.poll(5)
	r.wantLines("rules loaded", 2)
	if r.store.rulesets[r.live.Current().Digest()] == nil {
		t.Error("the ruleset in use is not stored")
	}
	if _, err := r.live.Ruleset(t.Context(), first); err != nil {
		t.Errorf("the ruleset before: %v", err)
	}
}

// Files that look the same to stat are read all the same while they are young.
func TestReloadSeesAChangeWithinTheSameMoment(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": oneRule("one")})
	if err := r.loader.Load(t.Context(), r.at); err != nil {
		t.Fatal(err)
	}
	written := r.at
	r.poll(1)
	path := filepath.Join(r.folder, "a.yaml")
	writeFile(t, path, oneRule("two"))
	if err := os.Chtimes(path, written, written); err != nil {
		t.Fatal(err)
	}
	r.poll(2)
	r.wantRules("two")
}

func TestReloadWaitsForAFolderHalfWritten(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": oneRule("one")})
	if err := r.loader.Load(t.Context(), r.at); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"two", "three", "four"} { // a new file at each poll
		r.write(name+".yaml", oneRule(name))
		r.poll(1)
		r.wantRules("one")
	}
	r.poll(1)
	r.wantRules("one", "four", "three", "two")
	r.wantLines("rules loaded", 2)
}

// TestReloadWarns: rules that load and cannot be meant are told of, and used.
func TestReloadWarns(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": oneRule("one")})
	if err := r.loader.Load(t.Context(), r.at); err != nil {
		t.Fatal(err)
	}
	r.wantLines("rules doubted", 0)
	r.write("b.yaml", strings.Replace(oneRule("two"), "on: push", "on: push\n    match: { tag: v1 }", 1))
	r.poll(10)
	r.wantRules("one", "two")
	line := r.wantLines("rules doubted", 1)[0]
	wantField(t, line, "digest", r.live.Current().Digest())
	if problems := fmt.Sprint(line["problems"]); line["level"] != "warn" || !strings.Contains(problems, "warning: match: no event of this rule has tag") {
		t.Errorf("line %v", line)
	}
}

func TestReloadRefusesWholeAndSaysSoOnce(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": oneRule("one")})
	if err := r.loader.Load(t.Context(), r.at); err != nil {
		t.Fatal(err)
	}
	digest := r.live.Current().Digest()
	r.write("b.yaml", oneRule("two"))
	r.write("c.yaml", strings.Replace(oneRule("three"), "on: push", "on: pusch", 1)+strings.Replace(oneRule("x"), "rules:\n", "", 1)+"    wenn: true\n")
	r.poll(10)
	r.wantRules("one")
	line := r.wantLines("rules refused", 1)[0]
	wantField(t, line, "digest", digest)
	if problems := fmt.Sprint(line["problems"]); !strings.Contains(problems, "c.yaml:3:") || !strings.Contains(problems, "wenn") {
		t.Errorf("problems %s", problems)
	}

	r.write("c.yaml", strings.Replace(oneRule("three"), "on: push", "on: puschel", 1)) // another mistake is told again
	r.poll(10)
	r.wantLines("rules refused", 2)
	r.wantRules("one")

	r.write("c.yaml", oneRule("three"))
	r.poll(2)
	r.wantRules("one", "two", "three")
}

func TestReloadKeepsTheRulesWhenTheFilesAreGone(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": oneRule("one")})
	if err := r.loader.Load(t.Context(), r.at); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(r.folder, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	r.poll(5)
	r.wantRules("one")
	r.wantLines("rules refused", 1)
	r.write("a.yaml", oneRule("two"))
	r.poll(2)
	r.wantRules("two")
}

func TestReloadTriesAgainWhenTheStoreIsAway(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": oneRule("one")})
	if err := r.loader.Load(t.Context(), r.at); err != nil {
		t.Fatal(err)
	}
	r.write("a.yaml", oneRule("two"))
	r.poll(1)
	r.store.breakAt = r.store.calls + 1
	r.poll(1)
	r.wantRules("one")
	r.wantLines("rules refused", 1)
	r.poll(1)
	r.wantRules("two")
}

func TestFirstLoadFails(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": strings.Replace(oneRule("one"), "on: push", "on: pusch", 1)})
	err := r.loader.Load(t.Context(), r.at)
	var problems rules.Problems
	if !errors.As(err, &problems) || len(problems) != 1 {
		t.Errorf("error %v", err)
	}
	if r.live.Current() != nil {
		t.Error("rules are in use")
	}
	empty := newReloading(t, nil)
	if err := empty.loader.Load(t.Context(), r.at); err == nil {
		t.Error("no error without any file")
	}
}

func TestNothingIsUsedThatIsNotStored(t *testing.T) {
	for call := 1; call <= 2; call++ { // the ruleset, its schedule
		r := newReloading(t, map[string]string{"a.yaml": strings.Replace(oneRule("one"), "on: push", "on: { schedule: { every: 5s } }", 1)})
		r.store.breakAt = call
		if err := r.loader.Load(t.Context(), r.at); !errors.Is(err, errBroken) {
			t.Errorf("call %d: error %v", call, err)
		}
		if r.live.Current() != nil {
			t.Errorf("call %d: rules are in use", call)
		}
	}
}

func TestLoadStartsSchedules(t *testing.T) {
	nine := strings.Replace(oneRule("one"), "on: push", `on: { schedule: { cron: "0 9 * * *", time_zone: Asia/Shanghai } }`, 1)
	r := newReloading(t, map[string]string{"a.yaml": nine, "b.yaml": strings.Replace(nine, "name: one", "name: two", 1)})
	if err := r.loader.Load(t.Context(), r.at); err != nil {
		t.Fatal(err)
	}
	if len(r.store.schedules) != 1 || !strings.HasSuffix(r.store.schedules[0], "|0 0 9 * * *|Asia/Shanghai") {
		t.Errorf("schedules %q", r.store.schedules)
	}
}

func TestWatchPollsUntilItIsTold(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": oneRule("one")})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := r.loader.Load(ctx, time.Now()); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.loader.Watch(ctx, time.Second)
		}()
		r.write("a.yaml", oneRule("two"))
		<-time.After(2500 * time.Millisecond) // of the bubble's clock
		synctest.Wait()
		r.wantRules("two")
		cancel()
		<-ended
	})
}

// A schedule that vanishes from the broker, as an older server may have it, is started again while the rules stay the same.
func TestLoaderKeepsSchedules(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": strings.Replace(oneRule("one"), "on: push", "on: { schedule: { every: 5s } }", 1)})
	if err := r.loader.Load(t.Context(), r.at); err != nil {
		t.Fatal(err)
	}
	r.poll(2)
	r.store.schedules = nil // it is gone
	r.poll(2 * int(ensureEvery/time.Second))
	if n := len(r.store.schedules); n != 2 {
		t.Errorf("in %s it was looked after %d times, want 2", 2*ensureEvery, n)
	}
	if n := len(r.log.all(t, "rules loaded")); n != 1 {
		t.Errorf("the rules were loaded %d times", n)
	}
}

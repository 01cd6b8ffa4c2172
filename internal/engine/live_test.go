package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/millrace/millrace/pkg/rules"
)

func compiled(t *testing.T, live *Live, name string) *rules.Ruleset {
	t.Helper()
	rs, problems := rules.Compile([]rules.File{{Name: "r.yaml", Data: []byte(oneRule(name))}}, live.catalogue)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return rs
}

func TestRulesetsAreReadBackAndKept(t *testing.T) {
	store := newMemory()
	live := NewLive(Catalogue(nil, nil), store)
	var digests []string
	for i := range keptRulesets + 2 {
		rs := compiled(t, live, fmt.Sprintf("rule-%d", i))
		data, err := encodeBundle(rs)
		if err != nil {
			t.Fatal(err)
		}
		store.rulesets[rs.Digest()] = data
		digests = append(digests, rs.Digest())
	}
	for _, d := range digests {
		for range 2 {
			rs, err := live.Ruleset(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			if rs.Digest() != d {
				t.Errorf("digest %s, want %s", rs.Digest(), d)
			}
		}
	}
	if store.calls != len(digests) {
		t.Errorf("%d reads, want one for each of %d", store.calls, len(digests))
	}
	if len(live.kept) != keptRulesets {
		t.Errorf("%d rulesets kept", len(live.kept))
	}
	if _, err := live.Ruleset(t.Context(), digests[0]); err != nil || store.calls != len(digests)+1 {
		t.Errorf("the oldest is still kept (%d reads), error %v", store.calls, err)
	}
}

func TestRulesetsThatCannotBeUsed(t *testing.T) {
	store := newMemory()
	live := NewLive(Catalogue(nil, nil), store)
	other, err := encodeBundle(compiled(t, live, "other"))
	if err != nil {
		t.Fatal(err)
	}
	store.rulesets["other"] = other
	store.rulesets["broken"] = []byte("{")
	store.rulesets["newer"] = []byte(`{"v":2}`)
	store.rulesets["refused"] = []byte(`{"v":1,"files":[{"name":"a.yaml","data":"cnVsZXM6IDE="}]}`)
	for _, digest := range []string{"other", "broken"} {
		_, err := live.Ruleset(t.Context(), digest)
		wantFinal(t, err, ClassRuleset)
	}
	for _, digest := range []string{"gone", "newer", "refused"} { // another worker, or this one later, may have it
		_, err := live.Ruleset(t.Context(), digest)
		if class, final := verdict(err); final || class != ClassRuleset {
			t.Errorf("%s: error %v (class %q, final %t), want to be tried again", digest, err, class, final)
		}
	}
	store.breakAt = store.calls + 1
	_, err = live.Ruleset(t.Context(), "gone")
	if _, final := verdict(err); final || !errors.Is(err, errBroken) {
		t.Errorf("error %v, want to be tried again", err)
	}
}

func TestBundlesAreTheSameEverywhere(t *testing.T) {
	live := NewLive(Catalogue(nil, nil), newMemory())
	a := rules.File{Name: "a.yaml", Data: []byte(oneRule("a"))}
	b := rules.File{Name: "b.yaml", Data: []byte("# 编号\n" + oneRule("b"))}
	var bundles []string
	for _, files := range [][]rules.File{{a, b}, {b, a}} {
		rs, problems := rules.Compile(files, live.catalogue)
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		data, err := encodeBundle(rs)
		if err != nil {
			t.Fatal(err)
		}
		bundles = append(bundles, string(data))
	}
	if bundles[0] != bundles[1] {
		t.Error("the order of the files shows")
	}
}

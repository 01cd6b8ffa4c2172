package engine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

const notifyRules = `
rules:
  - name: tell
    on: push
    match: { repository.path: shop/orders }
    do:
      - notify: { to: [team], title: "push", text: "to ${{ event.branch }}" }
  - name: tell-own
    on: push
    on_own_commits: true
    do:
      - notify: { to: [ops], title: "push", text: "by us" }
  - name: elsewhere
    on: push
    match: { repository.path: shop/stock }
    do:
      - notify: { to: [ops], title: "push", text: "x" }
`

func ruleNamesOf(runs []Message) []string {
	names := []string{}
	for _, r := range runs {
		names = append(names, r.Header[headerRule])
	}
	return names
}

func TestMatchPutsOneRunPerCandidate(t *testing.T) {
	f := newFixture(t, notifyRules, nil)
	m := push("1", commitA, "fix totals")
	m.Header["traceparent"] = "00-abc-def-01"
	runs := f.match(m)
	if diff := cmp.Diff([]string{"tell", "tell-own"}, ruleNamesOf(runs)); diff != "" {
		t.Fatal(diff)
	}
	h := runs[0].Header
	want := m.Header
	for k, v := range map[string]string{
		headerKey: rules.RunID("repo/1", "tell"), headerRun: rules.RunID("repo/1", "tell"),
		headerRule: "tell", headerDigest: f.live.Current().Digest(),
	} {
		want[k] = v
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
	if string(runs[0].Data) != string(m.Data) {
		t.Error("the run does not carry the event's body")
	}
	line := f.wantLines("matched", 1)[0]
	wantField(t, line, "candidates", "2")
	wantField(t, line, "rules", "[tell tell-own]")
	wantField(t, line, "event_id", "repo/1")
	f.wantLines("match recorded", 1)
	f.wantLines("own commit recognised", 0)
}

func TestMatchLeavesNothingWithoutCandidates(t *testing.T) {
	f := newFixture(t, notifyRules, nil)
	e := &events.Event{ID: "repo/9", Source: "repo", Type: "unknown.wiki", Time: start, Body: []byte(`{"object_kind":"wiki"}`)}
	if runs := f.match(eventMessage(e)); len(runs) != 0 {
		t.Errorf("%d runs", len(runs))
	}
	if len(f.store.records) != 0 {
		t.Errorf("records: %v", f.store.records)
	}
	wantField(t, f.wantLines("matched", 1)[0], "candidates", "0")
}

func TestMatchUsesTheRecordItFinds(t *testing.T) {
	f := newFixture(t, notifyRules, nil)
	before := f.match(push("1", commitA, "fix totals"))
	f.load(strings.NewReplacer("name: tell\n", "name: tell-renamed\n", "name: elsewhere", "name: tell-more", "shop/stock", "shop/orders").Replace(notifyRules))
	again := f.match(push("1", commitA, "fix totals"))
	if diff := cmp.Diff(before, again); diff != "" {
		t.Errorf("the redelivered event is not handled as before: %s", diff)
	}
	if n := f.store.creations[matchSubject("repo/1")]; n != 1 {
		t.Errorf("%d match records", n)
	}
	other := f.match(push("2", commitA, "fix totals"))
	if diff := cmp.Diff([]string{"tell-renamed", "tell-own", "tell-more"}, ruleNamesOf(other)); diff != "" {
		t.Errorf("a new event does not meet the new rules: %s", diff)
	}
}

func TestMatchUsesTheRecordOfAnotherWorker(t *testing.T) {
	f := newFixture(t, notifyRules, nil)
	f.store.onCreate = func(subject string) {
		f.store.onCreate = nil
		f.store.setRecord(t, subject, matchRecord{
			V: 1, EventID: "repo/1", Digest: "d1", Candidates: []string{"theirs"}, Chain: events.Chain{Depth: 2, Origin: "repo/ü 0", Action: "k"},
		})
	}
	runs := f.match(push("1", commitA, "fix totals"))
	if diff := cmp.Diff([]string{"theirs"}, ruleNamesOf(runs)); diff != "" {
		t.Fatal(diff)
	}
	o, err := readOrder(runs[0])
	if err != nil {
		t.Fatal(err)
	}
	if want := (events.Chain{Depth: 2, Origin: "repo/ü 0", Action: "k"}); o.chain != want || o.digest != "d1" {
		t.Errorf("chain %+v, digest %s", o.chain, o.digest)
	}
	f.wantLines("match recorded", 0)
}

func TestMatchLoopGuard(t *testing.T) {
	key := rules.ActionKey("run", "", "note")
	ours := map[string]any{"v": 1, "key": key, "depth": 1, "origin": "repo/0"}
	action := func(state string) map[string]any {
		return map[string]any{"v": 1, "state": state, "kind": "commit", "depth": 2, "origin": "repo/0"}
	}
	done := func(attempts int, id string) map[string]any {
		rec := action("done")
		rec["attempt"], rec["result"] = attempts, map[string]any{"id": id}
		return rec
	}
	trailer := rules.WithTrailer("docs: note", key)
	tests := []struct {
		name    string
		message string
		record  string // subject
		content map[string]any
		want    []string
		chain   events.Chain
	}{
		{name: "nobody's", message: "fix", want: []string{"tell", "tell-own"}},
		{
			name: "by id", message: "fix", record: commitSubject(commitA), content: ours,
			want: []string{"tell-own"}, chain: events.Chain{Depth: 1, Origin: "repo/0", Action: key},
		},
		{
			name: "by trailer", message: trailer, record: actionSubject(key), content: action("started"),
			want: []string{"tell-own"}, chain: events.Chain{Depth: 2, Origin: "repo/0", Action: key},
		},
		{name: "by a trailer we never wrote", message: trailer, want: []string{"tell", "tell-own"}},
		{
			name: "by the trailer of a commit never sent", message: trailer, record: actionSubject(key), content: action("skipped"),
			want: []string{"tell", "tell-own"},
		},
		{
			name: "by the trailer of another commit, copied", message: trailer, record: actionSubject(key), content: done(1, commitB),
			want: []string{"tell", "tell-own"},
		},
		{
			name: "by the trailer of one of several attempts", message: trailer, record: actionSubject(key), content: done(2, commitB),
			want: []string{"tell-own"}, chain: events.Chain{Depth: 2, Origin: "repo/0", Action: key},
		},
		{
			name: "by the trailer of a commit whose own record is gone", message: trailer, record: actionSubject(key), content: done(1, commitA),
			want: []string{"tell-own"}, chain: events.Chain{Depth: 2, Origin: "repo/0", Action: key},
		},
		{
			name: "at the limit", message: "fix", record: commitSubject(commitA),
			content: map[string]any{"v": 1, "key": key, "depth": 3, "origin": "repo/0"},
			want:    []string{"tell-own"}, chain: events.Chain{Depth: 3, Origin: "repo/0", Action: key},
		},
		{
			name: "too deep", message: "fix", record: commitSubject(commitA),
			content: map[string]any{"v": 1, "key": key, "depth": 4, "origin": "repo/0"},
			want:    []string{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, notifyRules, nil)
			if tt.record != "" {
				f.store.setRecord(t, tt.record, tt.content)
			}
			runs := f.match(push("1", commitA, tt.message))
			if diff := cmp.Diff(tt.want, ruleNamesOf(runs)); diff != "" {
				t.Fatal(diff)
			}
			for _, r := range runs {
				o, err := readOrder(r)
				if err != nil {
					t.Fatal(err)
				}
				if o.chain != tt.chain {
					t.Errorf("chain %+v, want %+v", o.chain, tt.chain)
				}
			}
			recognised := 0
			if len(tt.want) < 2 {
				recognised = 1
			}
			for _, line := range f.wantLines("own commit recognised", recognised) {
				wantField(t, line, "key", key)
				wantField(t, line, "commit", commitA)
			}
		})
	}
}

func TestMatchLoopGuardWithoutAnyDepth(t *testing.T) {
	f := newFixture(t, notifyRules, nil)
	f.limit(Limits{ChainDepth: -1})
	f.store.setRecord(t, commitSubject(commitA), map[string]any{"v": 1, "key": rules.ActionKey("run", "", "note"), "depth": 1, "origin": "repo/0"})
	if runs := f.match(push("1", commitA, "fix")); len(runs) != 0 {
		t.Errorf("%v see a commit of ours", ruleNamesOf(runs))
	}
	if runs := f.match(push("2", commitA[1:]+"2", "fix")); len(runs) != 2 {
		t.Errorf("%v see the commit of somebody else", ruleNamesOf(runs))
	}
}

func TestMatchRefusesWhatIsNoEvent(t *testing.T) {
	f := newFixture(t, notifyRules, nil)
	wantFinal(t, f.engine.Match(t.Context(), Message{Data: []byte("{}")}), ClassMessage)
	m := push("1", commitA, "x")
	m.Data = []byte("no JSON")
	wantFinal(t, f.engine.Match(t.Context(), m), ClassMessage)
}

func TestRecordOfANewerFormatIsLeftToOthers(t *testing.T) {
	f := newFixture(t, notifyRules, nil)
	f.store.setRecord(t, matchSubject("repo/1"), map[string]any{"v": 2})
	err := f.engine.Match(t.Context(), push("1", commitA, "x"))
	if _, final := verdict(err); err == nil || final {
		t.Errorf("verdict %v, want to be tried again", err)
	}
}

package engine

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/rules"
)

func TestReason(t *testing.T) {
	no := rules.Explanation{Label: "when", Verdict: rules.False, Children: []rules.Explanation{
		{Label: "a", Verdict: rules.True},
		{Label: "facts.build.outcome", Wanted: `"failed"`, Seen: json.RawMessage(`"succeeded"`), Verdict: rules.False},
	}}
	tests := []struct {
		d    rules.Decision
		want string
	}{
		{rules.Decision{Outcome: rules.OutcomeActed}, ""},
		{rules.Decision{Outcome: rules.OutcomeSkipped, Reason: "in vain"}, "in vain"},
		{rules.Decision{Outcome: rules.OutcomeNoMatch}, "there are no items"},
		{rules.Decision{Outcome: rules.OutcomeNoMatch, Items: []rules.Item{{Explanation: no}}}, `facts.build.outcome: wanted "failed", seen "succeeded"`},
		{
			rules.Decision{Outcome: rules.OutcomeNoMatch, Items: []rules.Item{{Key: "p1", Explanation: no}, {Key: "p2", Explanation: no}}},
			`none of 2 items, the first (p1): facts.build.outcome: wanted "failed", seen "succeeded"`,
		},
		{rules.Decision{Reason: strings.Repeat("界", 200)}, strings.Repeat("界", 100) + "…"},
	}
	for _, tt := range tests {
		if got := reasonOf(&tt.d); got != tt.want {
			t.Errorf("reason %q, want %q", got, tt.want)
		}
	}
}

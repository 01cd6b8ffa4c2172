package rules

import (
	"strconv"

	"go.yaml.in/yaml/v3"
)

// restraints reads what keeps a rule from acting too often: throttle, latest_only and limit. What a throttle's key may name is known by
// now.
func (b *ruleCompiler) restraints(m *mapping) {
	b.rule.latestOnly = b.boolean(m.get("latest_only"), "latest_only")
	b.throttle(m.get("throttle"))
	b.limit(m.get("limit"))
}

func (b *ruleCompiler) throttle(n *yaml.Node) {
	if n == nil {
		return
	}
	m := b.mapping(n, "throttle")
	if m == nil {
		return
	}
	b.onlyWithin(m, "throttle", []level{{"throttle", ruleKeys.names}}, throttleKeys)
	b.required(m, "throttle", throttleKeys)
	t := &throttle{per: b.duration(m.get("per"), "throttle.per", maxPer, minPer, maxPer)}
	if key := m.get("key"); !isNull(key) {
		t.key = b.textTemplate(key, "throttle.key", b.scope)
		if t.key != nil && t.key.constant() {
			if err := checkAlertKey(t.key.src); err != nil {
				b.problem(key, ProblemValue, "", "throttle.key: %v", err)
			}
		}
	}
	b.rule.throttle = t
}

func (b *ruleCompiler) limit(n *yaml.Node) {
	b.rule.perMinute, b.rule.pause = DefaultMatchesPerMinute, DefaultPause
	if n == nil {
		return
	}
	m := b.mapping(n, "limit")
	if m == nil {
		return
	}
	b.onlyWithin(m, "limit", []level{{"limit", ruleKeys.names}}, limitKeys)
	if len(m.keys) == 0 {
		b.problem(n, ProblemKey, "add matches_per_minute: or pause:, or leave it out", "limit is empty")
	}
	b.rule.pause = b.duration(m.get("pause"), "limit.pause", DefaultPause, minPause, maxPause)
	at := m.get("matches_per_minute")
	text, ok := b.constantText(at, "limit.matches_per_minute")
	if !ok {
		return
	}
	most, err := strconv.Atoi(text)
	if err != nil || most < 1 || most > maxMatchesPerMinute {
		b.problem(at, ProblemValue, "", "limit.matches_per_minute: %q is not a whole number from 1 to %d", text, maxMatchesPerMinute)
		return
	}
	b.rule.perMinute = most
}

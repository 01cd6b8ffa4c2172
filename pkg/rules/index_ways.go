package rules

import "slices"

// way is one way to satisfy a clause: all of conds hold, and all of rest.
type way struct {
	conds []*cond
	rest  []*group
}

// ways takes a clause apart: an event satisfies it exactly if it satisfies one of the ways. An `any` becomes several ways if each
// of them names values that lead to it, so that the index need not look at the rule for other events; otherwise, and where there
// would be more than maxWays, it stays a group to check. So does a `not`.
func (c *clause) ways() []way {
	var base way
	for i := range c.conds {
		base.conds = append(base.conds, &c.conds[i])
	}
	all := []way{base}
	for i := range c.groups {
		g := &c.groups[i]
		switch g.kind {
		case groupAll:
			for k := range g.clauses {
				if more, ok := both(all, g.clauses[k].ways()); ok {
					all = more
				} else {
					all = with(all, &group{kind: groupAll, clauses: g.clauses[k : k+1]})
				}
			}
		case groupAny:
			more, ok := both(all, g.alternatives())
			if !ok {
				more = with(all, g)
			}
			all = more
		case groupNot:
			all = with(all, g)
		}
	}
	return all
}

// alternatives are the ways of all clauses of an `any`; none when one of them leads nowhere, or when they are too many.
func (g *group) alternatives() []way {
	var all []way
	for i := range g.clauses {
		ways := g.clauses[i].ways()
		if len(all)+len(ways) > maxWays || slices.ContainsFunc(ways, func(w way) bool { return !w.leads() }) {
			return nil
		}
		all = append(all, ways...)
	}
	return all
}

// both is every way of one with every way of the other; ok is false when one has none, or when these are too many.
func both(one, other []way) (out []way, ok bool) {
	if len(one)*len(other) > maxWays {
		return nil, false
	}
	for _, a := range one {
		for _, b := range other {
			out = append(out, way{slices.Concat(a.conds, b.conds), slices.Concat(a.rest, b.rest)})
		}
	}
	return out, len(out) > 0
}

// with adds a group to all ways.
func with(all []way, g *group) []way {
	out := make([]way, len(all))
	for i, w := range all {
		out[i] = way{w.conds, append(slices.Clip(w.rest), g)}
	}
	return out
}

// leads reports whether one of the lines names values or beginnings or ends of values, and nothing else.
func (w *way) leads() bool {
	return slices.ContainsFunc(w.conds, func(c *cond) bool {
		return len(c.any)+len(c.in) > 0 &&
			!slices.ContainsFunc(c.any, func(p pattern) bool { return p.glob && p.prefix == "" && p.suffix == "" }) &&
			!slices.ContainsFunc(c.in, func(s span) bool { return s.least != s.most })
	})
}

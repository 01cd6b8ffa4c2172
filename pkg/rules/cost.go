package rules

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// maxRunCost bounds what all evaluations of one run may cost together, those of every item and action: a few seconds at the very
// most, and far more than a rule needs that does what people want.
const maxRunCost = 3 * maxCost

// budgetKey is where an activation keeps the budget; no expression can say it.
const budgetKey = "@budget"

// budget is what the evaluations of one run may still cost.
type budget struct{ left uint64 }

var errRunCost = fmt.Errorf("all expressions of the run together cost too much: more than %d steps", maxRunCost)

// charge takes the cost of an evaluation from the budget of the activation, if it has one.
func (act activation) charge(details *cel.EvalDetails) error {
	b, ok := act[budgetKey].(*budget)
	if !ok || details == nil {
		return nil
	}
	cost := uint64(1)
	if actual := details.ActualCost(); actual != nil {
		cost += *actual
	}
	if cost > b.left {
		b.left = 0
		return errRunCost
	}
	b.left -= cost
	return nil
}

// pricing charges calls for what they go through. The evaluator does so for most functions, but only where it knows the types of what
// they are given: with event.raw every call would cost 1, and an event of some hundred kilobytes could keep a worker busy for hours.
type pricing struct{}

const (
	// textUnit is how many bytes of text are gone through for one unit of cost, as the evaluator has it.
	textUnit = 10
	// maxDistinct is how many elements distinct takes: it compares each with each, and is charged when it is done.
	maxDistinct = 1000
)

// CallCost is nil where the evaluator's own charge is right.
func (pricing) CallCost(function, overloadID string, args []ref.Val, result ref.Val) *uint64 {
	n := uint64(1)
	switch function {
	case operators.Index, operators.OptIndex:
		return nil
	case operators.Equals, operators.NotEquals:
		// Both are compared to the bottom, which can be no further than the smaller goes.
		most := maxCost + 1
		for _, a := range args {
			most = weight(a, most)
		}
		n += uint64(most)
	case operators.In, "format":
		for _, a := range args {
			if _, isMap := a.(traits.Mapper); !isMap {
				n += uint64(weight(a, maxCost+1))
			}
		}
	case "size", "short", "truncate", "link":
		n += surface(args[0], true)
	case globFunction: // each character is held against each piece of the glob that it could belong to
		n += (1 + surface(args[0], true)) * (1 + surface(args[1], true))
	default:
		if overloadID != "" {
			return nil
		}
		for _, a := range args {
			n += surface(a, function == operators.Add)
		}
		n += surface(result, function == operators.Add)
	}
	return &n
}

// surface is what a call pays for a value it goes through once: a text by its length, a list by its elements.
func surface(v ref.Val, textOnly bool) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v) / textUnit)
	case types.Bytes:
		return uint64(len(v) / textUnit)
	case traits.Lister:
		if n, ok := v.Size().(types.Int); ok && !textOnly {
			return uint64(n)
		}
	}
	return 0
}

// weight is how much there is in a value, with all that lies below it; at most most.
func weight(v any, most int) int {
	n := 1
	switch v := v.(type) {
	case string:
		n += len(v) / textUnit
	case types.String:
		n += len(v) / textUnit
	case types.Bytes:
		n += len(v) / textUnit
	case []any:
		for i := 0; i < len(v) && n < most; i++ {
			n += weight(v[i], most-n)
		}
	case []ref.Val:
		for i := 0; i < len(v) && n < most; i++ {
			n += weight(v[i], most-n)
		}
	case map[string]any:
		for _, e := range v {
			if n >= most {
				break
			}
			n += weight(e, most-n)
		}
	case traits.Lister:
		if inner := v.Value(); countable(inner) {
			n = weight(inner, most)
		} else if size, ok := v.Size().(types.Int); ok {
			n += int(size)
		}
	case traits.Mapper:
		if inner := v.Value(); countable(inner) {
			n = weight(inner, most)
		} else if size, ok := v.Size().(types.Int); ok {
			n += int(size)
		}
	}
	return min(n, most)
}

func countable(v any) bool {
	switch v.(type) {
	case []any, []ref.Val, map[string]any:
		return true
	}
	return false
}

// distinct is the standard one, with a limit.
func distinct(v ref.Val) ref.Val {
	l, ok := v.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	if n, ok := l.Size().(types.Int); !ok || n > maxDistinct {
		return types.WrapErr(fmt.Errorf("distinct: the list has %d elements, at most %d are allowed", n, maxDistinct))
	}
	var out []ref.Val
next:
	for it := l.Iterator(); it.HasNext() == types.True; {
		e := it.Next()
		for _, o := range out {
			if e.Equal(o) == types.True {
				continue next
			}
		}
		out = append(out, e)
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

package rules

import (
	"fmt"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/parser"
)

// daysUntilFunction reads event.time when it is given no other.
const daysUntilFunction = "days_until"

// daysUntil is days_until(t) and days_until(t, now). Without now it is the time of the event, so that the same event decides the
// same whenever it is looked at.
func daysUntil() []cel.EnvOption {
	const name = daysUntilFunction
	overload := func(id string, t, now *cel.Type) cel.FunctionOpt {
		return cel.Overload(name+"_"+id, []*cel.Type{t, now}, cel.IntType)
	}
	return []cel.EnvOption{
		cel.Function(
			name,
			overload("string_string", cel.StringType, cel.StringType),
			overload("string_timestamp", cel.StringType, cel.TimestampType),
			overload("timestamp_string", cel.TimestampType, cel.StringType),
			overload("timestamp_timestamp", cel.TimestampType, cel.TimestampType),
			cel.SingletonBinaryBinding(func(t, now ref.Val) ref.Val {
				then, err := moment(t)
				if err != nil {
					return types.WrapErr(err)
				}
				from, err := moment(now)
				if err != nil {
					return types.WrapErr(err)
				}
				return types.Int(wholeDays(from, then))
			}),
		),
		cel.Macros(cel.GlobalMacro(name, 1, func(h parser.ExprHelper, _ celast.Expr, args []celast.Expr) (celast.Expr, *common.Error) {
			// .event is the variable also where a loop calls something of its own event.
			return h.NewCall(name, args[0], h.NewSelect(h.NewIdent("."+rootEvent), "time")), nil
		})),
	}
}

// moment reads a point in time: a timestamp, a time in RFC 3339, or a date, which begins at midnight UTC.
func moment(v ref.Val) (time.Time, error) {
	switch v := v.(type) {
	case types.Timestamp:
		return v.Time, nil
	case types.String:
		for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
			if t, err := time.Parse(layout, string(v)); err == nil {
				return t, nil
			}
		}
		return time.Time{}, fmt.Errorf("%s is not a time such as 2026-11-20T09:00:00Z, nor a date such as 2026-11-20", quoted(string(v)))
	}
	return time.Time{}, fmt.Errorf("a %s is not a time", v.Type().TypeName())
}

// wholeDays is how many times 24 hours lie between two times, rounded down. In seconds, because a duration ends after 292 years.
func wholeDays(from, to time.Time) int64 {
	const day = 24 * 60 * 60
	seconds := to.Unix() - from.Unix()
	if to.Nanosecond() < from.Nanosecond() {
		seconds--
	}
	days := seconds / day
	if seconds%day < 0 {
		days--
	}
	return days
}

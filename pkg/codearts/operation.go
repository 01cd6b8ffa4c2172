package codearts

import (
	"context"
	"reflect"
	"slices"
)

// Service is one of the services of CodeArts; each has a host of its own.
type Service string

// The services.
const (
	ServiceBuild Service = "build"
	ServiceRepo  Service = "repo"
	ServiceIAM   Service = "iam"
)

// Repeat says whether a call may be sent again after a failure of unknown outcome.
type Repeat string

// The values of Repeat.
const (
	// RepeatFreely: asking twice does no harm.
	RepeatFreely Repeat = "freely"
	// RepeatAfterCheck: only after looking whether the first one was carried out.
	RepeatAfterCheck Repeat = "after_check"
	// RepeatFew: harmless, but never after a 401, which counts towards a lock-out.
	RepeatFew Repeat = "few"
	// RepeatNever: it may have had an effect that nobody can look up.
	RepeatNever Repeat = "never"
)

// shape is the form of an answer.
type shape uint8

const (
	shapeBuild shape = iota // {"status":"success","error":null,"result":…}
	shapeRepo               // the same, with {"code","message"} in error and other words for failure
	shapeBare               // the result itself
	shapeText               // a file, no JSON
)

// Operation describes one call of the API, or a question that takes several calls. Its row is all there is to say about it: the client's
// methods, the facts of rules, the command codearts, the reference page and the routes of codeartstest are made of the same table.
type Operation struct {
	Name    string  // as in APIError.Op
	Service Service // which host
	Method  string  // "": a question made of several calls
	Path    string  // template; {name} is one escaped segment
	V4      string  // method and path of the same call in Repo's v4, "GET /v4/…"; "": there is none
	Title   string
	TitleZH string
	Doc     string       // what it brings or does, in one line
	Page    string       // name of the vendor's page about it, "ShowJobConfig"; "": there is none
	Args    []Arg        // what Client.Call takes
	Result  reflect.Type // of what Client.Call returns; nil: nothing
	Commit  string       // dotted field of the result (or of each of its elements) that names a commit; "": none
	Writes  bool         // changes something at CodeArts
	Repeat  Repeat       // after a failure of unknown outcome

	shape shape
	limit int64 // of the answer, bytes; 0: answerLimit
	// call is the method, with its arguments by name; nil: there is nothing to be called by name.
	call func(ctx context.Context, c *Client, a Values) (any, error)
}

// Reads reports whether the operation asks and changes nothing, so that rules may fetch it as a fact.
func (o *Operation) Reads() bool { return !o.Writes && o.call != nil }

// Callable reports whether Client.Call knows the operation: signing in has nothing to show.
func (o *Operation) Callable() bool { return o.call != nil }

// newOperations is the one table of calls. Each area has its rows beside its types.
func newOperations() []Operation {
	return slices.Concat(
		buildOperations(), runOperations(), projectRunOperations(), startOperations(),
		jobOperations(), historyOperations(), noticeOperations(), permissionOperations(), reportOperations(), summaryOperations(),
		imageOperations(), templateOperations(), packageOperations(), chargeOperations(),
		commitOperations(), branchOperations(), fileOperations(), hookOperations(),
		webhookOperations(), tokenOperations(),
	)
}

// Operations returns the table of calls, in a fixed order.
func Operations() []Operation { return newOperations() }

// op returns the row of an operation.
func (c *Client) op(name string) *Operation { return c.operations[name] }

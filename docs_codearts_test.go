package millrace_test

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/pkg/codearts"
)

// repeatDocs says what each kind of repetition means to somebody whose call got no answer.
var repeatDocs = map[codearts.Repeat]string{
	codearts.RepeatFreely:     "may be sent again",
	codearts.RepeatAfterCheck: "only after looking whether it was carried out",
	codearts.RepeatFew:        "may be sent again a few times, never after a 401",
	codearts.RepeatNever:      "not to be sent again: it may have had an effect that nobody can look up",
}

// codeArtsReference is docs/reference/codearts.md.
func codeArtsReference() string {
	var b strings.Builder
	b.WriteString("# Calls of CodeArts\n\n" + generated + `
All calls that Millrace's client of CodeArts knows. What reads is a [fact](facts.md) of the same name that a rule may ` + "`fetch`" + `, where the fields of
its result are listed. To try one:

` + "```sh\nmillrace codearts list build_record\nmillrace codearts call build_record job_id=… build_no=17 --config millrace.yaml\n```" + `

The last column says what to do when a call got no answer, so that nobody knows whether it was carried out. A call the other side refused was not.

| Operation | Call | Title | 中文 | Without an answer |
|---|---|---|---|---|
`)
	for _, op := range codearts.Operations() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s | %s |\n", op.Name, op.Name, wire(op, " <br> "), op.Title, op.TitleZH, repeatDocs[op.Repeat])
	}
	for _, op := range codearts.Operations() {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n%s", op.Name, sentence(op.Doc), wire(op, "; with `repo_api: v4` "))
		if op.Page != "" {
			fmt.Fprintf(&b, ", in the vendor's documentation `%s`", op.Page)
		}
		b.WriteString(".")
		switch {
		case op.Reads():
			fmt.Fprintf(&b, " Its result: [fact `%s`](facts.md#%s).", op.Name, op.Name)
		case !op.Callable():
			b.WriteString(" Every other call does it by itself.")
		default:
			b.WriteString(" It changes something, or may: no fact, and no rule calls it by this name.")
		}
		b.WriteString("\n")
		if len(op.Args) == 0 {
			continue
		}
		b.WriteString("\n| Argument | Kind | Needed | Meaning |\n|---|---|---|---|\n")
		for _, a := range op.Args {
			needed := ""
			if a.Required {
				needed = "yes"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", a.Name, a.Kind, needed, cell(a.Doc))
		}
	}
	return b.String()
}

// wire is method and path of a call, and after the separator those of v4.
func wire(op codearts.Operation, separator string) string {
	switch {
	case op.Method == "":
		return "several calls"
	case op.V4 != "":
		return fmt.Sprintf("`%s %s`%s`%s`", op.Method, op.Path, separator, op.V4)
	}
	return fmt.Sprintf("`%s %s`", op.Method, op.Path)
}

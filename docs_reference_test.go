package millrace_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

const generated = "<!-- Generated from the code by go test . -run TestReferences -update. -->\n"

// TestReferences keeps docs/reference what the code says; -update writes it.
func TestReferences(t *testing.T) {
	catalogue := engine.Catalogue(nil, nil)
	schema, err := rules.Schema(catalogue)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"docs/reference/facts.md":          factsReference(catalogue),
		"docs/reference/events.md":         eventsReference(t, catalogue),
		"docs/reference/codearts.md":       codeArtsReference(),
		"docs/reference/rules.md":          rulesReference(t),
		"docs/reference/rules.schema.json": string(schema),
	} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s: run go test . -run TestReferences -update (-want +got):\n%s", file, diff)
		}
	}
}

func factsReference(catalogue *rules.Catalogue) string {
	var b strings.Builder
	b.WriteString("# Facts\n\n" + generated + `
What a rule may name under ` + "`fetch`" + `, with the arguments each fact takes and what it brings. How facts are fetched, awaited and gone
through is in [the rule language](../rules.md#fetch).

Arguments have the names the API of CodeArts gives them. An argument takes what converts to its kind without loss: an id of digits may be
written as a string or as a number. Every field may be null.

`)
	for _, f := range catalogue.Facts {
		fmt.Fprintf(&b, "- [`%s`](#%s): %s\n", f.Name, f.Name, cell(f.Doc))
	}
	for _, f := range catalogue.Facts {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n", f.Name, sentence(f.Doc))
		if f.Commit != "" {
			fmt.Fprintf(&b, "The loop guard looks at the commit in `%s`.\n", f.Commit)
		}
		b.WriteString("\n| Argument | Kind | Needed | Meaning |\n|---|---|---|---|\n")
		for _, a := range f.Args {
			needed := ""
			if a.Required {
				needed = "yes"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", a.Name, a.Type, needed, cell(a.Doc))
		}
		result := f.Result
		if result.Kind == rules.List && result.Elem.Kind != rules.Object {
			fmt.Fprintf(&b, "\nIt brings a %s.\n", result)
			continue
		}
		if result.Kind == rules.List {
			b.WriteString("\nIt brings a list, of which each element has:\n")
			result = result.Elem
		} else {
			b.WriteString("\nIt brings:\n")
		}
		b.WriteString("\n| Field | Kind | Meaning |\n|---|---|---|\n")
		eachField(result, "", func(path string, f *rules.TypeField) {
			doc := cell(f.Doc)
			switch {
			case f.Secret && f.Type.Kind == rules.String:
				doc += "; secret: always `[redacted]`"
			case f.Secret:
				doc += "; secret: always null"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", path, f.Type, doc)
		})
	}
	return b.String()
}

func eventsReference(t *testing.T, catalogue *rules.Catalogue) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("# Events\n\n" + generated + `
What a rule may name under ` + "`on`" + `, ` + "`match`" + ` and as ` + "`event.…`" + ` in expressions. What they mean there is in [the rule language](../rules.md#on).

## Types

| Type | It comes when |
|---|---|
`)
	for _, name := range catalogue.EventTypes {
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, cell(events.TypeDoc(name)))
	}
	b.WriteString("| `unknown.<kind>` | a body of any other kind; `unknown.none` when it names none |\n")
	b.WriteString(`
The kind is what the body says in ` + "`object_kind`, `event_name` or `event_type`" + `, and only without these what a header says. Letters are lowered and
everything else but digits becomes ` + "`_`" + `, at most 40 characters. A merge request or comment with an action that is not listed is
` + "`unknown.merge_request_<action>`" + `.

## Fields

Every field may be null: the body did not say, said it with the wrong type, or said ` + "`\"\"`" + `. Lists are empty then. Fields with a ✓ can stand under
` + "`match`" + `.

| Field | Kind | match | Meaning |
|---|---|---|---|
`)
	var scalars []string
	eachField(catalogue.Event, "", func(path string, f *rules.TypeField) {
		mark := ""
		if _, ok := events.FieldByName(path); ok {
			mark = "✓"
			scalars = append(scalars, path)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", path, f.Type, mark, cell(f.Doc))
	})
	for _, f := range events.Fields() {
		if !slices.Contains(scalars, f.String()) {
			t.Errorf("match takes %s, which is no field of an event", f)
		}
	}
	b.WriteString(`
## Builds that are asked for

A source with ` + "`codearts_builds`" + ` asks CodeArts for the builds of a project, see [sources](../sources.md#builds-of-ordinary-projects). Each that has
finished is one ` + "`build.finished`" + ` event with the fields of its record under ` + "`event.build`" + `; its repository has an id, a name and, where CodeArts
gives one, a page, and a path only if that name holds one: match ` + "`repository.id`" + `. Nobody is its ` + "`author`" + `. ` + "`event.raw`" + ` is of the form below.

## Build notifications

Where CodeArts offers a generic webhook for build events (project settings, notifications), its body is a template you write. Write it like this,
with the webhook's own variables for the values, and it becomes a ` + "`build.…`" + ` event. ` + "`action`" + ` is one of succeeded, failed, disabled, deleted,
config_changed and finished; ` + "`uuid`" + ` must differ from build to build; all else may be left out. Say ` + "`sends: [build.*]`" + ` at its source, so that
` + "`millrace rules check`" + ` knows of it.

` + "```json\n" + buildTemplate(t) + "```\n")
	return b.String()
}

// buildTemplate is the delivery in examples, which is tested.
func buildTemplate(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("examples/events/build-failed.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// eachField visits the fields of an object and of the objects in it; elements of a list are written commits[].
func eachField(typ *rules.Type, prefix string, visit func(path string, f *rules.TypeField)) {
	for i := range typ.Fields {
		f := &typ.Fields[i]
		path := prefix + f.Name
		visit(path, f)
		if f.Secret {
			continue
		}
		below := f.Type
		for below != nil && below.Kind == rules.List {
			path += "[]"
			below = below.Elem
		}
		if below != nil && below.Kind == rules.Object {
			eachField(below, path+".", visit)
		}
	}
}

// cell makes one cell of a table of a text.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(text)
}

func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

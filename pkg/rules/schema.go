package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/millrace/millrace/pkg/events"
)

// SchemaDialect is the JSON Schema dialect that Schema names. The schema says nothing that draft 07 would read otherwise, so editors
// that know only that one understand it too: nothing stands beside a $ref, and $defs is only the place that $ref points into.
const SchemaDialect = "https://json-schema.org/draft/2020-12/schema"

// Schema is a JSON Schema of rule files, for editors: it completes and describes keys, facts with their arguments, types of events,
// fields under match, and, where the catalogue has them, targets and connections. What Compile takes is valid by it; not all that
// Compile refuses is invalid, as expressions are only text to it. The same catalogue gives the same bytes.
func Schema(cat *Catalogue) ([]byte, error) {
	b := schemaBuilder{cat: cat}
	var defs schemaObject
	for _, m := range Mappings()[1:] {
		defs = append(defs, schemaMember{m.Name, b.mapping(&m)})
	}
	defs = append(
		defs,
		schemaMember{"constant", b.constant()},
		schemaMember{"event_type", b.eventType()},
		schemaMember{"match_value", b.matchValue()},
	)
	for i := range cat.Facts {
		defs = append(defs, schemaMember{factDef(&cat.Facts[i]), b.arguments(&cat.Facts[i])})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	root := schemaObject{
		{"$schema", SchemaDialect},
		{"title", "Rules of Millrace"},
		{"$comment", "Written by millrace rules schema. Words are those of draft 07, except $defs."},
	}
	root = append(root, b.mapping(&fileKeys.Mapping)...)
	err := enc.Encode(append(root, schemaMember{"$defs", defs}))
	if err != nil {
		return nil, fmt.Errorf("schema of rules: %w", err)
	}
	return out.Bytes(), nil
}

// schemaObject is a JSON object whose members keep their order: editors complete in it.
type schemaObject []schemaMember

type schemaMember struct {
	name  string
	value any
}

// MarshalJSON writes the members in order.
func (o schemaObject) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	out.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := enc.Encode(m.name); err != nil {
			return nil, err
		}
		out.WriteByte(':')
		if err := enc.Encode(m.value); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func refTo(name string) schemaObject { return schemaObject{{"$ref", "#/$defs/" + name}} }

// describedSchema is a schema with a description; a $ref goes under allOf, because draft 07 passes over what stands beside one.
func describedSchema(doc string, s schemaObject) schemaObject {
	if s[0].name == "$ref" {
		s = schemaObject{{"allOf", []any{s}}}
	}
	return append(schemaObject{{"description", doc}}, s...)
}

// sentence makes a sentence of a clause.
func sentence(clause string) string {
	if clause == "" {
		return ""
	}
	return strings.ToUpper(clause[:1]) + clause[1:] + "."
}

// templatePattern is the regular expression of a text with a template in it.
const templatePattern = `\$\{\{`

// scalarSchema is one value, as text; extra constrains it.
func scalarSchema(empty bool, extra ...schemaMember) schemaObject {
	kinds := []any{"string", "number", "boolean"}
	if empty {
		kinds = append(kinds, "null")
	}
	return append(schemaObject{{"type", kinds}}, extra...)
}

// spelt is a text that satisfies a pattern; message is what an editor says of another.
func spelt(pattern, message string) []schemaMember {
	return []schemaMember{{"pattern", pattern}, {"patternErrorMessage", message}}
}

func without(pattern, message string) []schemaMember {
	return []schemaMember{{"not", schemaObject{{"type", "string"}, {"pattern", pattern}}}, {"errorMessage", message}}
}

// kindSchema is the kind of a value, which may be empty.
func kindSchema(empty bool, kind string) schemaObject {
	if empty {
		return schemaObject{{"type", []any{kind, "null"}}}
	}
	return schemaObject{{"type", kind}}
}

func listSchema(empty bool, of schemaObject, least, most int) schemaObject {
	s := append(kindSchema(empty, "array"), schemaMember{"items", of})
	if least > 0 {
		s = append(s, schemaMember{"minItems", least})
	}
	if most > 0 {
		s = append(s, schemaMember{"maxItems", most})
	}
	return s
}

func enumSchema(words []string, more ...any) schemaObject {
	all := make([]any, 0, len(words)+len(more))
	for _, w := range words {
		all = append(all, w)
	}
	return schemaObject{{"enum", append(all, more...)}}
}

// schemaBuilder makes the parts of a schema.
type schemaBuilder struct{ cat *Catalogue }

// mapping is the schema of a kind of mapping.
func (b *schemaBuilder) mapping(m *Mapping) schemaObject {
	var properties schemaObject
	var needed, oneOf, cases []any
	only := func(name string) { oneOf = append(oneOf, schemaObject{{"required", []any{name}}}) }
	for i := range m.Keys {
		k := &m.Keys[i]
		properties = append(properties, schemaMember{k.Name, b.key(k)})
		if k.Needed {
			needed = append(needed, k.Name)
		}
	}
	for _, name := range m.OneOf {
		only(name)
	}
	if m.Name == factKeys.Name {
		for i := range b.cat.Facts {
			k := &b.cat.Facts[i]
			properties = append(properties, schemaMember{k.Name, describedSchema(factDoc(k), refTo(factDef(k)))})
			only(k.Name)
		}
	}
	for i := range m.Cases {
		cases = append(cases, m.Cases[i].schema())
	}
	if m.Name == matchKeys.Name {
		properties = append(properties, b.fields()...)
	}
	s := schemaObject{{"description", sentence(m.Doc)}}
	s = append(s, kindSchema(m.Name == fileKeys.Name || m.Name == matchKeys.Name, "object")...) // these two may be empty
	s = append(s, schemaMember{"additionalProperties", false}, schemaMember{"properties", properties})
	if m.Some {
		s = append(s, schemaMember{"minProperties", 1})
	}
	for _, extra := range []struct {
		name  string
		value []any
	}{{"required", needed}, {"oneOf", oneOf}, {"allOf", cases}} {
		if len(extra.value) > 0 {
			s = append(s, schemaMember{extra.name, extra.value})
		}
	}
	return s
}

func (c *Case) schema() schemaObject {
	var refused schemaObject
	for _, name := range c.Without {
		refused = append(refused, schemaMember{name, false})
	}
	then := schemaObject{{"properties", refused}}
	if len(c.Needs) > 0 {
		then = append(then, schemaMember{"required", c.Needs})
	}
	return schemaObject{
		{"if", schemaObject{{"properties", schemaObject{{c.Key, schemaObject{{"const", c.Word}}}}}, {"required", []any{c.Key}}}},
		{"then", then},
	}
}

// key is the schema of what stands under a key.
func (b *schemaBuilder) key(k *Key) schemaObject {
	doc := sentence(k.Doc)
	if k.Default != "" {
		doc += " Default: " + k.Default + "."
	}
	return describedSchema(doc, b.form(k, !k.Needed && !k.Filled))
}

func (b *schemaBuilder) form(k *Key, empty bool) schemaObject {
	names := schemaMember{"propertyNames", nameSchema()}
	switch k.Form {
	case FormText, FormConstant, FormLiteral, FormExpression:
		return textSchema(k, empty)
	case FormBool:
		return kindSchema(empty, "boolean")
	case FormWord:
		if empty {
			return enumSchema(k.Words, nil)
		}
		return enumSchema(k.Words)
	case FormDuration:
		return append(kindSchema(empty, "string"), spelt(`^[+]?([0-9.]+(h|ms|m|s|us|µs|μs|ns))+$|`+templatePattern, "Write a duration like 30s, 5m or 1h30m.")...)
	case FormConnection:
		return connectionSchema(b.cat.Connections, empty)
	case FormNames:
		return targetSchema(b.cat.Targets)
	case FormDays:
		day := schemaObject{{"type", []any{"integer", "string"}}, {"minimum", 0}, {"maximum", 3650}, {"pattern", "^[+]?[0-9]+$"}}
		return append(listSchema(false, day, 1, k.Most), schemaMember{"uniqueItems", true})
	case FormPatterns:
		return schemaObject{{"anyOf", []any{scalarSchema(false), listSchema(false, scalarSchema(false), 1, 0)}}}
	case FormMapping:
		return refTo(k.Of)
	case FormMappings:
		least := 1
		if empty {
			least = 0
		}
		return listSchema(empty, refTo(k.Of), least, k.Most)
	case FormVars:
		return append(kindSchema(empty, "object"), names, schemaMember{"additionalProperties", refTo("constant")})
	case FormFacts:
		return append(kindSchema(empty, "object"), names, schemaMember{"maxProperties", maxFacts}, schemaMember{"additionalProperties", refTo(factKeys.Name)})
	case FormNumber:
		return schemaObject{{"type", []any{"integer", "string"}}}
	case FormCount:
		kinds := []any{"integer", "string"}
		if empty {
			kinds = append(kinds, "null")
		}
		return append(schemaObject{{"type", kinds}, {"minimum", 1}}, spelt(`^[+]?0*[1-9][0-9]*$|`+templatePattern, "Write a whole number.")...)
	case FormMatch:
		return refTo(matchKeys.Name)
	case FormMatches:
		return listSchema(false, clauseSchema(), 1, 0)
	case FormMatchOrMatches:
		return schemaObject{{"anyOf", []any{clauseSchema(), listSchema(false, clauseSchema(), 1, 0)}}}
	case FormEvents:
		return schemaObject{{"anyOf", []any{refTo("event_type"), listSchema(false, refTo("event_type"), 1, 0), refTo(onKeys.Name)}}}
	case FormParameters:
		return append(kindSchema(empty, "object"), schemaMember{"maxProperties", maxParameters}, schemaMember{"additionalProperties", scalarSchema(false)})
	}
	return kindSchema(empty, "object")
}

func textSchema(k *Key, empty bool) schemaObject {
	switch {
	case k.Form == FormExpression:
		return scalarSchema(empty, without(`^\s*`+templatePattern, "An expression stands here as it is, without ${{ }}.")...)
	case k.Pattern == "":
		return scalarSchema(empty)
	case k.Form == FormLiteral:
		return scalarSchema(empty, spelt(k.Pattern, sentence(k.Doc))...)
	}
	return scalarSchema(empty, spelt(k.Pattern+"|"+templatePattern, sentence(k.Doc))...)
}

// nameSchema is a name that expressions can select.
func nameSchema() schemaObject {
	return append(schemaObject(spelt(identifier.String(), "Use letters, digits and _, not beginning with a digit.")), schemaMember{"not", enumSchema(reserved)})
}

func connectionSchema(known []string, empty bool) schemaObject {
	if known == nil {
		return scalarSchema(empty)
	}
	all := []any{enumSchema(known), schemaObject{{"type", "string"}, {"pattern", templatePattern}}}
	if empty {
		all = append(all, schemaObject{{"type", "null"}})
	}
	return schemaObject{{"anyOf", all}}
}

func targetSchema(known []string) schemaObject {
	one := scalarSchema(false, without(templatePattern, "Write the name of a target: no event chooses who is told.")...)
	if known != nil {
		one = enumSchema(known)
	}
	return schemaObject{{"anyOf", []any{one, append(listSchema(false, one, 1, 0), schemaMember{"uniqueItems", true})}}}
}

// constant is a value under vars.
func (b *schemaBuilder) constant() schemaObject {
	of := refTo("constant")
	return schemaObject{{"anyOf", []any{
		scalarSchema(false, without(templatePattern, "Constants hold no ${{ }}.")...),
		listSchema(false, of, 0, 0),
		append(kindSchema(false, "object"), schemaMember{"additionalProperties", of}),
	}}}
}

// eventType is one type of event, or a glob of types.
func (b *schemaBuilder) eventType() schemaObject {
	known := b.cat.EventTypes
	if known == nil {
		known = events.Types()
	}
	var all []any
	for _, t := range known {
		s := schemaObject{{"const", t}}
		if doc := events.TypeDoc(t); doc != "" {
			s = describedSchema(sentence(doc), s)
		}
		all = append(all, s)
	}
	all = append(all, schemaObject{
		{"description", `A glob of types, as "merge_request.*"; * and ? stop at the dot. Events of a kind Millrace does not know are of a type unknown.<kind>.`},
		{"type", "string"},
		{"pattern", `[*?]|^unknown\.|` + templatePattern},
	})
	return schemaObject{{"anyOf", all}}
}

// clauseSchema is what stands under match, and is not empty.
func clauseSchema() schemaObject {
	return schemaObject{{"allOf", []any{refTo(matchKeys.Name)}}, {"type", "object"}, {"minProperties", 1}}
}

// fields are the fields of events that match can compare.
func (b *schemaBuilder) fields() schemaObject {
	var properties schemaObject
	for _, f := range events.Fields() {
		doc := ""
		t := b.cat.Event
		for name := range strings.SplitSeq(f.String(), ".") {
			if field, ok := t.Field(name); ok {
				doc, t = field.Doc, field.Type
			}
		}
		properties = append(properties, schemaMember{f.String(), describedSchema(sentence(doc), refTo("match_value"))})
	}
	return properties
}

// matchValue is what a line of match may compare a field with.
func (b *schemaBuilder) matchValue() schemaObject {
	return schemaObject{{"anyOf", []any{
		scalarSchema(false),
		listSchema(false, scalarSchema(false), 1, 0),
		refTo(lineKeys.Name),
	}}}
}

func factDef(k *FactKind) string { return "fact_" + k.Name }

// factDoc says what a fact is, and what it brings.
func factDoc(k *FactKind) string {
	doc := sentence(k.Doc)
	t, brings := k.Result, "It has: "
	if t != nil && t.Kind == List {
		t, brings = t.Elem, "A list; each element has: "
	}
	if t == nil || t.Kind != Object {
		return doc
	}
	var names []string
	for i := range t.Fields {
		names = append(names, t.Fields[i].Name)
	}
	return doc + " " + brings + strings.Join(names, ", ") + "."
}

// arguments are those of a fact; what it is stands where it is referred to.
func (b *schemaBuilder) arguments(k *FactKind) schemaObject {
	var properties schemaObject
	var needed []any
	for i := range k.Args {
		a := &k.Args[i]
		if a.Required {
			needed = append(needed, a.Name)
		}
		s := a.schema()
		if a.Doc != "" {
			s = describedSchema(sentence(a.Doc), s)
		}
		properties = append(properties, schemaMember{a.Name, s})
	}
	s := append(kindSchema(len(needed) == 0, "object"), schemaMember{"additionalProperties", false}, schemaMember{"properties", properties})
	if len(needed) > 0 {
		s = append(s, schemaMember{"required", needed})
	}
	return s
}

func (a *Arg) schema() schemaObject {
	pattern, message := "", ""
	s := scalarSchema(!a.Required)
	switch a.Type {
	case Int:
		pattern, message = `^-?[0-9]+$|`, "Write a whole number."
		s = kindSchema(!a.Required, "integer")
	case Double:
		pattern, message = `^[-+0-9.eE_xXa-fA-FpP]+$|`, "Write a number."
		s = kindSchema(!a.Required, "number")
	case Bool:
		pattern, message = `^(true|false)$|`, "Write true or false."
		s = kindSchema(!a.Required, "boolean")
	default:
		return s
	}
	return schemaObject{{"anyOf", []any{s, append(schemaObject{{"type", "string"}}, spelt(pattern+templatePattern, message)...)}}}
}

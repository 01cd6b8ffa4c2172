package millrace_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/rules"
)

// ruleSchema is the schema that is in the repository, without targets and connections.
func ruleSchema(t *testing.T) schemaChecker {
	t.Helper()
	data, err := rules.Schema(engine.Catalogue(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	return newSchemaChecker(t, data)
}

// ruleTexts are rule files of the repository by name: examples, documents and test data, good and bad.
func ruleTexts(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"examples/rules/*.yaml", "pkg/rules/testdata/*.yaml", "pkg/rules/testdata/*/*.yaml", "cmd/millrace/demo/rules/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[filepath.ToSlash(path)] = string(data)
		}
	}
	for _, file := range documents(t) {
		if file != "README.md" && file != "docs/rules.md" {
			continue
		}
		for _, b := range blocks(t, file) {
			switch b.info {
			case "yaml":
				texts[b.at()] = b.text
			case "yaml fragment":
				texts[b.at()] = wholeRule(t, &b)
			}
		}
	}
	if len(texts) < 20 {
		t.Fatalf("found %d rule files", len(texts))
	}
	return texts
}

// TestSchemaTakesWhatLoads: an editor marks nothing that Compile takes, in the files of the repository and in what comes of them
// when a value in them is left empty, taken out or replaced.
func TestSchemaTakesWhatLoads(t *testing.T) {
	t.Parallel()
	schema := ruleSchema(t)
	var files []rules.File
	for name, text := range ruleTexts(t) {
		files = append(files, rules.File{Name: name, Data: []byte(text)})
		for n, one := range singleRules(text) {
			for i, changed := range changedFiles(t, one) {
				files = append(files, rules.File{Name: fmt.Sprintf("%s#%d.%d", name, n, i), Data: []byte(changed)})
			}
		}
	}
	bad := brokenFiles(files)
	good := 0
	for _, f := range files {
		if bad[f.Name] {
			continue
		}
		good++
		if err := schema.checkYAML(f.Data); err != nil {
			t.Errorf("%s loads, but by the schema: %v\n%s", f.Name, err, f.Data)
		}
	}
	if good < 1000 || good == len(files) {
		t.Errorf("%d of %d files are good", good, len(files))
	}
}

// brokenFiles are the names of files with an error.
func brokenFiles(files []rules.File) map[string]bool {
	apart := make([]rules.File, len(files))
	for i, f := range files {
		apart[i] = rules.File{Name: f.Name, Data: uniqueNames(f.Data, i)}
	}
	_, problems := rules.Compile(apart, engine.Catalogue(nil, nil))
	bad := map[string]bool{}
	for _, p := range problems {
		if p.Severity == rules.SeverityError {
			bad[p.File] = true
		}
	}
	return bad
}

var nameLine = regexp.MustCompile(`(\bname: *"?)([a-zA-Z0-9]+)`)

// uniqueNames gives the rules of a file names that no other file has, so that many files can be compiled as one ruleset.
func uniqueNames(data []byte, number int) []byte {
	return nameLine.ReplaceAll(data, []byte("${1}${2}-"+strconv.Itoa(number)))
}

// singleRules are files with one of the rules of a file each, and its vars.
func singleRules(text string) []string {
	var file struct {
		Vars  yaml.Node   `yaml:"vars"`
		Rules []yaml.Node `yaml:"rules"`
	}
	if yaml.Unmarshal([]byte(text), &file) != nil || len(file.Rules) == 0 {
		return []string{text}
	}
	var out []string
	for _, r := range file.Rules {
		one := map[string]any{"rules": []any{&r}}
		if file.Vars.Kind != 0 {
			one["vars"] = &file.Vars
		}
		if data, err := yaml.Marshal(one); err == nil {
			out = append(out, string(data))
		}
	}
	return out
}

// changedFiles are what comes of a rule file when one value is replaced, or one key or element is taken out.
func changedFiles(t *testing.T, text string) []string {
	t.Helper()
	var doc yaml.Node
	if yaml.Unmarshal([]byte(text), &doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	var out []string
	write := func() {
		data, err := yaml.Marshal(&doc)
		if err != nil {
			return // an alias whose anchor is gone
		}
		out = append(out, string(data))
	}
	others := []string{"~", "1", "''", "[x]", "{}", "-1.5", "[~]", "true", "2026-11-20T09:00:00+08:00", "[]", "x", "{in: '[]'}", "'${{ vars.x }}'", "0x1F", "2h"}
	next := 0 // over all values each of others has its turn
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		content := n.Content
		step := 1
		if n.Kind == yaml.MappingNode {
			step = 2
		}
		for i := step - 1; i < len(content); i += step {
			whole := content[i]
			for range 4 {
				v := others[next%len(others)]
				next++
				var other yaml.Node
				if err := yaml.Unmarshal([]byte(v), &other); err != nil {
					t.Fatal(err)
				}
				content[i] = other.Content[0]
				write()
			}
			content[i] = whole
			n.Content = slices.Concat(content[:i+1-step], content[i+1:])
			write()
			n.Content = content
		}
		for _, c := range content {
			walk(c)
		}
	}
	walk(doc.Content[0])
	return out
}

// TestSchemaRefuses: what an editor marks while it is written.
func TestSchemaRefuses(t *testing.T) {
	schema := ruleSchema(t)
	const rest = "rules:\n  - name: r\n    on: push\n    do: [{ notify: { to: team, title: t, text: x } }]\n"
	if err := schema.checkYAML([]byte(rest)); err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string { return strings.Replace(rest, old, new, 1) }
	for name, text := range map[string]string{
		"key of the file":        "rule: []\n",
		"a list":                 "- name: r\n",
		"key of a rule":          replace("on: push", "on: push\n    mach: {}"),
		"no name":                replace("name: r", "description: r"),
		"name":                   replace("name: r", "name: a rule"),
		"no do":                  "rules: [{ name: r, on: push }]\n",
		"empty do":               "rules: [{ name: r, on: push, do: [] }]\n",
		"type":                   replace("on: push", "on: pusch"),
		"types":                  replace("on: push", "on: [push, merge_request.opne]"),
		"no type":                replace("on: push", "on: []"),
		"mode":                   replace("on: push", "on: push\n    mode: live-ish"),
		"match field":            replace("on: push", "on: push\n    match: { brnach: main }"),
		"match empty":            replace("on: push", "on: push\n    match: { branch: }"),
		"match line":             replace("on: push", "on: push\n    match: { branch: { globs: x } }"),
		"match line empty":       replace("on: push", "on: push\n    match: { branch: {} }"),
		"schedule":               replace("on: push", "on: { schedule: { evry: 5m } }"),
		"two schedules":          replace("on: push", "on: { schedule: { every: 5m, cron: '* * * * *' } }"),
		"no schedule":            replace("on: push", "on: { schedule: { time_zone: UTC } }"),
		"not a duration":         replace("on: push", "on: { schedule: { every: 5 } }"),
		"bool":                   replace("on: push", "on: push\n    on_own_commits: sometimes"),
		"expression":             replace("on: push", "on: push\n    when: ${{ event.branch == 'main' }}"),
		"empty expression":       replace("on: push", "on: push\n    when:"),
		"fact":                   replace("on: push", "on: push\n    fetch: { build: { build_recor: { job_id: x, build_no: 1 } } }"),
		"no fact":                replace("on: push", "on: push\n    fetch: { build: { every: 5m } }"),
		"two facts":              replace("on: push", "on: push\n    fetch: { build: { job_config: { job_id: x }, build_record: { job_id: x, build_no: 1 } } }"),
		"argument":               replace("on: push", "on: push\n    fetch: { build: { build_record: { job: x, build_no: 1 } } }"),
		"no argument":            replace("on: push", "on: push\n    fetch: { build: { build_record: { job_id: x } } }"),
		"kind of argument":       replace("on: push", "on: push\n    fetch: { build: { build_record: { job_id: x, build_no: one } } }"),
		"name of a fact":         replace("on: push", "on: push\n    fetch: { a-b: { build_record: { job_id: x, build_no: 1 } } }"),
		"reserved name":          replace("on: push", "on: push\n    fetch: { for: { build_record: { job_id: x, build_no: 1 } } }"),
		"key of a fact":          replace("on: push", "on: push\n    fetch: { a: { build_record: { job_id: x, build_no: 1 }, untl: 'true' } }"),
		"on_timeout":             replace("on: push", "on: push\n    fetch: { a: { build_record: { job_id: x, build_no: 1 }, on_timeout: stop } }"),
		"for_each":               replace("on: push", "on: push\n    for_each: { in: event.commits }"),
		"vars with an expresion": "vars: { a: '${{ event.branch }}' }\n",
		"empty var":              "vars: { a: }\n",
		"action":                 replace("notify:", "notfy:"),
		"two actions":            replace("text: x }", "text: x }, alert: { key: k, phase: p, countdown: 1, at: [1], to: team, title: t, text: x }"),
		"no action":              replace("notify: { to: team, title: t, text: x }", "id: x"),
		"target":                 replace("to: team", "to: '${{ event.branch }}'"),
		"target twice":           replace("to: team", "to: [team, team]"),
		"no target":              replace("to: team, ", ""),
		"key of notify":          replace("title: t", "titel: t"),
		"repository":             replace("notify: { to: team, title: t, text: x }", "commit: { repo_id: orders, branch: b, message: m, actions: [{ action: delete, file_path: a }] }"),
		"file action":            replace("notify: { to: team, title: t, text: x }", "commit: { repo_id: 1, branch: b, message: m, actions: [{ action: mv, file_path: a }] }"),
		"create without":         replace("notify: { to: team, title: t, text: x }", "commit: { repo_id: 1, branch: b, message: m, actions: [{ action: create, file_path: a }] }"),
		"delete with":            replace("notify: { to: team, title: t, text: x }", "commit: { repo_id: 1, branch: b, message: m, actions: [{ action: delete, file_path: a, content: x }] }"),
		"no file actions":        replace("notify: { to: team, title: t, text: x }", "commit: { repo_id: 1, branch: b, message: m, actions: [] }"),
		"build task":             replace("notify: { to: team, title: t, text: x }", "build: { job_id: x }"),
		"rungs":                  replace("notify: { to: team, title: t, text: x }", "alert: { key: k, phase: p, countdown: 1, at: [4000], to: team, title: t, text: x }"),
		"countdown":              replace("notify: { to: team, title: t, text: x }", "alert: { key: k, phase: p, countdown: soon, at: [1], to: team, title: t, text: x }"),
	} {
		if text == rest {
			t.Errorf("%s: nothing is replaced", name)
		}
		if err := schema.checkYAML([]byte(text)); err == nil {
			t.Errorf("%s: the schema takes\n%s", name, text)
		}
		if !brokenFiles([]rules.File{{Name: "f.yaml", Data: []byte(text)}})["f.yaml"] {
			t.Errorf("%s: it compiles:\n%s", name, text)
		}
	}
}

// TestSchemaOfAConfiguration: names of targets and connections are those of the configuration.
func TestSchemaOfAConfiguration(t *testing.T) {
	data, err := rules.Schema(engine.Catalogue([]string{"ops", "team"}, []string{"beijing"}))
	if err != nil {
		t.Fatal(err)
	}
	schema := newSchemaChecker(t, data)
	const text = "rules: [{ name: r, on: push, fetch: { a: { job_config: { job_id: x }, connection: beijing } }, do: [{ notify: { to: [ops, team], title: t, text: x } }] }]\n"
	if err := schema.checkYAML([]byte(text)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"ops", "beijing"} {
		if schema.checkYAML([]byte(strings.Replace(text, name, "opps", 1))) == nil {
			t.Errorf("another name than %s is taken", name)
		}
	}
}

// TestSchemaDescribes: whatever an editor completes it can also describe.
func TestSchemaDescribes(t *testing.T) {
	schema := ruleSchema(t)
	defs := schema.root["$defs"].(map[string]any)
	for name, def := range defs {
		properties, _ := def.(map[string]any)["properties"].(map[string]any)
		for key, p := range properties {
			if doc, _ := p.(map[string]any)["description"].(string); doc == "" {
				t.Errorf("%s.%s is not described", name, key)
			}
		}
	}
	catalogue := engine.Catalogue(nil, nil)
	fact := defs["fact"].(map[string]any)["properties"].(map[string]any)
	for _, f := range catalogue.Facts {
		if fact[f.Name] == nil || defs["fact_"+f.Name] == nil {
			t.Errorf("there is no %s", f.Name)
		}
	}
	// Every word is one that draft 07 reads the same way.
	var walk func(v any, isSchema bool)
	walk = func(v any, isSchema bool) {
		switch v := v.(type) {
		case map[string]any:
			if isSchema && v["$ref"] != nil && len(v) > 1 {
				t.Errorf("beside a $ref stands something: %v", v)
			}
			for key, e := range v {
				if isSchema && !slices.Contains(schemaWords, key) {
					t.Errorf("the checker of this test does not know the word %q", key)
				}
				walk(e, !isSchema || key != "properties" && key != "$defs")
			}
		case []any:
			for _, e := range v {
				walk(e, isSchema)
			}
		}
	}
	walk(schema.root, true)
}

// schemaWords are the words of JSON Schema that schemaChecker knows, and annotations.
var schemaWords = []string{
	"$ref", "type", "enum", "const", "pattern", "minimum", "maximum", "items", "minItems", "maxItems", "uniqueItems", "properties", "required",
	"additionalProperties", "propertyNames", "minProperties", "maxProperties", "anyOf", "oneOf", "allOf", "not", "if", "then",
	"$schema", "$comment", "$defs", "title", "description", "patternErrorMessage", "errorMessage",
}

// schemaChecker tells whether a value is valid by a JSON Schema, as far as schemaWords go.
type schemaChecker struct {
	root     map[string]any
	patterns map[string]*regexp.Regexp
}

func newSchemaChecker(t *testing.T, data []byte) schemaChecker {
	t.Helper()
	c := schemaChecker{patterns: map[string]*regexp.Regexp{}}
	if err := json.Unmarshal(data, &c.root); err != nil {
		t.Fatal(err)
	}
	return c
}

// checkYAML checks a YAML document.
func (c *schemaChecker) checkYAML(data []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return err
	}
	if len(doc.Content) == 0 {
		return c.check(c.root, nil, "")
	}
	return c.check(c.root, jsonOf(doc.Content[0]), "")
}

// jsonOf is the value of a node as JSON has it. A time is a text, as YAML 1.2 has it.
func jsonOf(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = jsonOf(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		l := []any{}
		for _, e := range n.Content {
			l = append(l, jsonOf(e))
		}
		return l
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		var f float64
		if n.Decode(&f) == nil {
			return f
		}
	}
	return n.Value
}

func typeOfJSON(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

func (c *schemaChecker) check(schema, v any, at string) error {
	if taken, ok := schema.(bool); ok {
		if !taken {
			return fmt.Errorf("%s is not allowed", at)
		}
		return nil
	}
	s := schema.(map[string]any)
	for word, arg := range s {
		if err := c.word(s, word, arg, v, at); err != nil {
			return err
		}
	}
	return nil
}

func (c *schemaChecker) word(s map[string]any, word string, arg, v any, at string) error {
	fits := true
	object, isObject := v.(map[string]any)
	array, isArray := v.([]any)
	text, isText := v.(string)
	number, isNumber := v.(float64)
	switch word {
	case "$ref":
		name := strings.TrimPrefix(arg.(string), "#/$defs/")
		def, ok := c.root["$defs"].(map[string]any)[name]
		if !ok {
			return fmt.Errorf("%s: there is no %v", at, arg)
		}
		return c.check(def, v, at)
	case "type":
		kinds, ok := arg.([]any)
		if !ok {
			kinds = []any{arg}
		}
		kind := typeOfJSON(v)
		fits = slices.Contains(kinds, any(kind)) || kind == "integer" && slices.Contains(kinds, any("number"))
	case "enum":
		fits = slices.Contains(arg.([]any), v)
	case "const":
		fits = v == arg
	case "pattern":
		if c.patterns[arg.(string)] == nil {
			c.patterns[arg.(string)] = regexp.MustCompile(arg.(string))
		}
		fits = !isText || c.patterns[arg.(string)].MatchString(text)
	case "minimum":
		fits = !isNumber || number >= arg.(float64)
	case "maximum":
		fits = !isNumber || number <= arg.(float64)
	case "minItems":
		fits = !isArray || len(array) >= int(arg.(float64))
	case "maxItems":
		fits = !isArray || len(array) <= int(arg.(float64))
	case "uniqueItems":
		for i, e := range array {
			fits = fits && !slices.ContainsFunc(array[:i], func(o any) bool { return fmt.Sprint(o) == fmt.Sprint(e) })
		}
	case "items":
		for i, e := range array {
			if err := c.check(arg, e, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case "required":
		for _, name := range arg.([]any) {
			if _, there := object[name.(string)]; isObject && !there {
				return fmt.Errorf("%s: %s is missing", at, name)
			}
		}
	case "minProperties":
		fits = !isObject || len(object) >= int(arg.(float64))
	case "maxProperties":
		fits = !isObject || len(object) <= int(arg.(float64))
	case "properties":
		for name, p := range arg.(map[string]any) {
			if e, there := object[name]; there {
				if err := c.check(p, e, at+"."+name); err != nil {
					return err
				}
			}
		}
	case "additionalProperties":
		known, _ := s["properties"].(map[string]any)
		for name, e := range object {
			if _, ok := known[name]; !ok {
				if err := c.check(arg, e, at+"."+name); err != nil {
					return err
				}
			}
		}
	case "propertyNames":
		for name := range object {
			if err := c.check(arg, name, at+": the key "+name); err != nil {
				return err
			}
		}
	case "allOf":
		for _, o := range arg.([]any) {
			if err := c.check(o, v, at); err != nil {
				return err
			}
		}
	case "anyOf", "oneOf":
		n := 0
		var first error
		for _, o := range arg.([]any) {
			if err := c.check(o, v, at); err == nil {
				n++
			} else if first == nil {
				first = err
			}
		}
		if n == 0 {
			return fmt.Errorf("%s: none of %s: %w", at, word, first)
		}
		fits = word == "anyOf" || n == 1
	case "not":
		fits = c.check(arg, v, at) != nil
	case "if":
		if c.check(arg, v, at) == nil {
			return c.check(s["then"], v, at)
		}
	}
	if !fits {
		return fmt.Errorf("%s: %.80v is not what %s says: %.200v", at, v, word, arg)
	}
	return nil
}

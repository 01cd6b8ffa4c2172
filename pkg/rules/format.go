package rules

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// ProblemKind is a kind of problem and what it is about.
type ProblemKind struct{ Name, Doc string }

// ProblemKinds are all kinds of problem.
func ProblemKinds() []ProblemKind {
	return []ProblemKind{
		{ProblemSyntax, "not YAML, or a value of the wrong form"},
		{ProblemKey, "a key nobody knows, or one that is missing, empty, there twice or in the wrong place"},
		{ProblemName, "a name that is taken, malformed, or names nothing"},
		{ProblemValue, "a value that is refused or out of its range"},
		{ProblemExpression, "an expression that is no CEL, names what is not there, gives a value of the wrong kind, or always fails"},
		{ProblemFact, "a fact or an argument nobody knows, or facts that cannot be fetched as they stand"},
		{ProblemLimit, "too large, too many or too deep"},
		{ProblemSource, "a type of event that no configured source sends"},
		{ProblemUnreachable, "a rule, an alternative, a fact or an action that can never come about"},
		{ProblemShadowed, "a rule that does just what another does"},
		{ProblemRender, "a value that can never be made: it fails whatever the event is, or would be refused"},
		{ProblemSecret, "a secret in plain text"},
	}
}

// located is a problem as other programs read it. End is the column after the last character it is about, on the same line, 0 when
// that is not known.
type located struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Col      int    `json:"col"`
	End      int    `json:"end,omitempty"`
	Severity string `json:"severity"`
	Kind     string `json:"kind"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

func (ps Problems) located(files []File) []located {
	lines := map[string][]string{}
	for _, f := range files {
		lines[f.Name] = splitLines(string(f.Data))
	}
	out := make([]located, len(ps))
	for i, p := range ps {
		out[i] = located{p.File, p.Line, p.Col, p.end(lines[p.File]), p.Severity.String(), p.Kind, p.Message, p.Hint}
	}
	return out
}

// end is the column after the word or the quoted text that begins at the place of the problem, 0 where there is none.
func (p Problem) end(lines []string) int {
	if p.Line < 1 || p.Line > len(lines) || p.Col < 1 {
		return 0
	}
	line := []rune(lines[p.Line-1])
	at := p.Col - 1
	if at >= len(line) {
		return 0
	}
	if quote := line[at]; quote == '"' || quote == '\'' {
		for i := at + 1; i < len(line); i++ {
			switch {
			case quote == '"' && line[i] == '\\':
				i++
			case line[i] == quote:
				return i + 2
			}
		}
		return 0
	}
	n := slices.IndexFunc(line[at:], func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-./*", r)
	})
	switch {
	case n < 0:
		return len(line) + 1
	case n == 0:
		return 0
	}
	return p.Col + n
}

// WriteJSON writes one JSON array with an object for each problem: file, line, col, end, severity, kind, message and hint. Line and col
// count from 1, col in characters; end is the column after the last character, left out when it is not known. files are those given
// to Compile.
func (ps Problems) WriteJSON(w io.Writer, files []File) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(ps.located(files))
}

// WriteGitHub writes a workflow command of GitHub Actions for each problem, which becomes an annotation of its line.
func (ps Problems) WriteGitHub(w io.Writer) error {
	var b strings.Builder
	for _, p := range ps {
		fmt.Fprintf(&b, "::%s file=%s", p.Severity, gitHubProperty.Replace(p.File))
		if p.Line > 0 && p.Col > 0 {
			fmt.Fprintf(&b, ",line=%d,col=%d", p.Line, p.Col)
		}
		fmt.Fprintf(&b, "::%s\n", gitHubText.Replace(p.text()+" ["+p.Kind+"]"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// text is what is wrong, and the remedy.
func (p Problem) text() string {
	text := p.Message
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	return text
}

// What GitHub's runner undoes: in the message, and in the values of properties, which end at : and ,.
var (
	gitHubText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	gitHubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// The parts of SARIF 2.1.0 that are written.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string    `json:"id"`
		ShortDescription sarifText `json:"shortDescription"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndColumn   int `json:"endColumn,omitempty"`
	}
)

// WriteSARIF writes a log of SARIF 2.1.0 with one run; its rules are the kinds of problem. files are those given to Compile.
func (ps Problems) WriteSARIF(w io.Writer, files []File) error {
	run := sarifRun{
		Tool: sarifTool{sarifDriver{Name: "millrace"}}, ColumnKind: "unicodeCodePoints", Results: []sarifResult{},
	}
	index := map[string]int{}
	add := func(kind, doc string) {
		index[kind] = len(run.Tool.Driver.Rules)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: kind, ShortDescription: sarifText{doc}})
	}
	for _, k := range ProblemKinds() {
		add(k.Name, k.Doc)
	}
	for i, l := range ps.located(files) {
		if _, known := index[l.Kind]; !known {
			add(l.Kind, l.Kind)
		}
		where := sarifPhysical{Artifact: sarifArtifact{fileURI(l.File)}}
		if l.Line > 0 && l.Col > 0 {
			where.Region = &sarifRegion{StartLine: l.Line, StartColumn: l.Col, EndColumn: l.End}
		}
		run.Results = append(run.Results, sarifResult{
			RuleID: l.Kind, RuleIndex: index[l.Kind], Level: l.Severity, Message: sarifText{ps[i].text()},
			Locations: []sarifLocation{{where}},
		})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

// fileURI is the name of a file as a URI: relative to wherever the reader looks from, or absolute.
func fileURI(name string) string {
	u := url.URL{Path: strings.TrimPrefix(name, "./")}
	if strings.HasPrefix(name, "/") {
		u.Scheme = "file"
	}
	return u.String()
}

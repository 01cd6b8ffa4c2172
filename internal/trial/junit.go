package trial

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The elements of JUnit's report, as CI systems read it.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr"`
		Line    int           `xml:"line,attr"`
		Failure *junitFailure `xml:"failure,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the report as JUnit's XML: a suite for each file. It says no times, for a test takes none.
func (r *Report) WriteJUnit(w io.Writer) error {
	out := junitSuites{Name: "millrace rules test", Tests: len(r.Tests), Failures: r.Failed}
	for i := range r.Tests {
		t := &r.Tests[i]
		if n := len(out.Suites); n == 0 || out.Suites[n-1].Name != t.File {
			out.Suites = append(out.Suites, junitSuite{Name: t.File})
		}
		suite := &out.Suites[len(out.Suites)-1]
		suite.Tests++
		c := junitCase{Name: t.Name, Class: strings.TrimSuffix(t.File, ".yaml"), File: t.File, Line: t.Line}
		if !t.Passed {
			suite.Failures++
			first := &t.Failures[0]
			c.Failure = &junitFailure{
				Type: "difference", Text: t.Text(),
				Message: fmt.Sprintf("%s: %s: expected %s, actual %s", first.Rule, first.What, visible(first.Expected), visible(first.Actual)),
			}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(&out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

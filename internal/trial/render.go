package trial

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Render writes a report for people: a line for each file, and of each test that failed what is different. all names the tests
// that passed too.
func (r *Report) Render(w io.Writer, all bool) {
	for from := 0; from < len(r.Tests); {
		to := from
		failed := 0
		for ; to < len(r.Tests) && r.Tests[to].File == r.Tests[from].File; to++ {
			if !r.Tests[to].Passed {
				failed++
			}
		}
		mark, tail := "✓", ""
		if failed > 0 {
			mark, tail = "✗", fmt.Sprintf(", %d failed", failed)
		}
		fmt.Fprintf(w, "%s %s  %s%s\n", mark, r.Tests[from].File, plural(to-from, "test"), tail)
		for i := range r.Tests[from:to] {
			t := &r.Tests[from+i]
			if all && t.Passed {
				fmt.Fprintf(w, "  ✓ %s\n", t.Name)
			}
			if !t.Passed {
				t.render(w)
			}
		}
		from = to
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (t *Result) render(w io.Writer) {
	fmt.Fprintf(w, "  ✗ %s:%d: %s\n", t.File, t.Line, t.Name)
	for i := range t.Failures {
		t.Failures[i].render(w, t.File)
	}
}

// Text is what is different about a test that failed.
func (t *Result) Text() string {
	var b strings.Builder
	for i := range t.Failures {
		t.Failures[i].render(&b, t.File)
	}
	return b.String()
}

func (f *Failure) render(w io.Writer, file string) {
	step := ""
	if f.Step > 0 {
		step = fmt.Sprintf("step %d: ", f.Step)
	}
	fmt.Fprintf(w, "    %s:%d: %s%s: %s\n", file, f.Line, step, f.Rule, f.What)
	if strings.Contains(f.Expected, "\n") {
		fmt.Fprintf(w, "      - expected\n      + actual\n")
		for _, line := range difference(lines(f.Expected), lines(f.Actual)) {
			fmt.Fprintf(w, "      %s\n", strings.TrimRight(line, " "))
		}
	} else {
		fmt.Fprintf(w, "      expected  %s\n", visible(f.Expected))
		fmt.Fprintf(w, "      actual    %s\n", strings.ReplaceAll(visible(f.Actual), "\n", "\n                "))
	}
	if f.Why != "" {
		fmt.Fprintf(w, "      why       %s\n", f.Why)
	}
	for line := range strings.Lines(f.Explain) {
		fmt.Fprintf(w, "        %s", line)
	}
}

// visible is a text that is seen also when there is none of it, or it ends in blanks.
func visible(text string) string {
	if text == "" || strings.TrimSpace(text) != text {
		return fmt.Sprintf("%q", text)
	}
	return text
}

// lines are the lines of a text; one at the end that has no line break says so.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	rest, ended := strings.CutSuffix(text, "\n")
	out := strings.Split(rest, "\n")
	if ended {
		out[len(out)-1] += "↵"
	}
	return out
}

// Difference is the lines of two texts: those of the first alone with "- " before them, those of the second alone with "+ ", and those of
// both with two blanks.
func Difference(first, second string) []string { return difference(lines(first), lines(second)) }

// maxCompared is up to how many lines a difference is looked for line by line.
const maxCompared = 1000

// difference is the lines of two texts, those of the first alone with "- " before them, those of the second alone with "+ ".
func difference(a, b []string) []string {
	var head, tail []string
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		head = append(head, "  "+a[0])
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail = append(tail, "  "+a[len(a)-1])
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	slices.Reverse(tail)
	return append(append(head, middle(a, b)...), tail...)
}

// middle is the difference of lines that neither begin nor end alike, by their longest common subsequence.
func middle(a, b []string) []string {
	var out []string
	if len(a) > maxCompared || len(b) > maxCompared {
		for _, line := range a {
			out = append(out, "- "+line)
		}
		for _, line := range b {
			out = append(out, "+ "+line)
		}
		return out
	}
	common := make([][]int, len(a)+1) // of a[i:] and b[j:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			common[i][j] = max(common[i+1][j], common[i][j+1])
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, "  "+a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, "- "+a[i])
			i++
		default:
			out = append(out, "+ "+b[j])
			j++
		}
	}
	return out
}

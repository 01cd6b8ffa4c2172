package rules

import (
	"slices"
	"strings"
)

// Nearest is the name in names that is most like name, "" when none is like it enough to be meant. It is another one than name.
func Nearest(name string, names []string) string {
	best, bestDistance := "", 1+max(1, len(name)/3)
	sorted := slices.Sorted(slices.Values(names))
	for _, n := range sorted {
		if n == name {
			continue
		}
		if strings.EqualFold(n, name) || strings.EqualFold(strings.ReplaceAll(n, "_", ""), strings.NewReplacer("_", "", "-", "").Replace(name)) {
			return n
		}
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < bestDistance {
			best, bestDistance = n, d
		}
	}
	return best
}

// elsewhere are names that other tools give what is meant, by ours.
var elsewhere = map[string][]string{
	// keys
	"on":         {"trigger", "event", "events"},
	"match":      {"filter", "filters", "only"},
	"when":       {"if", "where", "condition", "conditions"},
	"fetch":      {"facts", "data", "with"},
	"do":         {"steps", "actions", "then", "run"},
	"if":         {"when", "condition"},
	"to":         {"channel", "target", "targets", "recipients", "receiver", "receivers"},
	"title":      {"subject", "header"},
	"text":       {"message", "body", "content"},
	"link":       {"url", "href"},
	"actions":    {"files"},
	"file_path":  {"path", "file", "filename"},
	"parameters": {"params", "inputs", "variables"},
	"job_id":     {"job", "task", "pipeline"},
	// fields under match
	"branch":                      {"ref", "branches"},
	"tag":                         {"tags"},
	"repository.path":             {"repo", "repository", "project"},
	"author.username":             {"user", "sender", "author", "actor"},
	"merge_request.target_branch": {"target_branch"},
	"merge_request.source_branch": {"source_branch"},
	// types of events
	"merge_request.*": {"pull_request", "merge_requests", "pr", "mr"},
	"note.*":          {"comment", "comments", "issue_comment"},
	"tag_push":        {"tag", "release", "create"},
	"branch_delete":   {"delete"},
	"push":            {"commit", "commits"},
	"build.finished":  {"build", "pipeline", "workflow_run"},
}

// byAnotherName is the one of names that other tools call so, or the group that has the name; "" when there is none.
func byAnotherName(name string, names []string) string {
	for _, n := range names {
		if slices.Contains(elsewhere[n], name) {
			return n
		}
	}
	if slices.Contains(names, name+".*") {
		return name + ".*"
	}
	return ""
}

// didYouMean is the hint for a name that is none of names: what it is called here, the nearest, or, of few, all.
func didYouMean(name string, names []string) string {
	if n := byAnotherName(name, names); n != "" {
		return "did you mean " + n + "?"
	}
	if n := Nearest(name, names); n != "" {
		return "did you mean " + n + "?"
	}
	if len(names) > 0 && len(names) <= 12 {
		return "one of: " + strings.Join(slices.Sorted(slices.Values(names)), ", ")
	}
	return ""
}

// distance is the Damerau-Levenshtein distance (adjacent swaps count one) of two short strings.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64
	}
	two, one, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(one[j]+1, row[j-1]+1, one[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one, row = one, row, two
	}
	return one[len(y)]
}

package codearts_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
)

// example is one file of testdata/answers: an answer in the form the vendor documents, with made-up ids, and what is to be made of it. A
// file is named after its operation; further ones have a word after it, as in job_permissions.list.json.
type example struct {
	name, op string

	Args map[string]any `json:"args"` // of Client.Call
	V4   bool           `json:"v4"`   // an answer of Repo's v4

	Answer      json.RawMessage `json:"answer"`       // the body as it is sent; none for what is made of several calls
	Text        string          `json:"text"`         // the body of an answer that is no JSON
	ContentType string          `json:"content_type"` // application/json when it is not said

	At     string          `json:"at"`     // where in the answer the result is, "result.items"; "": the answer is the result
	Result json.RawMessage `json:"result"` // the result, where it is not what stands in the answer
	Ours   []string        `json:"ours"`   // fields of the result that we add
	Needs  []string        `json:"needs"`  // paths of fields without which the answer is an error, "result.id"
	Maps   []string        `json:"maps"`   // fields that hold anything under any name
}

// examples returns the examples, sorted by name.
func examples(t testing.TB) []example {
	t.Helper()
	all, err := readExamples()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(all)
}

var readExamples = sync.OnceValues(func() ([]example, error) {
	files, err := filepath.Glob("testdata/answers/*.json")
	if err != nil {
		return nil, err
	}
	all := make([]example, 0, len(files))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		e := example{name: strings.TrimSuffix(filepath.Base(file), ".json")}
		e.op, _, _ = strings.Cut(e.name, ".")
		strict := json.NewDecoder(bytes.NewReader(data))
		strict.DisallowUnknownFields()
		if err := strict.Decode(&e); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if e.Answer != nil { // as it is sent, without the line breaks for people
			var sent bytes.Buffer
			if err := json.Compact(&sent, e.Answer); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			e.Answer = sent.Bytes()
		}
		all = append(all, e)
	}
	return all, nil
})

// exampleOf returns the example of an operation that has its name.
func exampleOf(t testing.TB, op string) example {
	t.Helper()
	all := examples(t)
	i := slices.IndexFunc(all, func(e example) bool { return e.name == op })
	if i < 0 {
		t.Fatalf("there is no testdata/answers/%s.json: write the answer its page documents, and the arguments of a call", op)
	}
	return all[i]
}

// body is the answer as it is sent.
func (e example) body() string { return cmp.Or(e.Text, string(e.Answer)) }

// read is what a client makes of body in place of the example's: the whole result, nothing redacted.
func (e example) read(t testing.TB, body string) (any, error) {
	t.Helper()
	return e.client(t, body).CallWhole(t.Context(), e.op, e.Args)
}

// client reads body, whatever it asks.
func (e example) client(t testing.TB, body string) *codearts.Client {
	t.Helper()
	return newCanned(t, canned{body: body, contentType: e.ContentType}, func(cfg *codearts.Config) {
		if e.V4 {
			cfg.RepoAPI = codearts.RepoV4
		}
	})
}

// decoded is the result of read, encoded and decoded again.
func (e example) decoded(t testing.TB, body string) (any, error) {
	t.Helper()
	got, err := e.read(t, body)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data)), nil
}

// want is the result the example asks for.
func (e example) want(t testing.TB) any {
	t.Helper()
	if e.Result != nil {
		return parse(t, string(e.Result))
	}
	v := parse(t, string(e.Answer))
	for step := range strings.SplitSeq(e.At, ".") {
		if step == "" {
			continue
		}
		object, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("%s: there is nothing at %s", e.name, e.At)
		}
		v = object[step]
	}
	return v
}

// parse decodes JSON, its numbers as they are written.
func parse(t testing.TB, s string) any {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return v
}

// readable are the examples of answers that Client.Call reads.
func readable(t testing.TB) []example {
	t.Helper()
	return slices.DeleteFunc(examples(t), func(e example) bool { return e.op == codearts.OpToken || e.body() == "" })
}

// Each documented example is decoded and encoded again without loss; only what is ours, or null, is added.
func TestExamplesLoseNothing(t *testing.T) {
	for _, e := range readable(t) {
		t.Run(e.name, func(t *testing.T) {
			got, err := e.decoded(t, e.body())
			if err != nil {
				t.Fatal(err)
			}
			want := e.want(t)
			if diff := gocmp.Diff(want, prune(got, want, e.Ours)); diff != "" {
				t.Errorf("(-example +encoded again):\n%s", diff)
			}
		})
	}
}

// prune takes out of got what is not in want and says nothing, or is ours.
func prune(got, want any, ours []string) any {
	switch g := got.(type) {
	case map[string]any:
		w, _ := want.(map[string]any)
		for name, value := range g {
			if _, there := w[name]; there {
				g[name] = prune(value, w[name], ours)
			} else if isNothing(value) || slices.Contains(ours, name) {
				delete(g, name)
			}
		}
	case []any:
		w, _ := want.([]any)
		for i := range min(len(g), len(w)) {
			g[i] = prune(g[i], w[i], ours)
		}
	}
	return got
}

func isNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case json.Number:
		return v == "0"
	case []any:
		return len(v) == 0
	case map[string]any:
		return !slices.ContainsFunc(slices.Collect(maps.Values(v)), func(v any) bool { return !isNothing(v) })
	}
	return false
}

// What Client.Call returns shows none of the secrets of an example.
func TestExamplesAreRedacted(t *testing.T) {
	for _, e := range readable(t) {
		got, err := e.client(t, e.body()).Call(t.Context(), e.op, e.Args)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		data, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "MARKER") || strings.Contains(fmt.Sprintf("%+v", got), "MARKER") {
			t.Errorf("%s shows a secret: %s", e.name, data)
		}
		if strings.Contains(e.body(), "MARKER") && !strings.Contains(string(data), "[redacted]") && !strings.Contains(string(data), "?…") {
			t.Errorf("%s: nothing stands for its secret: %s", e.name, data)
		}
	}
}

// The answer that signs in is read whatever it leaves out: the token is in a header.
func TestTokenExample(t *testing.T) {
	e := exampleOf(t, codearts.OpToken)
	bodies := []string{e.body(), `{}`, `null`, ``}
	for _, v := range variants(t, e) {
		bodies = append(bodies, v.body)
	}
	for _, body := range bodies {
		client, err := codearts.New(codearts.Config{
			Region: "cn-north-4", Credentials: password("x"),
			Transport: signingIn{canned{body: body, status: http.StatusCreated}, canned{body: exampleOf(t, codearts.OpJobConfig).body()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := second(client.JobConfig(t.Context(), jobID)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// signingIn answers IAM with the one and everybody else with the other.
type signingIn struct{ iam, other canned }

func (s signingIn) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/v3/auth/tokens" {
		return s.other.RoundTrip(r)
	}
	resp, err := s.iam.RoundTrip(r)
	if resp != nil {
		resp.Header.Set("X-Subject-Token", "t0ken")
	}
	return resp, err
}

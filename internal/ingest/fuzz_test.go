package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/events"
)

// FuzzReceive sends what no sender would. Whatever comes: no panic, a 5xx only for the
// publisher's error, JSON answers of ours, nothing stored but by 202, and what is stored
// is well formed and proven.
func FuzzReceive(f *testing.F) {
	add := func(method, path, headers, body string) {
		f.Add(method, path, headers, []byte(body), int64(len(body)), false)
	}
	good := "Content-Type: application/json\nX-Repo-Token: " + testSecret
	add("POST", "/hooks/repo", good, pushBody(f))
	add("POST", "/hooks/repo", good+"\nwebhook-id: \x01\nX-Gitlab-Event: Push Hook", `{"uuid":null}`)
	add("POST", "/hooks/hub", "Content-Type: application/x+json; charset=UTF-8\nX-Hub-Signature-256: sha256="+hexHMAC(testSecret, "{}"), "{}")
	add("POST", "/hooks/std", "Content-Type: application/json\nWebhook-Id: 1\nWebhook-Timestamp: 1763631780\nWebhook-Signature: v1,AAAA v1a,x", "{}")
	add("POST", "/hooks/fields", good, `{"a":{"b":"\ud800"},"c":[1]}`)
	add("POST", "/hooks/whole", good+"\nContent-Encoding: gzip", "\x1f\x8b")
	add("OPTIONS", "/hooks/repo", "", "")
	add("G T", "//hooks/%2e%2e/\x00", ":\n:\n\n", "[")
	f.Add("POST", "/hooks/repo", good, []byte("{}"), int64(-1), true)

	store := &store{}
	failing := false
	store.fail = func(_ context.Context, e *events.Event) error {
		if failing {
			return errors.New("no")
		}
		return nil
	}
	secrets := []Secret{Secret(testSecret)}
	server, err := New(Options{
		Publisher: store, MaxBody: 4096, Log: zerolog.New(io.Discard),
		Sources: []Source{
			{Name: "repo", Verify: Verify{Scheme: SchemeToken, Secrets: secrets}},
			{Name: "hub", Verify: Verify{Scheme: SchemeHMAC, Secrets: secrets}},
			{Name: "std", Verify: Verify{Scheme: SchemeStandardWebhooks, Secrets: []Secret{Secret("whsec_c2VjcmV0")}}},
			{Name: "fields", Verify: Verify{Scheme: SchemeToken, Secrets: secrets}, IDFrom: IDFrom{Fields: []string{"a.b", "c"}}},
			{Name: "whole", Verify: Verify{Scheme: SchemeToken, Secrets: secrets}, IDFrom: IDFrom{Body: true}},
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, headers string, body []byte, length int64, fail bool) {
		store.seen, store.events, failing = nil, nil, fail
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Method, r.URL, r.ContentLength = method, &url.URL{Path: path}, length
		r.Header = http.Header{}
		for line := range strings.SplitSeq(headers, "\n") {
			name, v, _ := strings.Cut(line, ":")
			r.Header.Add(name, strings.TrimSpace(v))
		}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)

		var answer map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%d: %v: %s", w.Code, err, w.Body)
		}
		if w.Code >= 500 && (w.Code != http.StatusServiceUnavailable || !fail) {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		if (w.Code == http.StatusAccepted) != (len(store.events) == 1) {
			t.Fatalf("%d, and %d stored", w.Code, len(store.events))
		}
		if w.Code != http.StatusAccepted {
			if answer["error"] == "" || strings.Contains(w.Body.String(), testSecret) {
				t.Fatalf("%d: %s", w.Code, w.Body)
			}
			return
		}
		e := store.events[0]
		if method != http.MethodPost || path != "/hooks/"+e.Source || !bytes.Equal(e.Body, body) ||
			!events.ValidType(e.Type) || e.Type == events.TypeTick || len(e.ID) > len(e.Source)+1+maxDeliveryID || answer["event_id"] != e.ID {
			t.Fatalf("%s %s stored %+v, answered %s", method, path, e, w.Body)
		}
		if !strings.Contains(headers, testSecret) && !strings.Contains(strings.ToLower(headers), hexHMAC(testSecret, string(body))) {
			t.Fatalf("accepted without proof: %q", headers)
		}
	})
}

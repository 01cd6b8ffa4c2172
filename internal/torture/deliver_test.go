//go:build unix

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTry: what the answers of a receiver mean.
func TestTry(t *testing.T) {
	p := push(1, 1, plain, 0)
	for _, tt := range []struct {
		name           string
		status         int
		retryAfter     string
		body           string
		accepted       bool
		taken, refused int
		err            string
	}{
		{"accepted", 202, "", `{"event_id":"` + p.ID + `"}`, true, 1, 0, ""},
		{"accepted as another", 202, "", `{"event_id":"shop/x"}`, false, 1, 0, "was accepted as"},
		{"no room", 503, "2", "", false, 0, 1, ""},
		{"too many", 429, "2", "", false, 0, 1, ""},
		{"no room, and not a word when there is", 503, "", "", false, 0, 0, "without Retry-After"},
		{"a refusal for good", 401, "", "", false, 0, 0, "was refused: 401"},
		{"a bug", 500, "", "", false, 0, 0, "was refused: 500"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("X-Hub-Signature-256"); got != sign("secret", p.Body) {
					t.Errorf("signature %q", got)
				}
				if tt.retryAfter != "" {
					w.Header().Set("Retry-After", tt.retryAfter)
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			defer server.Close()
			b := newBalancer("secret", 1)
			defer b.client.CloseIdleConnections()
			if accepted, err := b.try(t.Context(), p); accepted || err != nil {
				t.Errorf("by nobody: %t, %v", accepted, err)
			}
			b.at(0, server.Listener.Addr().String())
			accepted, err := b.try(t.Context(), p)
			if accepted != tt.accepted || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%t, %v", accepted, err)
			}
			if taken, refused := b.answers(0); taken != tt.taken || refused != tt.refused {
				t.Errorf("%d taken, %d refused", taken, refused)
			}
		})
	}
}

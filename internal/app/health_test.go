package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/app"
)

func TestReadyURL(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:9080":   "http://127.0.0.1:9080/readyz",
		":9080":            "http://127.0.0.1:9080/readyz",
		"0.0.0.0:9080":     "http://127.0.0.1:9080/readyz",
		"[::]:9080":        "http://[::1]:9080/readyz",
		"admin.local:9080": "http://admin.local:9080/readyz",
		"off":              "admin_listen is off",
		"9080":             "expected an address and a port",
	} {
		got, err := app.ReadyURL(listen)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, wanted %s", listen, got, want)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/away", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the broker is away", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ready", http.StatusFound) })
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, want := range map[string]string{
		"/ready": "<nil>", "/away": "/away answers 503 Service Unavailable: the broker is away", "/elsewhere": "/elsewhere answers 302 Found",
	} {
		eventually(t, path, func() error { // on a machine that stalls the question takes too long
			if said := fmt.Sprint(app.Health(t.Context(), server.URL+path)); !strings.Contains(said, want) {
				return errors.New(said)
			}
			return nil
		})
	}
	server.Close()
	for _, address := range []string{server.URL + "/ready", "readyz", "ftp://127.0.0.1/readyz"} {
		if app.Health(t.Context(), address) == nil {
			t.Errorf("%s is healthy", address)
		}
	}
}

// TestHealthIsBounded: who never answers is not well.
func TestHealthIsBounded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	begin := time.Now()
	err := app.Health(t.Context(), server.URL)
	if took := time.Since(begin); err == nil || took > patience {
		t.Errorf("%v after %s", err, took)
	}
}

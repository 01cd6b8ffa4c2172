package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"
)

// checkTimeout bounds the checks of one question whether the process is ready, all together.
const checkTimeout = 3 * time.Second

// Check is one thing that must hold for a process to be ready.
type Check struct {
	Name string
	// Ready returns what there is to say when it holds, and an error that says what is missing when it does not.
	Ready func(ctx context.Context) (detail string, err error)
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready  bool     `json:"ready"`
	Checks []Result `json:"checks"` // in the order they were given
}

// Result is what a Check said.
type Result struct {
	Name   string `json:"name"`
	Ready  bool   `json:"ready"`
	Detail string `json:"detail,omitempty"`
}

// Admin serves what monitoring asks of a process: /livez (200 as long as the process answers), /readyz (200 when every check holds,
// 503 otherwise, with each check as JSON) and /metrics. It asks for no password and shows no secret.
func Admin(checks []Check, metrics *Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintln(w, "alive")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		answer(w, ask(ctx, checks))
	})
	mux.Handle("GET /metrics", metrics.Handler())
	return mux
}

// AdminServer is an http.Server with timeouts for Admin. Its owner closes it.
func AdminServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
		WriteTimeout: 15 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

func ask(ctx context.Context, checks []Check) Readiness {
	all := Readiness{Ready: true, Checks: make([]Result, 0, len(checks))}
	for _, c := range checks {
		r := Result{Name: c.Name, Ready: true}
		detail, err := holds(ctx, c)
		r.Detail = detail
		if err != nil {
			r.Ready, r.Detail, all.Ready = false, err.Error(), false
		}
		all.Checks = append(all.Checks, r)
	}
	return all
}

// holds makes an error of a panic: a mistake in a check must not look like a process that does not answer.
func holds(ctx context.Context, c Check) (detail string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return c.Ready(ctx)
}

func answer(w http.ResponseWriter, r Readiness) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !r.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(r)
}

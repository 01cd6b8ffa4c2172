package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/telemetry"
)

func TestAdmin(t *testing.T) {
	var fail error
	admin := telemetry.Admin([]telemetry.Check{
		{Name: "stream", Ready: func(ctx context.Context) (string, error) {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("a check has no deadline")
			}
			return "connected", nil
		}},
		{Name: "rules", Ready: func(context.Context) (string, error) { return "", fail }},
		{Name: "broken", Ready: func(context.Context) (string, error) {
			if fail != nil {
				panic("a mistake")
			}
			return "", nil
		}},
	}, telemetry.NewMetrics(telemetry.Names{}))
	get := func(method, path string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		admin.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
		return rec
	}
	if rec := get(http.MethodGet, "/livez"); rec.Code != http.StatusOK || rec.Body.String() != "alive\n" {
		t.Errorf("livez: %d %s", rec.Code, rec.Body)
	}
	if rec := get(http.MethodPost, "/livez"); rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", rec.Code)
	}
	if rec := get(http.MethodGet, "/"); rec.Code != http.StatusNotFound {
		t.Errorf("/: %d", rec.Code)
	}
	if rec := get(http.MethodGet, "/metrics"); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "go_goroutines") {
		t.Errorf("metrics: %d %s", rec.Code, rec.Body)
	}
	rec := get(http.MethodGet, "/readyz")
	if want := `{"ready":true,"checks":[{"name":"stream","ready":true,"detail":"connected"},{"name":"rules","ready":true},{"name":"broken","ready":true}]}` + "\n"; rec.Code != http.StatusOK || rec.Body.String() != want {
		t.Errorf("readyz: %d %s", rec.Code, rec.Body)
	}
	fail = errors.New("no rules are loaded")
	rec = get(http.MethodGet, "/readyz")
	var got telemetry.Readiness
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	got.Checks[2].Detail, _, _ = strings.Cut(got.Checks[2].Detail, "\n")
	want := telemetry.Readiness{Checks: []telemetry.Result{
		{Name: "stream", Ready: true, Detail: "connected"}, {Name: "rules", Detail: "no rules are loaded"}, {Name: "broken", Detail: "panic: a mistake"},
	}}
	if diff := cmp.Diff(want, got); diff != "" || rec.Code != http.StatusServiceUnavailable {
		t.Errorf("%d (-want +got):\n%s", rec.Code, diff)
	}
}

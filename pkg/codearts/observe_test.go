package codearts_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// TestObserve: every request is told of once, with its status, those that sign in and those without an answer included.
func TestObserve(t *testing.T) {
	type seen struct {
		Operation string
		Status    int
	}
	var got []seen
	w := newWorld(t, codeartstest.Options{}, func(cfg *codearts.Config) {
		cfg.Observe = func(operation string, status int, took time.Duration) {
			if took <= 0 {
				t.Errorf("%s took %s", operation, took)
			}
			got = append(got, seen{operation, status})
		}
	})
	if _, err := w.JobConfig(t.Context(), jobID); err != nil {
		t.Fatal(err)
	}
	w.Fail(codearts.OpJobConfig, codeartstest.Failure{Times: 1, Cut: true})
	w.Fail(codearts.OpJobConfig, codeartstest.Failure{Times: 1, Status: http.StatusBadGateway})
	for range 2 {
		if _, err := w.JobConfig(t.Context(), jobID); err == nil {
			t.Error("no error")
		}
	}
	want := []seen{{codearts.OpToken, 201}, {codearts.OpJobConfig, 200}, {codearts.OpJobConfig, 0}, {codearts.OpJobConfig, 502}}
	if diff := cmp.Diff(want, got); diff != "" || !slices.Equal(want, got) {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

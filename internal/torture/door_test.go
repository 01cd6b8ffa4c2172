//go:build unix

package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// answering is a receiver that answers with a status, and with the id it is told.
func answering(t *testing.T, status int, id string) (address string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("X-Hub-Signature-256") != sign("s", body) || r.URL.Path != "/hooks/shop" {
			status = http.StatusUnauthorized
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"event_id":"`+id+`"}`)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), asked
}

func TestBalancer(t *testing.T) {
	p := push(1, 1, note, 0)
	good, taken := answering(t, http.StatusAccepted, p.ID)
	busy, asked := answering(t, http.StatusServiceUnavailable, "")
	b := newBalancer("s", 3) // the third is not there
	defer b.client.CloseIdleConnections()
	b.at(0, busy)
	b.at(1, good)
	for range 6 {
		if err := b.deliver(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if taken.Load() != 6 || asked.Load() == 0 || b.failed.Load() == 0 {
		t.Errorf("taken %d times, refused %d times, tried again %d times", taken.Load(), asked.Load(), b.failed.Load())
	}
	all := b.events()
	if len(all) != 1 || all[0].ID != p.ID || all[0].Accepted.IsZero() || b.accepted() != 1 {
		t.Errorf("sent %+v", all)
	}
	b.at(1, "")
	ended, end := context.WithCancel(t.Context())
	end()
	if err := b.deliver(ended, push(1, 2, tell, 0)); err != nil || b.accepted() != 1 || len(b.events()) != 2 {
		t.Errorf("what nobody takes: %v, %+v", err, b.events())
	}
}

// TestFront: whatever the weather, what is answered 2xx was carried out, and what was carried out is made known first.
func TestFront(t *testing.T) {
	tests := []struct {
		name     string
		set      func(w *weather)
		statuses string // that may come; "cut" is none
	}{
		{"fair", func(*weather) {}, "200"},
		{"failing", func(w *weather) { w.failing.Add(1) }, "200 500 503 429"},
		{"cut", func(w *weather) { w.cut.Add(1) }, "200 cut"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w weather
			tt.set(&w)
			carried, made, after := 0, 0, 0
			f := &front{
				behind: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					carried++
					_, _ = w.Write(body)
				}),
				weather: &w, luck: &luck{rnd: rand.New(rand.NewPCG(1, 1))},
				made: func(_ *http.Request, body []byte, answer *httptest.ResponseRecorder) func() {
					if made++; made != carried || string(body) != "ping" || answer.Body.String() != "ping" {
						t.Errorf("made %d of %d: %q answered %q", made, carried, body, answer.Body)
					}
					return func() { after++ }
				},
			}
			seen := map[string]int{}
			for range 60 {
				before := carried
				status := ask(f)
				seen[status]++
				if done := carried - before; done != 1 && (status == "200" || status == "cut") || done != 0 && status != "200" && status != "cut" {
					t.Errorf("%s, and it was carried out %d times", status, done)
				}
			}
			for status := range seen {
				if !strings.Contains(tt.statuses, status) {
					t.Errorf("answers %v", seen)
				}
			}
			if len(seen) != len(strings.Fields(tt.statuses)) || made != carried || after != made {
				t.Errorf("answers %v, carried out %d, made %d, after %d", seen, carried, made, after)
			}
		})
	}
}

// ask asks a front and says how it answered.
func ask(f *front) (status string) {
	w := httptest.NewRecorder()
	defer func() {
		if recover() != nil {
			status = "cut"
		}
	}()
	f.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("ping")))
	return strings.Fields(w.Result().Status)[0]
}

func TestMarks(t *testing.T) {
	for _, tt := range []struct {
		title, mark string
		kind        effectKind
	}{
		{"rung short-1/4", "short-1/4", rungSent}, {"Renewed: rung short-1/5", "short-1/5", renewalSent}, {"note 00ff", "00ff", messageSent},
	} {
		if mark, kind := messageMark(tt.title); mark != tt.mark || kind != tt.kind {
			t.Errorf("%s: %s %s", tt.title, kind, mark)
		}
	}
	if got := titleOf([]byte(`{"id":"i","title":"tell 1"}`)); got != "tell 1" {
		t.Errorf("title %q", got)
	}
}

func TestTraps(t *testing.T) {
	var ts traps
	w := &worker{}
	ready, sprung := false, 0
	trap := &trap{texts: [][]byte{[]byte("a"), []byte("b")}, spring: func(by *worker) bool {
		if by == w && ready {
			sprung++
		}
		return ready
	}}
	ts.add(trap)
	ts.spring(w, []byte("ab"))
	ready = true
	ts.spring(w, []byte("ac"))
	if sprung != 0 {
		t.Error("a trap has sprung too soon")
	}
	ts.spring(w, []byte("b-a"))
	ts.spring(w, []byte("b-a"))
	if sprung != 1 || ts.remove(trap) {
		t.Errorf("sprung %d times", sprung)
	}
	ts.add(trap)
	if !ts.remove(trap) || ts.remove(trap) {
		t.Error("a trap cannot be taken away once")
	}
}

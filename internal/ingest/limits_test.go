package ingest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// limited is a receiver of two sources, at a time that a test sets.
func limited(t *testing.T, l Limits, inFlight int64, store *store, now *time.Time) *Server {
	t.Helper()
	a, b := tokenSource("a"), tokenSource("b")
	a.Limits = l
	hmac := Source{Name: "signed", Verify: Verify{Scheme: SchemeHMAC, Secrets: []Secret{Secret(testSecret)}}}
	s, err := New(Options{Sources: []Source{a, b, hmac}, Publisher: store, InFlight: inFlight, Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func deliver(s *Server, source, token string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/hooks/"+source, body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Repo-Token", token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// A source that sends more than its rate is told when to come again. Who cannot prove to be it uses nothing up, and the others are as before.
func TestRateOfASource(t *testing.T) {
	now := testTime
	s := limited(t, Limits{Rate: 2, Burst: 3}, 0, new(store), &now)
	send := func(source, token string) *httptest.ResponseRecorder {
		return deliver(s, source, token, strings.NewReader(`{"object_kind":"push"}`))
	}
	for range 10 {
		if w := send("a", "wrong"); w.Code != http.StatusUnauthorized {
			t.Fatalf("answered %d", w.Code)
		}
	}
	for range 3 {
		if w := send("a", testSecret); w.Code != http.StatusAccepted {
			t.Fatalf("answered %d within the burst", w.Code)
		}
	}
	w := send("a", testSecret)
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "sends too much") {
		t.Errorf("answered %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	if w := send("b", testSecret); w.Code != http.StatusAccepted {
		t.Errorf("another source is answered %d", w.Code)
	}
	now = now.Add(time.Second)
	for i, want := range []int{202, 202, 429} {
		if w := send("a", testSecret); w.Code != want {
			t.Errorf("delivery %d after a second is answered %d, want %d", i, w.Code, want)
		}
	}
}

// No more of a source are on their way to the broker than it may have; a place is free again as soon as one is stored.
func TestInFlightOfASource(t *testing.T) {
	now := testTime
	begun, release := make(chan struct{}, 3), make(chan struct{})
	s := limited(t, Limits{InFlight: 2}, 0, &store{fail: func(context.Context, *events.Event) error {
		begun <- struct{}{}
		<-release
		return nil
	}}, &now)
	answers := make(chan int, 3)
	for range 2 {
		go func() { answers <- deliver(s, "a", testSecret, strings.NewReader(`{}`)).Code }()
	}
	<-begun
	<-begun
	if w := deliver(s, "a", testSecret, strings.NewReader(`{}`)); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("the third is answered %d", w.Code)
	}
	close(release)
	for range 2 {
		if code := <-answers; code != http.StatusAccepted {
			t.Errorf("answered %d", code)
		}
	}
	if w := deliver(s, "a", testSecret, strings.NewReader(`{}`)); w.Code != http.StatusAccepted {
		t.Errorf("afterwards it is answered %d", w.Code)
	}
}

// slow is a body that comes in part, and then not any more until it is told.
type slow struct {
	first io.Reader
	begun chan<- struct{}
	end   <-chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	if n, err := s.first.Read(p); err == nil {
		return n, nil
	}
	if s.begun != nil {
		close(s.begun)
		s.begun = nil
	}
	<-s.end
	return 0, io.EOF
}

// What is under way takes no more memory than it may. A source has no more than half of it, whoever sends to its address; and all of it is
// free again afterwards.
func TestMemoryIsBounded(t *testing.T) {
	now := testTime
	s := limited(t, Limits{}, minInFlight, new(store), &now)
	end := make(chan struct{})
	answers := make(chan int, 20)
	under := 0
	for ; under < 20; under++ { // nobody has verified who sends these
		begun := make(chan struct{})
		body := &slow{first: strings.NewReader(strings.Repeat("x", 600<<10)), begun: begun, end: end}
		refused := make(chan int, 1)
		go func() {
			code := deliver(s, "signed", "", body).Code
			refused <- code
			answers <- code
		}()
		select {
		case <-begun:
			continue
		case code := <-refused:
			<-answers
			if code != http.StatusServiceUnavailable {
				t.Errorf("answered %d when there is no memory left", code)
			}
		}
		break
	}
	if under < 2 || under > 3 {
		t.Errorf("%d bodies of 600 KiB are under way in half of 4 MiB", under)
	}
	if s.memory.used > minInFlight/2 {
		t.Errorf("%d bytes are taken", s.memory.used)
	}
	if w := deliver(s, "a", testSecret, strings.NewReader(`{"pad":"`+strings.Repeat("x", 600<<10)+`"}`)); w.Code != http.StatusAccepted {
		t.Errorf("another source is answered %d", w.Code)
	}
	w := deliver(s, "signed", "", strings.NewReader(strings.Repeat("x", 700<<10)))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "5" {
		t.Errorf("answered %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	close(end)
	for range under {
		if code := <-answers; code != http.StatusUnauthorized {
			t.Errorf("answered %d", code)
		}
	}
	if s.memory.used != 0 || s.memory.of[s.sources["signed"]] != 0 {
		t.Errorf("%d bytes are still taken", s.memory.used)
	}
}

// The body of a sender with a wrong token is not read at all.
func TestWrongTokenIsNotRead(t *testing.T) {
	now := testTime
	s := limited(t, Limits{}, 0, new(store), &now)
	if w := deliver(s, "a", "wrong", readFails{t}); w.Code != http.StatusUnauthorized {
		t.Errorf("answered %d", w.Code)
	}
}

type readFails struct{ t *testing.T }

func (r readFails) Read([]byte) (int, error) {
	r.t.Error("the body is read")
	return 0, io.EOF
}

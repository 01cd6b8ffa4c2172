package shop

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// ask sends a request to a world and returns status and body of the answer.
func ask(t testing.TB, s *Server, method, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func TestPush(t *testing.T) {
	told := make(chan []byte, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- body
	}))
	defer hook.Close()
	s := New(7)
	defer s.Close()
	s.SetHook(hook.URL, "token")

	status, text := ask(t, s, http.MethodPost, "/_fake/push", `{"message":"one","quiet":true,"build":"none"}`)
	var quiet struct{ Commit, Delivery string }
	if err := json.Unmarshal([]byte(text), &quiet); err != nil || status != http.StatusCreated || strings.Contains(text, "build") {
		t.Fatalf("%d %s %v", status, text, err)
	}
	status, body := ask(t, s, http.MethodGet, quiet.Delivery, "")
	if status != http.StatusOK || !strings.Contains(body, `"after":"`+quiet.Commit+`"`) || !strings.Contains(body, RepoPath) {
		t.Errorf("delivery %d %s", status, body)
	}
	status, text = ask(t, s, http.MethodPost, "/_fake/push", `{}`)
	var loud struct {
		Commit string
		Build  int
	}
	if err := json.Unmarshal([]byte(text), &loud); err != nil || status != http.StatusCreated || loud.Build != 1 {
		t.Fatalf("%d %s %v", status, text, err)
	}
	if body := <-told; !bytes.Contains(body, []byte(`"after":"`+loud.Commit+`"`)) {
		t.Errorf("told %s", body)
	}
	if _, state := ask(t, s, http.MethodGet, "/_fake/state", ""); !strings.Contains(state, `"status": "QUEUED"`) {
		t.Errorf("state %s", state)
	}
}

func TestDaysGoBy(t *testing.T) {
	s := New(7)
	defer s.Close()
	for _, days := range []string{"7", "3"} {
		if _, state := ask(t, s, http.MethodGet, "/_fake/state", ""); !strings.Contains(state, `"days": `+days) {
			t.Errorf("wanted %s days: %s", days, state)
		}
		if status, text := ask(t, s, http.MethodPost, "/_fake/package", `{"days":3}`); status != http.StatusOK {
			t.Errorf("%d %s", status, text)
		}
	}
}

// TestRefused: what makes no sense changes nothing, and says what would.
func TestRefused(t *testing.T) {
	s := New(7)
	defer s.Close()
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{http.MethodPost, "/_fake/push", `[`, http.StatusBadRequest, "a JSON object"},
		{http.MethodPost, "/_fake/push", `{"build":"GREEN"}`, http.StatusBadRequest, "FAILED, SUCCESS or none"},
		{http.MethodPost, "/_fake/push", `{"after":"soon"}`, http.StatusBadRequest, "such as 3s"},
		{http.MethodPost, "/_fake/push", `{"branch":""}`, http.StatusBadRequest, "a branch"},
		{http.MethodPost, "/_fake/push", `"` + strings.Repeat("x", maxBody) + `"`, http.StatusRequestEntityTooLarge, "too large"},
		{http.MethodPost, "/_fake/package", `{}`, http.StatusBadRequest, `{"days": 3}`},
		{http.MethodPost, "/_fake/package", `{"days":99999999999}`, http.StatusBadRequest, `{"days": 3}`},
		{http.MethodGet, "/_fake/pushes/none", "", http.StatusNotFound, "no such commit"},
		{http.MethodGet, "/v1/job/x/config", "", http.StatusUnauthorized, ""},
		{http.MethodPost, "/robot/send?access_token=demo-team", "{}", http.StatusOK, "errcode"},
	} {
		if status, text := ask(t, s, tt.method, tt.path, tt.body); status != tt.status || !strings.Contains(text, tt.want) {
			t.Errorf("%s %s %.40s: %d %s", tt.method, tt.path, tt.body, status, text)
		}
	}
	if n := len(s.fake.Commits(RepoID)); n != 1 {
		t.Errorf("%d commits", n)
	}
}

func FuzzPush(f *testing.F) {
	for _, seed := range []string{`{}`, `{"message":"x","files":{"a/b":"c"},"build":"SUCCESS","after":"1s"}`, `{"branch":"a b","quiet":true}`, `[]`, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := New(7)
		defer s.Close()
		if status, text := ask(t, s, http.MethodPost, "/_fake/push", string(body)); status >= 500 {
			t.Errorf("%d %s", status, text)
		}
	})
}

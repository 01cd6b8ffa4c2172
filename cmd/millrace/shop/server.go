package shop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/notify/notifytest"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

const (
	maxBody = 64 << 10 // of what people ask for
	maxWait = time.Hour
	maxDays = 3650
)

// Server is the whole world at one address: CodeArts, the robots, and under /_fake/ what people look at and do:
//
//	GET  /_fake/state                     repositories, build runs, packages, deliveries
//	GET  /_fake/repos/2111000001/commits  the history
//	GET  /_fake/messages                  what the robots got
//	POST /_fake/push                      somebody pushes: see Push
//	GET  /_fake/pushes/{commit}           the body of the delivery of that push
//	POST /_fake/package                   {"days": 3}: the package runs out in three days
type Server struct {
	fake   *codeartstest.Fake
	robots *notifytest.Robots
	mux    *http.ServeMux
}

// New furnishes a world whose package runs out in so many days.
func New(days int) *Server {
	s := &Server{fake: codeartstest.New(codeartstest.Options{}), robots: notifytest.New(nil, TeamRobot(), OpsRobot()), mux: http.NewServeMux()}
	Furnish(s.fake, days)
	s.mux.Handle("/", s.fake)
	for _, path := range []string{"/robot/", "/open-apis/", "/webhook/", "/_fake/messages"} {
		s.mux.Handle(path, s.robots)
	}
	s.mux.HandleFunc("POST /_fake/push", s.push)
	s.mux.HandleFunc("GET /_fake/pushes/{commit}", s.delivery)
	s.mux.HandleFunc("POST /_fake/package", s.runOut)
	return s
}

// SetHook has every commit told to url as CodeArts Repo tells it, with token in X-Repo-Token.
func (s *Server) SetHook(url, token string) { s.fake.SetHook(url, token) }

// Close ends what the fakes do by themselves, and lets go of the requests they hold.
func (s *Server) Close() { s.fake.Close() }

// ServeHTTP serves the world.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Push is what the body of POST /_fake/push may say; {} is a push of Li Na to main whose build fails after three seconds.
type Push struct {
	Message string            `json:"message"`
	Author  string            `json:"author"`
	Branch  string            `json:"branch"`
	Files   map[string]string `json:"files"` // contents by path
	Build   string            `json:"build"` // FAILED, SUCCESS, or none
	After   string            `json:"after"` // how long the build takes, such as 3s
	Quiet   bool              `json:"quiet"` // nothing is delivered: whoever asks delivers it
}

// read checks what was asked for and fills in the rest.
func (p *Push) read(body []byte) (after time.Duration, err error) {
	*p = Push{Message: "count totals in cents", Author: "Li Na", Branch: "main", Build: "FAILED", After: "3s"}
	if err := json.Unmarshal(body, p); err != nil {
		return 0, fmt.Errorf("expected a JSON object: %w", err)
	}
	if !slices.Contains([]string{"FAILED", "SUCCESS", "none"}, p.Build) {
		return 0, errors.New("expected FAILED, SUCCESS or none for build")
	}
	if after, err = time.ParseDuration(p.After); err != nil || after < 0 || after > maxWait {
		return 0, fmt.Errorf("expected a duration from 0s to %s for after, such as 3s", maxWait)
	}
	if p.Branch == "" || p.Author == "" {
		return 0, errors.New("expected a branch and an author")
	}
	if p.Files == nil {
		p.Files = map[string]string{"totals.go": "package orders\n\n// " + time.Now().UTC().Format(time.RFC3339Nano) + "\n"}
	}
	return after, nil
}

func (s *Server) push(w http.ResponseWriter, r *http.Request) {
	body, ok := read(w, r)
	if !ok {
		return
	}
	var p Push
	after, err := p.read(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	commit := s.fake.Push(RepoID, codeartstest.Push{
		Message: p.Message, AuthorName: p.Author, AuthorEmail: "someone@example.com", Branch: p.Branch, Files: p.Files, Quiet: p.Quiet,
	})
	answer := map[string]any{"commit": commit, "delivery": "/_fake/pushes/" + commit}
	if p.Build != "none" {
		answer["build"] = s.fake.StartBuild(JobID, commit, p.Branch, p.Build, after)
	}
	write(w, http.StatusCreated, answer)
}

func (s *Server) delivery(w http.ResponseWriter, r *http.Request) {
	commit := r.PathValue("commit")
	if !slices.ContainsFunc(s.fake.Commits(RepoID), func(c codeartstest.CommitInfo) bool { return c.ID == commit }) {
		http.Error(w, "there is no such commit", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(s.fake.PushBody(RepoID, commit))
}

func (s *Server) runOut(w http.ResponseWriter, r *http.Request) {
	body, ok := read(w, r)
	if !ok {
		return
	}
	var asked struct{ Days *int }
	if err := json.Unmarshal(body, &asked); err != nil || asked.Days == nil || *asked.Days < -maxDays || *asked.Days > maxDays {
		http.Error(w, `expected a body like {"days": 3}`, http.StatusBadRequest)
		return
	}
	s.fake.SetPackageDays(ResourceID, *asked.Days)
	write(w, http.StatusOK, map[string]int{"days": *asked.Days})
}

// read reads what was asked for; if it cannot, it has answered.
func read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the body is too large or broken", http.StatusRequestEntityTooLarge)
		return nil, false
	}
	return body, true
}

func write(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

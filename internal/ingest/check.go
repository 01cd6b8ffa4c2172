package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// checkPath is where addresses are checked, for who has the token.
const checkPath = "/v1/webhooks/check"

// maxQuestion is the largest body of a check, in bytes.
const maxQuestion = 8 << 10

// Checker looks at an address that messages could go to.
type Checker interface {
	// CheckWebhook returns its report, JSON, in which the address is masked. What is wrong with the address is in the report; an error
	// is answered 500. It may take a minute at most.
	CheckWebhook(ctx context.Context, q Question) (report []byte, err error)
}

// Question is what a Checker is asked.
type Question struct {
	URL Secret // an address is a secret: who knows it can post
	// JobID and NoticeType ask for the verdict of CodeArts too; both or none.
	JobID, NoticeType string
}

// Check says whether and for whom addresses are checked at POST /v1/webhooks/check. Without a Checker or a Token there is no such route.
type Check struct {
	Checker Checker
	// Token is what callers prove themselves with: Authorization: Bearer.
	Token Secret
	// PerMinute is how many checks are made in any minute; 0 means 10.
	PerMinute int
}

const defaultChecksPerMinute = 10

func (c Check) validate() error {
	switch {
	case c.PerMinute < 0:
		return errors.New("the number of checks a minute must not be negative")
	case len(c.Token) > 0 && (!bytes.Equal(bytes.TrimSpace(c.Token), c.Token) || bytes.ContainsAny(c.Token, "\r\n\x00")):
		return errors.New("the token of the checks has white space around it or a line break in it, which a header cannot carry")
	}
	return nil
}

// checks is the route of a Check, nil for none.
type checks struct {
	checker Checker
	sum     [sha256.Size]byte // of the token
	recent  *recent
}

func newChecks(c Check) *checks {
	if c.Checker == nil || len(c.Token) == 0 {
		return nil
	}
	return &checks{
		checker: c.Checker, sum: sha256.Sum256(c.Token),
		recent: &recent{times: make([]time.Time, orDefault(c.PerMinute, defaultChecksPerMinute))},
	}
}

// verify reports whether a request has the token. Hashes are compared, as for a source.
func (c *checks) verify(h http.Header) bool {
	given := h["Authorization"]
	if len(given) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	sum := sha256.Sum256([]byte(strings.TrimLeft(token, " ")))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], c.sum[:]) == 1
}

// recent are the times of the last things that happened, as many as may happen in a minute.
type recent struct {
	mu    sync.Mutex
	times []time.Time // a ring
	next  int
}

// take admits one more now, or says how long to wait.
func (r *recent) take(now time.Time) (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if wait := r.times[r.next].Add(time.Minute).Sub(now); wait > 0 {
		return wait
	}
	r.times[r.next] = now
	r.next = (r.next + 1) % len(r.times)
	return 0
}

// check answers one question. Only who has the token uses up the rate, so a stranger cannot shut the door.
func (s *Server) check(c echo.Context) error {
	began := s.opts.Now()
	if !s.checks.verify(c.Request().Header) {
		c.Response().Header().Set("WWW-Authenticate", "Bearer")
		s.refuseCheck(c, refuse(http.StatusUnauthorized, "unverified", "a valid token is needed: Authorization: Bearer …"))
		return nil
	}
	if wait := s.checks.recent.take(began); wait > 0 {
		c.Response().Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		s.refuseCheck(c, refuse(http.StatusTooManyRequests, "rate", "too many checks, please ask again later"))
		return nil
	}
	q, refused := s.question(c)
	if refused != nil {
		s.refuseCheck(c, refused)
		return nil
	}
	report, err := s.checks.checker.CheckWebhook(c.Request().Context(), q)
	if err != nil {
		s.refuseCheck(c, refusePanic(err))
		return nil
	}
	s.opts.Log.Info().Dur("took", s.opts.Now().Sub(began)).Msg("address checked")
	answer(c, http.StatusOK, append(report, '\n'))
	return nil
}

// question reads what is asked.
func (s *Server) question(c echo.Context) (Question, *refusal) {
	r := c.Request()
	if refused := checkMedia(r.Header); refused != nil {
		return Question{}, refused
	}
	buf := s.buffers.get()
	defer s.buffers.put(buf)
	if refused := readBody(c.Response().Writer, r, buf, maxQuestion, func(int) bool { return true }); refused != nil {
		return Question{}, refused
	}
	q, ok := parseQuestion(*buf)
	if !ok {
		return Question{}, refuse(http.StatusBadRequest, "not_json",
			"the body must be one JSON object with url and, if CodeArts is to be asked, job_id and notice_type, all of them texts")
	}
	return q, nil
}

func parseQuestion(body []byte) (Question, bool) {
	var q struct {
		URL        *string `json:"url"`
		JobID      string  `json:"job_id"`
		NoticeType string  `json:"notice_type"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(&q) != nil || q.URL == nil {
		return Question{}, false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Question{}, false
	}
	return Question{URL: Secret(*q.URL), JobID: q.JobID, NoticeType: q.NoticeType}, true
}

// refuseCheck logs and answers. Nothing of the question is logged.
func (s *Server) refuseCheck(c echo.Context, why *refusal) {
	s.opts.Log.WithLevel(why.level).Str("reason", why.reason).Int("status", why.status).AnErr("error", why.cause).Msg("check refused")
	s.tell(c, why)
}

package codeartstest

import (
	"net/http"
	"slices"
	"time"
)

// Failure is something that goes wrong with one operation. Without Done, Cut or Late the request is not carried out; only Delay alone
// is followed by the work and its true answer.
type Failure struct {
	// Times it happens; 0: until Clear.
	Times int
	// Skip lets so many requests pass before.
	Skip int

	// Status, Code and Message are answered in the failure shape of the service. Status 200 is a failure inside a success.
	Status        int
	Code, Message string
	// Gateway answers as the gateway does, error_code and error_msg, on Repo too.
	Gateway bool
	// ErrorText answers 200 with this text as "error", where documentation says string; the object is the default.
	ErrorText string
	// Body is answered as it is, with ContentType (text/html if empty) and Status (200 if 0).
	Body        []byte
	ContentType string
	// Header is added to an answer of Status or Body.
	Header http.Header

	// Delay holds the answer back, in real time. Without Done the work comes after it, if the client is still there.
	Delay time.Duration
	// Drop breaks the connection without an answer.
	Drop bool
	// Cut sends the true answer, but breaks the connection in the middle of its body.
	Cut bool
	// Done has the work done first: the commit is made or the build started, and then things go wrong.
	Done bool
	// Late has a commit accepted and made, or a build accepted and started, only so much later. The connection is broken, unless Status or Body say what is answered.
	Late time.Duration
}

// Throttled is how Build says "too many requests": HTTP 500.
func Throttled() Failure {
	return Failure{Status: http.StatusInternalServerError, Code: "CB.00060211", Message: "Too many requests, try again later"}
}

// Garbage is a page where JSON should be.
func Garbage() Failure {
	return Failure{Body: []byte("<html><body><h1>It works!</h1></body></html>")}
}

// Fail makes an operation, named as the client names it, go wrong. Several failures of one operation follow each other.
func (f *Fake) Fail(op string, failure Failure) {
	if !slices.Contains(Operations(), op) {
		panic("codeartstest: there is no operation " + op)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures[op] = append(f.failures[op], &failure)
}

// Clear ends the failures of an operation; of all of them without a name.
func (f *Fake) Clear(ops ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(ops) == 0 {
		clear(f.failures)
	}
	for _, op := range ops {
		delete(f.failures, op)
	}
}

// counter counts the requests of one operation.
type counter struct {
	Calls    int         `json:"calls"`
	Statuses map[int]int `json:"statuses"` // 0: no answer
}

// Calls returns how many requests of an operation have come in.
func (f *Fake) Calls(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.calls[op]; c != nil {
		return c.Calls
	}
	return 0
}

// arrived counts a request and returns what is to go wrong with it, nil for nothing.
func (f *Fake) arrived(op string) *Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls[op] == nil {
		f.calls[op] = &counter{Statuses: map[int]int{}}
	}
	f.calls[op].Calls++
	queue := f.failures[op]
	if len(queue) == 0 {
		return nil
	}
	first := queue[0]
	if first.Skip > 0 {
		first.Skip--
		return nil
	}
	if first.Times > 0 {
		if first.Times--; first.Times == 0 {
			f.failures[op] = queue[1:]
		}
	}
	return first
}

func (f *Fake) answered(op string, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op].Statuses[status]++
}

// wait holds a request; false when its client or the Fake is gone first.
func (f *Fake) wait(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-f.ctx.Done():
	}
	return false
}

// answers reports whether the failure has an answer of its own.
func (x *Failure) answers() bool { return x.Status != 0 || x.Body != nil || x.ErrorText != "" }

// reply is the failure's own answer.
func (x *Failure) reply(repo bool) reply {
	var a reply
	switch {
	case x.Body != nil:
		a = reply{status: x.Status, body: x.Body, header: http.Header{"Content-Type": {x.ContentType}}}
		if a.status == 0 {
			a.status = http.StatusOK
		}
		if x.ContentType == "" {
			a.header.Set("Content-Type", "text/html")
		}
	case x.ErrorText != "":
		a = answer(http.StatusOK, object{"status": failWord(repo), "error": x.ErrorText, "result": nil})
	case repo && !x.Gateway:
		a = reject(x.Status, x.Code, x.Message)
	case x.Status == http.StatusOK && !x.Gateway:
		a = answer(http.StatusOK, object{"status": "fail", "error": object{"error_code": x.Code, "error_msg": x.Message}, "result": nil})
	default:
		a = refuse(x.Status, x.Code, x.Message)
	}
	for name, values := range x.Header {
		a.header[http.CanonicalHeaderKey(name)] = values
	}
	a.failed = true
	return a
}

func failWord(repo bool) string {
	if repo {
		return "error" // the list page's word; the create page says failed
	}
	return "fail"
}

package codeartstest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/millrace/millrace/pkg/codearts"
)

// bodyLimit bounds the body of a request: what the gateway takes.
const bodyLimit = 12 << 20

// route is one call the Fake knows: where it is comes from the client's table, what it does from here.
type route struct {
	op     string
	method string
	path   string // {x} stands for one segment
	repo   bool   // answers in the envelope of Repo
	open   bool   // needs no identity
	v4     bool   // the call as Repo's v4 has it: no envelope
	handle handler
}

// handler does what one call asks; f.mu is held.
type handler func(f *Fake, r *request) reply

// handlers is the table of what the calls do, by the names the client gives them.
func handlers() map[string]handler {
	all := map[string]handler{}
	for _, area := range []map[string]handler{tokenHandlers(), buildHandlers(), startHandlers(), taskHandlers(), accountHandlers(), packageHandlers(), webhookHandlers(), repoHandlers(), hookHandlers()} {
		maps.Copy(all, area)
	}
	return all
}

// newRoutes joins the client's table of calls, of which it takes methods and paths only, and the handlers.
func newRoutes() []route {
	do := handlers()
	var routes []route
	for _, op := range codearts.Operations() {
		handle := do[op.Name]
		if op.Method == "" || handle == nil {
			continue // made of several calls, or unknown here, which a test finds
		}
		r := route{op: op.Name, method: op.Method, path: op.Path, handle: handle, repo: op.Service == codearts.ServiceRepo, open: op.Service == codearts.ServiceIAM}
		routes = append(routes, r)
		if method, path, there := strings.Cut(op.V4, " "); there {
			r.method, r.path, r.v4 = method, path, true
			routes = append(routes, r)
		}
	}
	return routes
}

// Operations returns the names of the calls the Fake knows, sorted.
func Operations() []string { return slices.Sorted(maps.Keys(handlers())) }

// request is a request as handlers see it.
type request struct {
	route *route
	path  []string // the segments that {x} stood for
	query url.Values
	body  []byte
	late  *Failure // set: it is to be done later
}

// ServeHTTP answers one request.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_fake/") {
		f.admin(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyLimit))
	if err != nil {
		status := http.StatusBadRequest
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			status = http.StatusRequestEntityTooLarge
		}
		refuse(status, "APIGW.0201", "the request is too large or broken").write(w)
		return
	}
	found, values := f.find(r.Method, r.URL.EscapedPath())
	if found == nil {
		refuse(http.StatusNotFound, "APIGW.0101", "the API does not exist or has not been published").write(w)
		return
	}
	q := &request{route: found, path: values, query: r.URL.Query(), body: body}
	failure := f.arrived(found.op)
	w.Header().Set("X-Request-Id", f.requestID())
	if w.Header().Get("Date") == "" {
		w.Header().Set("Date", f.Now().Format(http.TimeFormat))
	}
	answer := f.serve(r, q, failure)
	f.answered(found.op, answer.status)
	if failure != nil && failure.Cut {
		answer.cut(w)
	}
	answer.write(w)
}

// serve works on a request and lets the failure, if there is one, show.
func (f *Fake) serve(r *http.Request, q *request, failure *Failure) reply {
	if failure == nil {
		return f.work(r, q)
	}
	if failure.Late > 0 {
		q.late = failure
	}
	var done reply
	if failure.Done || failure.Late > 0 {
		if done = f.work(r, q); done.failed {
			return done
		}
	}
	if failure.Delay > 0 && !f.wait(r, failure.Delay) {
		f.answered(q.route.op, 0)
		panic(http.ErrAbortHandler)
	}
	if failure.Drop || failure.Late > 0 && !failure.answers() {
		f.answered(q.route.op, 0)
		panic(http.ErrAbortHandler)
	}
	if failure.answers() {
		return failure.reply(q.route.repo)
	}
	if failure.Done {
		return done
	}
	return f.work(r, q)
}

// work checks who asks and does what was asked.
func (f *Fake) work(r *http.Request, q *request) reply {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	if !q.route.open {
		if refusal, ok := f.checkIdentity(r, q.body); !ok {
			return refusal
		}
	}
	return q.route.handle(f, q)
}

func (f *Fake) requestID() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("fake%028d", f.next())
}

// find returns the route of a path and what its placeholders stand for, unescaped.
func (f *Fake) find(method, path string) (*route, []string) {
	have := strings.Split(path, "/")
	for i := range f.routes {
		want := strings.Split(f.routes[i].path, "/")
		if f.routes[i].method != method || len(want) != len(have) {
			continue
		}
		if values, ok := fit(want, have); ok {
			return &f.routes[i], values
		}
	}
	return nil, nil
}

func fit(want, have []string) ([]string, bool) {
	var values []string
	for i := range want {
		if !strings.HasPrefix(want[i], "{") {
			if want[i] != have[i] {
				return nil, false
			}
			continue
		}
		v, err := url.PathUnescape(have[i])
		if err != nil || v == "" {
			return nil, false
		}
		values = append(values, v)
	}
	return values, true
}

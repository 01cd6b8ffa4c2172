package ingest

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"
)

// hookPrefix and the name of a source are the one address deliveries go to.
const hookPrefix = "/hooks/"

// Server is the receiver: an [http.Handler] for POST /hooks/{source}, and with a [Check]
// for POST /v1/webhooks/check.
type Server struct {
	opts       Options
	sources    map[string]*source
	retryAfter string
	buffers    buffers
	memory     *memory
	checks     *checks // nil: no such route
	echo       *echo.Echo
	leaving    atomic.Bool
	open       atomic.Int64
}

// New makes a receiver. The error names everything that is wrong with the options, and
// no secret.
func New(opts Options) (*Server, error) {
	opts, optsErr := opts.withDefaults()
	sources, sourcesErr := newSources(opts.Sources)
	if err := errors.Join(optsErr, sourcesErr); err != nil {
		return nil, err
	}
	check := opts.Check
	opts.Sources, opts.Check = nil, Check{} // the secrets are needed no more
	s := &Server{
		opts:       opts,
		sources:    sources,
		checks:     newChecks(check),
		memory:     newMemory(opts.InFlight, len(sources)),
		retryAfter: strconv.Itoa(int(math.Ceil(opts.RetryAfter.Seconds()))),
		echo:       echo.New(),
	}
	s.echo.HideBanner, s.echo.HidePort = true, true
	s.echo.Logger.SetOutput(io.Discard)
	s.echo.HTTPErrorHandler = s.unrouted
	s.echo.Pre(s.recovered, s.routed)
	s.echo.POST(hookPrefix+":source", s.receive)
	s.echo.POST(checkPath, s.check)
	return s, nil
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.open.Add(1)
	defer s.open.Add(-1)
	if s.leaving.Load() {
		w.Header().Set("Connection", "close")
	}
	s.echo.ServeHTTP(w, r)
}

// Leave ends each connection with its next answer, which says so: who has more to send opens another, and a balancer decides where to.
func (s *Server) Leave() { s.leaving.Store(true) }

// Open is how many requests are under way.
func (s *Server) Open() int64 { return s.open.Load() }

// HTTPServer is a server for handler at addr with limits for slow and lavish clients:
// 5 s for the headers, 15 s for the whole request, 32 KiB of headers. If handler is a
// [Server], what the connections complain of goes to its log, else it is dropped.
func HTTPServer(addr string, handler http.Handler) *http.Server {
	complaints := io.Discard
	if s, ok := handler.(*Server); ok {
		complaints = complaintLog{s.opts.Log}
	}
	return &http.Server{
		Addr:              addr,
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		// Longer than reading and publishing may take together.
		WriteTimeout:   60 * time.Second,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 32 << 10,
		ErrorLog:       log.New(complaints, "", 0),
	}
}

// complaintLog takes the lines of net/http, which are about connections.
type complaintLog struct{ log zerolog.Logger }

func (c complaintLog) Write(line []byte) (int, error) {
	c.log.Debug().Bytes("error", line).Msg("connection failed")
	return len(line), nil
}

// recovered answers 500 instead of dropping the connection.
func (s *Server) recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			s.refuse(c, "", refusePanic(panicError(p)))
		}()
		return next(c)
	}
}

// panicError says where it happened. A value that is no error may hold anything, so only
// its type is told.
func panicError(p any) error {
	what := fmt.Sprintf("%T", p)
	if err, ok := p.(interface {
		error
		RuntimeError()
	}); ok {
		what = err.Error()
	}
	return fmt.Errorf("panic: %s\n%s", what, debug.Stack())
}

// routed refuses what is no POST to a source, nor a check. It comes before Echo's router, which
// would answer 405 or, to OPTIONS, 204 before the question whether there is such a source.
func (s *Server) routed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		path := echo.GetPath(r)
		name, ok := strings.CutPrefix(path, hookPrefix)
		switch {
		case path == checkPath && s.checks != nil:
			if r.Method == http.MethodPost {
				return next(c)
			}
			c.Response().Header().Set("Allow", http.MethodPost)
			s.refuseCheck(c, refuse(http.StatusMethodNotAllowed, "method", "a check is a POST"))
		case !ok || name == "":
			s.refuse(c, "", refuseUnknownPath())
		case s.sources[name] == nil:
			s.refuse(c, name, refuseUnknownSource())
		case r.Method != http.MethodPost:
			c.Response().Header().Set("Allow", http.MethodPost)
			s.refuse(c, name, refuseMethod())
		default:
			return next(c)
		}
		return nil
	}
}

// unrouted handles what Echo itself refuses. Nothing is left that it could.
func (s *Server) unrouted(_ error, c echo.Context) { s.refuse(c, "", refuseUnknownPath()) }

package ingest

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/millrace/millrace/pkg/events"
)

// receive takes one delivery. The order of the steps is part of the contract.
func (s *Server) receive(c echo.Context) error {
	began := s.opts.Now()
	src := s.sources[c.Param("source")] // not nil, see routed
	hold := &hold{memory: s.memory, source: src}
	defer hold.end()
	e, refused := s.read(c, src, hold)
	if refused != nil {
		s.refuse(c, src.name, refused)
		return nil
	}
	leave, refused := src.limits.enter(s.opts.Now())
	if refused != nil {
		s.refuse(c, src.name, refused)
		return nil
	}
	defer leave()
	duplicate, err := s.publish(c.Request().Context(), e)
	if err != nil {
		s.refuse(c, src.name, refuseUnstored(err))
		return nil
	}
	s.accept(c, e, duplicate, s.opts.Now().Sub(began))
	return nil
}

// read makes a delivery an event, or says why it is none.
func (s *Server) read(c echo.Context, src *source, hold *hold) (*events.Event, *refusal) {
	r := c.Request()
	if refused := checkMedia(r.Header); refused != nil {
		return nil, refused
	}
	buf := s.buffers.get()
	defer s.buffers.put(buf)
	if r.ContentLength > s.opts.MaxBody {
		return nil, refuseSize()
	}
	if _, early := src.verify.(*token); early && !src.verify.verify(r.Header, nil, s.opts.Now()) {
		return nil, refuseSender() // it need not be read to know
	}
	if !hold.more(cap(*buf)) {
		return nil, refuseBusy()
	}
	if refused := readBody(c.Response().Writer, r, buf, s.opts.MaxBody, hold.more); refused != nil {
		return nil, refused
	}
	body, now := *buf, s.opts.Now()
	if !src.verify.verify(r.Header, body, now) {
		return nil, refuseSender()
	}
	if !hold.more(len(body)) {
		return nil, refuseBusy()
	}
	defer hold.less(cap(*buf)) // what is kept of it is the copy
	scanned, err := events.Scan(body, kindHint(r.Header))
	if err != nil {
		return nil, refuseSyntax(err)
	}
	if scanned.Type == events.TypeTick {
		// Ticks are Millrace's own: no sender may set off a schedule's rules.
		scanned.Type = "unknown.schedule"
	}
	return &events.Event{
		ID:         src.name + "/" + src.deliveryID(r.Header, body, scanned.DeliveryID),
		Source:     src.name,
		Type:       scanned.Type,
		Time:       now.UTC(),
		Repository: scanned.Repository,
		Body:       bytes.Clone(body),
	}, nil
}

// publish hands the event over. A sender that hangs up meanwhile does not stop it: it
// may not send again.
func (s *Server) publish(ctx context.Context, e *events.Event) (duplicate bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.PublishTimeout)
	defer cancel()
	return s.opts.Publisher.PublishEvent(ctx, e)
}

func (s *Server) accept(c echo.Context, e *events.Event, duplicate bool, took time.Duration) {
	status, message := "accepted", "event accepted"
	if duplicate {
		status, message = "duplicate", "event duplicate"
	}
	s.opts.Log.Info().Str("event_id", e.ID).Str("source", e.Source).Str("type", e.Type).
		Str("repository", e.Repository).Dur("took", took).Msg(message)
	body := make([]byte, 0, 128)
	body = append(body, `{"event_id":`...)
	body, _ = jsontext.AppendQuote(body, e.ID) // printable ASCII: no error
	body = append(body, `,"status":"`+status+"\"}\n"...)
	answer(c, http.StatusAccepted, body)
}

// refuse logs and answers. source is the name in the request's path, "" if there is none;
// it is logged only if a source could have it.
func (s *Server) refuse(c echo.Context, source string, why *refusal) {
	line := s.opts.Log.WithLevel(why.level).Str("reason", why.reason).Int("status", why.status)
	if events.ValidSource(source) {
		line = line.Str("source", source)
	}
	line.AnErr("error", why.cause).Msg("event refused")
	if why.status == http.StatusServiceUnavailable {
		why.after = s.retryAfter
	}
	s.tell(c, why)
}

// tell answers with a refusal, unless there is an answer already.
func (*Server) tell(c echo.Context, why *refusal) {
	if c.Response().Committed {
		return
	}
	if why.after != "" {
		c.Response().Header().Set("Retry-After", why.after)
	}
	body, _ := jsontext.AppendQuote([]byte(`{"error":`), why.text)
	answer(c, why.status, append(body, "}\n"...))
}

// answer writes JSON. A sender that is gone cannot be told, and the event is stored all
// the same, so an error of the connection has no consequence.
func answer(c echo.Context, status int, body []byte) {
	_ = c.JSONBlob(status, body)
}

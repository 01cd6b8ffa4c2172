package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/events"
)

// Publisher stores events.
type Publisher interface {
	// PublishEvent returns a nil error only once the event is stored; what that means
	// (a broker's ack, a synced journal) is for the Publisher to say. duplicate is true
	// if an event of that id was stored before. It may keep e and its body. Any error is
	// a 503 to the sender.
	PublishEvent(ctx context.Context, e *events.Event) (duplicate bool, err error)
}

// Options say what a [Server] receives and what it does with it.
type Options struct {
	// Sources are the senders that may deliver; at least one.
	Sources []Source
	// Publisher stores what is accepted. Required.
	Publisher Publisher
	// MaxBody is the largest body accepted, in bytes. 0 means events.MaxBody, which
	// is also the most it may be.
	MaxBody int64
	// InFlight is how many bytes the deliveries under way may take together; more are answered 503. 0 means 64 MiB, the least
	// is 4 MiB. Where there is more than one source each may take half of it.
	InFlight int64
	// Check is the second route: addresses are checked for who has a token. The zero value
	// is none.
	Check Check
	// Log gets one line per delivery. The zero value discards.
	Log zerolog.Logger
	// Now is the clock: of signatures and of the events' time. nil means time.Now.
	Now func() time.Time
	// PublishTimeout bounds the wait for the Publisher. 0 means 5 s, the most is 30 s.
	PublishTimeout time.Duration
	// RetryAfter is what a sender is told to wait after a 503, rounded up to seconds.
	// 0 means 5 s.
	RetryAfter time.Duration
}

// Source is a configured sender. Its address is /hooks/<Name>.
type Source struct {
	// Name is [a-z0-9-]{1,40} and not "schedule".
	Name string
	// Verify says how deliveries prove who sent them.
	Verify Verify
	// IDFrom says where the delivery id comes from. The zero value is the preset: the
	// first of the headers webhook-id, X-GitHub-Delivery, X-GitCode-Delivery,
	// X-Gitea-Delivery and Idempotency-Key (GitLab), then the body's uuid (CodeArts Repo).
	IDFrom IDFrom
	// Limits bound what is taken from it; more is answered 429.
	Limits Limits
}

// The schemes of [Verify].
const (
	// SchemeToken: the secret itself is in a header. CodeArts Repo, GitLab, Codeup.
	SchemeToken = "token"
	// SchemeHMAC: a header holds the HMAC-SHA256 of the body in hex, with or without
	// "sha256=" before it. GitHub, GitCode, Gitea.
	SchemeHMAC = "hmac_sha256"
	// SchemeStandardWebhooks: the headers of standardwebhooks.com, symmetric (v1). GitLab's
	// signing tokens.
	SchemeStandardWebhooks = "standard_webhooks"
)

// Verify says how the deliveries of a source prove who sent them.
type Verify struct {
	// Scheme is one of the Scheme constants.
	Scheme string
	// Headers are the names of the headers accepted, any one of them. nil means, for a
	// token, X-Repo-Token, X-Gitlab-Token, X-Auth-Token, X-Devcloud-Token and
	// X-Codehub-Token (the names CodeArts Repo has used), and for an HMAC
	// X-Hub-Signature-256. Standard Webhooks has its own and allows none here.
	Headers []string
	// Secrets are the live ones: a delivery that fits any of them is verified, so a
	// secret can be rotated. There must be one at least and none may be empty. Those of
	// Standard Webhooks are base64, with or without "whsec_" before it.
	Secrets []Secret
}

// IDFrom says what makes the id of a delivery. Two deliveries of one source with the
// same id are the same event, and the second one does nothing.
type IDFrom struct {
	// Body makes the id a hash of the body: for senders that repeat a delivery byte for
	// byte and never mean it.
	Body bool
	// Fields are paths in the body, as [events.Lookup] reads them, whose values together
	// are the id. Where one of them is absent or empty the preset is used, so deliveries
	// that lack them are never taken for one another.
	Fields []string
}

const (
	defaultPublishTimeout = 5 * time.Second
	maxPublishTimeout     = 30 * time.Second
	defaultRetryAfter     = 5 * time.Second
	defaultInFlight       = 64 << 20
	minInFlight           = 4 << 20
)

// withDefaults fills in what was left out. The error names all that is wrong.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.Publisher == nil {
		errs = append(errs, errors.New("no publisher"))
	}
	if len(o.Sources) == 0 {
		errs = append(errs, errors.New("no sources: at least one is needed"))
	}
	if o.MaxBody < 0 || o.MaxBody > events.MaxBody {
		errs = append(errs, fmt.Errorf("the largest body is %d bytes, it must be between 1 and %d", o.MaxBody, events.MaxBody))
	}
	if o.PublishTimeout < 0 || o.PublishTimeout > maxPublishTimeout {
		errs = append(errs, fmt.Errorf("the publish timeout is %s, it must be between 0 and %s", o.PublishTimeout, maxPublishTimeout))
	}
	if o.InFlight < 0 || o.InFlight > 0 && o.InFlight < minInFlight {
		errs = append(errs, fmt.Errorf("what may be under way is %d bytes, it must be %d or more", o.InFlight, minInFlight))
	}
	if o.RetryAfter < 0 {
		errs = append(errs, fmt.Errorf("retry after is %s, it must not be negative", o.RetryAfter))
	}
	if err := o.Check.validate(); err != nil {
		errs = append(errs, err)
	}
	o.MaxBody = orDefault(o.MaxBody, events.MaxBody)
	o.PublishTimeout = orDefault(o.PublishTimeout, defaultPublishTimeout)
	o.InFlight = orDefault(o.InFlight, defaultInFlight)
	o.RetryAfter = orDefault(o.RetryAfter, defaultRetryAfter)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, errors.Join(errs...)
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// source is a Source made ready.
type source struct {
	name   string
	verify verifier
	idFrom IDFrom
	limits limiter
}

func newSource(s Source) (*source, error) {
	var errs []error
	switch {
	case !events.ValidSource(s.Name):
		errs = append(errs, errors.New("the name must be 1 to 40 of a-z, 0-9 and -"))
	case s.Name == events.SourceSchedule:
		errs = append(errs, errors.New("this name is taken by Millrace's own schedules"))
	}
	if l := s.Limits; l.Rate < 0 || l.Burst < 0 || l.InFlight < 0 {
		errs = append(errs, errors.New("a limit is negative"))
	}
	verify, err := newVerifier(s.Verify)
	if err != nil {
		errs = append(errs, err)
	}
	if s.IDFrom.Body && len(s.IDFrom.Fields) > 0 {
		errs = append(errs, errors.New("id_from is either the body or fields, not both"))
	}
	if slices.Contains(s.IDFrom.Fields, "") {
		errs = append(errs, errors.New("id_from names an empty field"))
	}
	return &source{
		name:   s.Name,
		verify: verify,
		limits: newLimiter(s.Limits),
		idFrom: IDFrom{Body: s.IDFrom.Body, Fields: slices.Clone(s.IDFrom.Fields)},
	}, errors.Join(errs...)
}

// newSources makes all sources ready, or says all that is wrong with them.
func newSources(configured []Source) (map[string]*source, error) {
	var errs []error
	sources := make(map[string]*source, len(configured))
	for _, c := range configured {
		s, err := newSource(c)
		if err != nil {
			errs = append(errs, fmt.Errorf("source %q: %s", c.Name, strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
		if sources[c.Name] != nil {
			errs = append(errs, fmt.Errorf("source %q is there twice", c.Name))
		}
		sources[c.Name] = s
	}
	return sources, errors.Join(errs...)
}

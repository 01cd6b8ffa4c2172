package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

// Kinds of target.
const (
	KindLog      = "log"
	KindWebhook  = "webhook"
	KindDingTalk = "dingtalk"
	KindFeishu   = "feishu"
)

// Message is what people are told. Of Title and Text, literal parts are markdown and go out as they are; values are escaped.
type Message struct {
	// ID is the same each time the same message is sent; a webhook's receiver can drop repetitions by it.
	ID    string
	Title rules.Text
	Text  rules.Text
	// Link is an http or https address, or empty; anything else is left out.
	Link string
	// At is when the message was decided, EventID and Rule what it came from; for the webhook and the log.
	At            time.Time
	EventID, Rule string
}

// Notifier sends to one target. A failure is an *Error. It is safe for concurrent use.
type Notifier interface {
	Notify(ctx context.Context, m Message) error
}

// Config is one target. Printed or encoded it shows its kind and name only.
type Config struct {
	Kind string // one of the Kind constants
	Name string // for errors and logs
	// URL is the robot's or the receiver's address, http or https; a secret. A log has none.
	URL string
	// Secret signs: a robot's own secret, for a webhook whsec_… of Standard Webhooks or any text. Empty: unsigned.
	Secret string
	// Transport carries the requests; there is no default, so that nothing goes out unchecked. A log needs none.
	Transport http.RoundTripper
	Timeout   time.Duration    // for one request and its answer; 0: 10s
	Now       func() time.Time // nil: time.Now
	Log       zerolog.Logger   // where the log target writes; the others log nothing
}

// Format prints the kind and the name for every verb.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s target %s", c.Kind, c.Name) }

// MarshalJSON encodes the kind and the name.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"kind": c.Kind, "name": c.Name})
}

// New returns the Notifier of a target. Its errors name the setting to correct, never its text; the caller knows the target.
func New(c Config) (Notifier, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Kind == KindLog {
		return &logTarget{name: c.Name, log: c.Log}, nil
	}
	return newRemote(c)
}

func newRemote(c Config) (Notifier, error) {
	p, err := newPoster(c)
	if err != nil {
		return nil, err
	}
	switch c.Kind {
	case KindWebhook:
		key, err := signingKey(c.Secret)
		if err != nil {
			return nil, err
		}
		return &webhook{poster: p, key: conceal(key)}, nil
	case KindDingTalk:
		return newDingTalk(p, c.Secret), nil
	case KindFeishu:
		return newFeishu(p, c.Secret), nil
	default:
		return nil, errors.New("the kind is none of log, webhook, dingtalk and feishu")
	}
}

func newPoster(c Config) (*poster, error) {
	if c.Transport == nil {
		return nil, errors.New("no transport")
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return nil, errors.New("the url is not an http or https address with a host")
	case u.User != nil:
		return nil, errors.New("the url holds a user or a password: remove them")
	}
	u.Fragment = ""
	return &poster{
		target: c.Name, kind: c.Kind, address: conceal(u), scrub: newScrubber(u, c.Secret),
		client: &http.Client{
			Transport:     c.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		timeout: cmp.Or(c.Timeout, 10*time.Second), now: c.Now,
	}, nil
}

// concealed is a value that no print of a struct around it shows: a function prints as its address.
type concealed[T any] func() T

func conceal[T any](v T) concealed[T] { return func() T { return v } }

package stream

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Secret is a text that prints as "[redacted]" in every format.
type Secret string

// Format writes "[redacted]", or nothing for an empty secret.
func (s Secret) Format(f fmt.State, _ rune) {
	if s != "" {
		_, _ = f.Write([]byte("[redacted]"))
	}
}

// MarshalText is "[redacted]" too, so that JSON and YAML do not show it either.
func (s Secret) MarshalText() ([]byte, error) { return fmt.Append(nil, s), nil }

// Config says which broker to use and how. The zero value of every field has a meaning.
type Config struct {
	// URLs of the servers, "nats://host:port" or "tls://host:port", without user and
	// password. Empty: nats://127.0.0.1:4222.
	URLs []string
	// Name shows up in the server's list of connections. Empty: "millrace".
	Name string
	// CredentialsFile is a file with a JWT and an nkey seed, as nsc writes it.
	CredentialsFile string
	User            string
	Password        Secret
	Token           Secret
	// CAFile holds certificates, PEM, that may sign the server's. Empty: those of the system.
	CAFile string
	// CertFile and KeyFile are this client's own certificate, when the server asks for one.
	CertFile, KeyFile string

	// Replicas of every store: one that has fewer is given as many, online; one that has more keeps them. 0: three where the cluster has
	// servers for them, else 1.
	Replicas int
	// EventsMaxBytes, RecordsMaxBytes and DeadMaxBytes cap the stores that are created
	// here, in bytes. 0: 1 GiB, 512 MiB, 256 MiB. A store that exists keeps what it has.
	EventsMaxBytes, RecordsMaxBytes, DeadMaxBytes int64
	// EventsKeep is how long an event stays after it was matched. 0: 14 days.
	EventsKeep time.Duration
	// DuplicateWindow is how long EVENTS remembers event ids. 0: 10 minutes; the server
	// takes no less than 100 ms. It saves work, correctness does not rest on it.
	DuplicateWindow time.Duration

	// Retry is for consumers that say nothing else.
	Retry Retry
	Log   zerolog.Logger
	// Reconnected, if not nil, is called when the connection was lost and leads to a server again that can be worked with: that one may
	// have lost what it had not written to its disk. It must return soon.
	Reconnected func()
	// Disconnected, if not nil, is called when the connection is lost, before Reconnected. It must return soon.
	Disconnected func()

	// serverVersion replaces what the server says of itself, in tests.
	serverVersion string
	// heartbeat replaces the time between two signs of life of a consumer, in tests.
	heartbeat time.Duration
	// sourcesEvery replaces the time between two looks for sources, in tests.
	sourcesEvery time.Duration
}

// Retry says when a failed message is tried again.
type Retry struct {
	// First is the delay after the first failure, Max the longest. 0: 1 s and 5 min.
	First, Max time.Duration
	// Factor multiplies the delay at each further failure. Below 1: 2.
	Factor float64
	// Jitter is the part of a delay that is drawn by chance, up to 1. 0: 0.5, which draws between
	// half of the delay and all of it, so that no try follows at once. Below 0: none.
	Jitter float64
	// GiveUpAfter is how long after its first failure a message that still fails becomes
	// a dead letter of class "exhausted". 0: 24 h.
	GiveUpAfter time.Duration
}

const (
	defaultURL             = "nats://127.0.0.1:4222"
	defaultEventsMaxBytes  = 1 << 30
	defaultRecordsMaxBytes = 512 << 20
	defaultDeadMaxBytes    = 256 << 20
	defaultEventsKeep      = 14 * 24 * time.Hour
	defaultDuplicateWindow = 10 * time.Minute
	minDuplicateWindow     = 100 * time.Millisecond
)

// String shows where the broker is and nothing that opens it.
func (c Config) String() string {
	urls := make([]string, len(c.URLs))
	for i, u := range c.URLs {
		urls[i] = withoutCredentials(u)
	}
	return fmt.Sprintf("broker %s, name %s, replicas %d", strings.Join(urls, ","), c.Name, c.Replicas)
}

// GoString is String, so that %#v shows no more.
func (c Config) GoString() string { return c.String() }

// withDefaults fills in what was left out and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	c.URLs = slices.Clone(c.URLs)
	if len(c.URLs) == 0 {
		c.URLs = []string{defaultURL}
	}
	for i, raw := range c.URLs {
		u, err := url.Parse(raw)
		switch {
		case err != nil || u.Host == "":
			return c, fmt.Errorf("broker URL number %d cannot be read; write it as nats://host:port", i+1)
		case u.User != nil:
			return c, fmt.Errorf("broker URL %s holds a user or password; put them into their own settings, or use a credentials file", withoutCredentials(raw))
		}
	}
	if c.DuplicateWindow != 0 && c.DuplicateWindow < minDuplicateWindow {
		return c, fmt.Errorf("duplicate window %s is shorter than the %s a nats-server takes", c.DuplicateWindow, minDuplicateWindow)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return c, fmt.Errorf("a client certificate needs both its certificate file and its key file")
	}
	c.Name = or(c.Name, "millrace")
	c.EventsMaxBytes = or(c.EventsMaxBytes, defaultEventsMaxBytes)
	c.RecordsMaxBytes = or(c.RecordsMaxBytes, defaultRecordsMaxBytes)
	c.DeadMaxBytes = or(c.DeadMaxBytes, defaultDeadMaxBytes)
	c.EventsKeep = or(c.EventsKeep, defaultEventsKeep)
	c.DuplicateWindow = or(c.DuplicateWindow, defaultDuplicateWindow)
	c.Retry = c.Retry.withDefaults()
	return c, nil
}

func (r Retry) withDefaults() Retry {
	r.First = or(r.First, time.Second)
	r.Max = max(or(r.Max, 5*time.Minute), r.First)
	r.GiveUpAfter = or(r.GiveUpAfter, 24*time.Hour)
	if r.Factor < 1 {
		r.Factor = 2
	}
	r.Jitter = min(or(r.Jitter, 0.5), 1)
	return r
}

// over is r with what it leaves open filled in from another one.
func (r Retry) over(other Retry) Retry {
	r.First, r.Max, r.GiveUpAfter = or(r.First, other.First), or(r.Max, other.Max), or(r.GiveUpAfter, other.GiveUpAfter)
	r.Factor, r.Jitter = or(r.Factor, other.Factor), or(r.Jitter, other.Jitter)
	return r.withDefaults()
}

// withoutCredentials is the scheme and the host of a URL, for people.
func withoutCredentials(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "(unreadable URL)"
	}
	return u.Scheme + "://" + u.Host
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

package app

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/notify"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/internal/telemetry"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// defaultConnection is the connection of a rule that names none.
const defaultConnection = "default"

func streamConfig(cfg *config.Config, name string, log zerolog.Logger) stream.Config {
	n := cfg.NATS
	return stream.Config{
		URLs:            strings.Split(n.URL, ","),
		Name:            name,
		CredentialsFile: n.CredentialsFile,
		Token:           stream.Secret(n.Token.Reveal()),
		Replicas:        int(n.Replicas),
		EventsMaxBytes:  int64(n.EventsMaxBytes),
		RecordsMaxBytes: int64(n.RecordsMaxBytes),
		DeadMaxBytes:    int64(n.DeadMaxBytes),
		DuplicateWindow: n.DuplicateWindow,
		Retry: stream.Retry{
			First: cfg.Worker.Retry.First, Max: cfg.Worker.Retry.Max, GiveUpAfter: cfg.Worker.Retry.GiveUpAfter,
		},
		Log: log,
	}
}

// Catalogue is all that the rules of this configuration may name, and what its sources send.
func Catalogue(cfg *config.Config) *rules.Catalogue {
	targets := slices.Sorted(maps.Keys(cfg.Targets))
	connections := slices.Sorted(maps.Keys(cfg.CodeArts))
	c := engine.Catalogue(orEmpty(targets), orEmpty(connections))
	c.SentTypes = sentTypes(cfg)
	return c
}

// orEmpty keeps "there are none" apart from nil, which means "not checked".
func orEmpty(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

// clients makes a client for each connection; the default one is under "" too. They share the tokens of those that are the same user,
// and the process's part of what each host may be asked.
func clients(cfg *config.Config, metrics *telemetry.Metrics) (map[string]*codearts.Client, error) {
	all := make(map[string]*codearts.Client)
	tokens := &codearts.TokenCache{}
	limiter := codearts.NewLimiter(float64(cfg.Worker.CodeArtsRate), cfg.Worker.CodeArtsBurst)
	circuit := cfg.Worker.Circuit
	limiter.SetCircuit(codearts.Circuit{Failures: circuit.Failures, First: circuit.First, Max: circuit.Max})
	for name, c := range cfg.CodeArts {
		settings := clientConfig(c)
		settings.Tokens, settings.Limiter = tokens, limiter
		settings.Observe = func(operation string, status int, took time.Duration) { metrics.Request(name, operation, status, took) }
		client, err := codearts.New(settings)
		if err != nil {
			return nil, fmt.Errorf("connection codearts.%s: %w", name, err)
		}
		all[name] = client
		if name == defaultConnection {
			all[""] = client
		}
	}
	return all, nil
}

func clientConfig(c config.CodeArts) codearts.Config {
	return codearts.Config{
		Region:        c.Region,
		BuildEndpoint: c.BuildEndpoint, RepoEndpoint: c.RepoEndpoint, IAMEndpoint: c.IAMEndpoint,
		Credentials: credentials(c),
		RepoAPI:     c.RepoAPI,
		Timeout:     c.Timeout,
		PlainHTTP:   c.PlainHTTP,
	}
}

func credentials(c config.CodeArts) codearts.Credentials {
	switch {
	case c.Token.IsSet():
		return codearts.StaticToken{Token: codearts.NewSecret(c.Token.Reveal())}
	case c.AccessKey != "":
		return codearts.AKSK{
			AccessKey: c.AccessKey, SecretKey: codearts.NewSecret(c.SecretKey.Reveal()),
			SecurityToken: codearts.NewSecret(c.SecurityToken.Reveal()), ProjectID: codearts.IAMProjectID(c.ProjectID),
		}
	}
	p := codearts.Password{
		User: c.User, Domain: c.Domain, Password: codearts.NewSecret(c.Password.Reveal()),
		ProjectName: c.Project, ProjectID: codearts.IAMProjectID(c.ProjectID),
		MFA: codearts.MFA{UserID: c.MFAUserID, Seed: codearts.NewSecret(c.MFASeed.Reveal())},
	}
	if p.ProjectName == "" && p.ProjectID == "" {
		p.ProjectName = c.Region
	}
	return p
}

// outside is what a worker reaches beyond the broker.
type outside struct {
	codeArts  map[string]*codearts.Client // by connection, the default one under "" too
	targets   map[string]effects.Notifier
	circuits  map[string]*stream.Circuit // of the targets
	transport http.RoundTripper          // of the targets
}

func newOutside(cfg *config.Config, metrics *telemetry.Metrics, log zerolog.Logger) (*outside, error) {
	codeArts, err := clients(cfg, metrics)
	if err != nil {
		return nil, err
	}
	policy, err := egressPolicy(cfg, log)
	if err != nil {
		return nil, err
	}
	transport := policy.Transport()
	out := &outside{codeArts: codeArts, transport: transport, circuits: make(map[string]*stream.Circuit)}
	for name := range cfg.Targets {
		c := cfg.Worker.Circuit
		out.circuits[name] = stream.NewCircuit(name, stream.CircuitConfig{Failures: c.Failures, First: c.First, Max: c.Max}, log)
	}
	out.targets, err = notifiers(cfg, out, log)
	return out, err
}

// close lets go of the connections that are kept open for the next call.
func (o *outside) close() {
	for _, c := range o.codeArts {
		c.CloseIdleConnections()
	}
	if t, ok := o.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

func notifiers(cfg *config.Config, out *outside, log zerolog.Logger) (map[string]effects.Notifier, error) {
	all := make(map[string]effects.Notifier)
	for name, t := range cfg.Targets {
		n, err := notify.New(notify.Config{
			Name: name, Kind: t.Kind, URL: t.URL.Reveal(), Secret: t.Secret.Reveal(), Transport: out.transport, Log: log,
		})
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", name, err)
		}
		all[name] = notifier{to: n, circuit: out.circuits[name]}
	}
	return all, nil
}

func engineLimits(cfg *config.Config) engine.Limits {
	depth := cfg.Worker.OwnCommitDepth
	if depth == 0 {
		depth = -1 // 0 in the file means none, there it means the default
	}
	return engine.Limits{ChainDepth: depth}
}

func effectSettings(cfg *config.Config) effects.Settings {
	w := cfg.Worker
	s := effects.Settings{
		Settle:         max(w.Settle, time.Nanosecond), // 0 in the file means none, there it means the default
		ClockSkew:      max(w.ClockSkew, time.Nanosecond),
		BreakerCommits: w.Breaker.Commits, BreakerPeriod: w.Breaker.Per,
		WebURL: make(map[string]string),
		// Commits that wait for a busy branch may hold no more than half of the places, nor builds of a busy task.
		BranchQueue: max(w.Concurrency.Commit/2, 1), JobQueue: max(w.Concurrency.Build/2, 1),
		BuildTrigger: w.BuildTrigger,
		Deadline: map[string]time.Duration{
			rules.KindCommit: w.Deadline.Commit, rules.KindBuild: w.Deadline.Build, rules.KindAlert: w.Deadline.Alert, rules.KindNotify: w.Deadline.Notify,
		},
	}
	for name, c := range cfg.CodeArts {
		s.ClientTimeout = max(s.ClientTimeout, c.Timeout)
		s.WebURL[name] = c.CommitURL
		if name == defaultConnection {
			s.WebURL[""] = c.CommitURL
		}
	}
	return s
}

// factTimeout bounds the calls of one fact: several requests, since some facts take more than one.
func factTimeout(cfg *config.Config) time.Duration {
	longest := time.Duration(0)
	for _, c := range cfg.CodeArts {
		longest = max(longest, c.Timeout)
	}
	return 3 * longest
}

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/egress"
	"github.com/millrace/millrace/internal/ingest"
	"github.com/millrace/millrace/internal/notify"
	"github.com/millrace/millrace/pkg/codearts"
)

// Load is config.Load, and in addition refuses targets whose address may not be dialled, as far as that can be said without asking
// anybody. What a name leads to is judged when a message is sent.
func Load(path string, environ []string) (*config.Config, error) {
	return config.Load(path, environ, addressFindings)
}

// addressFindings are what is wrong with the settings of egress, or else with the addresses of the targets.
func addressFindings(cfg *config.Config) []config.Finding {
	var all []config.Finding
	policy, err := egressPolicy(cfg, zerolog.Nop())
	var faults egress.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			all = append(all, config.Finding{Path: "egress." + f.Setting, Message: f.Text, Hint: f.Remedy})
		}
		return all
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Targets)) {
		t := cfg.Targets[name]
		if !t.URL.IsSet() {
			continue
		}
		path, report := "targets."+name+".url", policy.CheckForm(t.URL.Reveal())
		for _, p := range report.Points {
			if p.Verdict == egress.Fail {
				all = append(all, config.Finding{Path: path, Message: report.Address + ": " + p.Text, Hint: p.Remedy})
			}
		}
		if !sends(t.Kind, report.Product) {
			all = append(all, config.Finding{
				Path: path, Message: fmt.Sprintf("%s: an address of %s, for a target of kind %s", report.Address, report.Product, t.Kind),
				Hint: "copy the address of the robot that is meant, or set another kind",
			})
		}
	}
	return all
}

// sends reports whether a target of a kind can send to a product. A product that is not known may be anything, as a robot in a test.
func sends(kind string, product egress.Product) bool {
	switch kind {
	case notify.KindDingTalk:
		return product == egress.DingTalk || product == egress.Unknown
	case notify.KindFeishu:
		return product == egress.Feishu || product == egress.Lark || product == egress.Unknown
	default:
		return true
	}
}

func egressPolicy(cfg *config.Config, log zerolog.Logger) (*egress.Policy, error) {
	e := cfg.Egress
	return egress.New(egress.Settings{
		AllowCIDRs: e.AllowCIDRs, AllowHosts: e.AllowHosts, AllowPorts: e.AllowPorts, AllowHTTP: e.AllowHTTP, Proxy: e.Proxy,
	}, egress.Options{Log: log})
}

// CheckWebhook looks at an address that messages could go to. With a job id and a notice type CodeArts is asked too, over the default
// connection; it may then send a message there.
func CheckWebhook(ctx context.Context, cfg *config.Config, address, jobID, noticeType string, log zerolog.Logger) (egress.Report, error) {
	c, err := newWebhookChecker(cfg, log)
	if err != nil {
		return egress.Report{}, err
	}
	defer c.close()
	return c.check(ctx, address, jobID, noticeType), nil
}

// webhookChecker makes the reports on addresses.
type webhookChecker struct {
	policy   *egress.Policy
	codeArts *codearts.Client // nil: there is no default connection
}

func newWebhookChecker(cfg *config.Config, log zerolog.Logger) (*webhookChecker, error) {
	policy, err := egressPolicy(cfg, log)
	if err != nil {
		return nil, err
	}
	c := &webhookChecker{policy: policy}
	if settings, ok := cfg.CodeArts[defaultConnection]; ok {
		if c.codeArts, err = codearts.New(clientConfig(settings)); err != nil {
			return nil, fmt.Errorf("connection codearts.%s: %w", defaultConnection, err)
		}
	}
	return c, nil
}

func (c *webhookChecker) check(ctx context.Context, address, jobID, noticeType string) egress.Report {
	build := egress.CodeArts{JobID: jobID, NoticeType: strings.ToUpper(noticeType)}
	if c.codeArts != nil {
		build.Verifier = c.codeArts
	}
	return c.policy.Check(ctx, address, build)
}

// CheckWebhook implements ingest.Checker.
func (c *webhookChecker) CheckWebhook(ctx context.Context, q ingest.Question) ([]byte, error) {
	return json.Marshal(c.check(ctx, string(q.URL), q.JobID, q.NoticeType))
}

func (c *webhookChecker) close() {
	if c.codeArts != nil {
		c.codeArts.CloseIdleConnections()
	}
}

// addressCheck is the receiver's check of addresses, which is not there without a token. close lets go of its connections.
func addressCheck(cfg *config.Config, log zerolog.Logger) (check ingest.Check, closeCheck func(), err error) {
	if !cfg.Receiver.CheckToken.IsSet() {
		return ingest.Check{}, func() {}, nil
	}
	c, err := newWebhookChecker(cfg, log)
	if err != nil {
		return ingest.Check{}, nil, err
	}
	return ingest.Check{Checker: c, Token: ingest.Secret(cfg.Receiver.CheckToken.Reveal()), PerMinute: cfg.Receiver.CheckRate}, c.close, nil
}

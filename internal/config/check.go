package config

import (
	"encoding/base32"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// check reports what is wrong between settings that are each right alone.
func (l *loader) check(cfg *Config) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Sources)) {
		if p := "sources." + name; !l.failed(p) {
			l.checkSource(p, cfg.Sources[name], cfg.CodeArts)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.CodeArts)) {
		if p := "codearts." + name; !l.failed(p) {
			l.checkCodeArts(p, cfg.CodeArts[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Targets)) {
		if p := "targets." + name; !l.failed(p) {
			l.checkTarget(p, cfg.Targets[name])
		}
	}
	if cfg.NATS.Token.IsSet() && cfg.NATS.CredentialsFile != "" {
		l.reportAt("nats.token", faultf("remove one of them", "both nats.token and nats.credentials_file are set"))
	}
	if c := cfg.Worker.Circuit; !l.failed("worker.circuit") && c.First > c.Max {
		l.reportAt("worker.circuit", faultf("", "expected first (%s) ≤ max (%s)", c.First, c.Max))
	}
	if r := cfg.Receiver; r.DrainDelay >= r.Drain && !l.failed("receiver") {
		l.reportAt("receiver.drain_delay", faultf("", "expected drain_delay (%s) < drain (%s)", r.DrainDelay, r.Drain))
	}
	if !l.failed("worker.retry") && !l.failed("targets") {
		l.checkRetry(cfg)
	}
}

// checkRetry tests that every ladder goes up, with what it takes from the one below it.
func (l *loader) checkRetry(cfg *Config) {
	goesUp := func(path string, r Ladder) bool {
		fits := r.First <= r.Max && r.Max <= r.GiveUpAfter
		if !fits {
			l.reportAt(path, faultf("", "expected first (%s) ≤ max (%s) ≤ give_up_after (%s)", r.First, r.Max, r.GiveUpAfter))
		}
		return fits
	}
	retry := cfg.Worker.Retry
	if !goesUp("worker.retry", retry.All()) {
		return
	}
	for _, kind := range []struct {
		name   string
		ladder Ladder
	}{{"run", retry.Run}, {"commit", retry.Commit}, {"build", retry.Build}, {"alert", retry.Alert}, {"notify", retry.Notify}} {
		if !goesUp("worker.retry."+kind.name, kind.ladder.Over(retry.All())) {
			return
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Targets)) {
		goesUp("targets."+name+".retry", cfg.Targets[name].Retry.Over(retry.Notify).Over(retry.All()))
	}
}

func (l *loader) checkSource(p string, s Source, connections map[string]CodeArts) {
	if p == "sources."+events.SourceSchedule {
		l.reportAt(p, faultf("take another name", "%s: the events of Millrace's own schedules have this name", p))
	}
	if l.isSet(p + ".codearts_builds") {
		l.checkPolled(p, s.CodeArtsBuilds, connections)
		return
	}
	if len(s.Secrets) == 0 {
		l.reportAt(p, faultf("add secrets, or set "+l.variableOf(p+".secrets"), "%s has no secret, so nobody could prove to be it", p))
	}
	if s.Verify == "standard_webhooks" && len(s.Headers) > 0 {
		l.reportAt(p+".headers", faultf("remove headers", "standard_webhooks always uses the headers webhook-id, webhook-timestamp and webhook-signature"))
	}
	if s.Verify == "standard_webhooks" {
		for _, secret := range s.Secrets {
			l.checkSigningSecret(p+".secrets", strings.TrimPrefix(secret.Reveal(), "whsec_"))
		}
	}
	if s.MaxBurst > 0 && s.MaxRate == 0 {
		l.reportAt(p+".max_burst", faultf("add max_rate, or remove max_burst", "max_burst bounds nothing without max_rate"))
	}
	if slices.Contains(s.IDFrom, "body") && len(s.IDFrom) > 1 {
		l.reportAt(p+".id_from", faultf("name fields, or only body", "body already stands for all fields"))
	}
}

// checkPolled tests a source whose builds are asked for.
func (l *loader) checkPolled(p string, b CodeArtsBuilds, connections map[string]CodeArts) {
	for _, key := range []string{"verify", "headers", "secrets", "id_from", "sends", "max_rate", "max_burst", "max_in_flight"} {
		if l.isSet(p + "." + key) {
			l.reportAt(p+"."+key, faultf("remove "+key+", or make two sources of it", "%s asks for builds and takes no deliveries, so it has no %s", p, key))
		}
	}
	p += ".codearts_builds"
	if b.ProjectID == "" {
		l.reportAt(p, faultf("add project_id, the id in the addresses of the project's pages", "%s does not say of which project", p))
	}
	if b.Every%time.Second != 0 {
		l.reportAt(p+".every", faultf("", "expected whole seconds for every, found %s", b.Every))
	}
	if _, ok := connections[b.Connection]; !ok {
		hint := didYouMean(b.Connection, slices.Sorted(maps.Keys(connections)))
		if hint == "" {
			hint = "configure codearts." + b.Connection
		}
		l.reportAt(p+".connection", faultf(hint, "there is no connection %s", quote(b.Connection)))
	}
}

// isSet reports whether the file or the environment has the setting at path, or one in it.
func (l *loader) isSet(path string) bool {
	if _, ok := l.places[path]; ok {
		return true
	}
	for p := range l.given {
		if p == path || strings.HasPrefix(p, path+".") {
			return true
		}
	}
	return false
}

// checkSigningSecret tests the base64 of a Standard Webhooks secret, without its prefix.
func (l *loader) checkSigningSecret(p, key string) {
	if !l.opens(p) {
		return
	}
	if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) == 0 {
		l.reportAt(p, faultf("copy it again, whole", "the secret is not base64, as Standard Webhooks wants it"))
	}
}

func (l *loader) checkCodeArts(p string, c CodeArts) {
	byUser := c.User != "" || c.Domain != "" || c.Password.IsSet() || c.MFAUserID != "" || c.MFASeed.IsSet()
	byKey := c.AccessKey != "" || c.SecretKey.IsSet() || c.SecurityToken.IsSet()
	l.checkSignIn(p, c, byUser, byKey)
	if c.Region == "" && (c.BuildEndpoint == "" || c.RepoEndpoint == "" || (byUser && c.IAMEndpoint == "")) {
		l.reportAt(p, faultf("set region, or every endpoint", "%s has no region, and not every endpoint is given", p))
	}
	l.checkReadable(p, c)
	switch {
	case c.Project != "" && c.ProjectID != "":
		l.reportAt(p+".project_id", faultf("remove one of them", "%s has both project and project_id", p))
	case c.Project != "" && byKey && !byUser:
		l.reportAt(p+".project", faultf("remove project, or set project_id", "with an access key %s needs no IAM project, and takes one by its id only", p))
	case byUser && c.Region == "" && c.Project == "" && c.ProjectID == "":
		l.reportAt(p, faultf("set project, project_id or region", "%s has no IAM project its token could be for", p))
	}
}

// checkSignIn tests that there is one way to sign in, and all of it.
func (l *loader) checkSignIn(p string, c CodeArts, byUser, byKey bool) {
	switch {
	case c.Token.IsSet() && byUser:
		l.reportAt(p+".token", faultf("remove one of them", "%s has both a token and a user", p))
		return
	case c.Token.IsSet() && byKey:
		l.reportAt(p+".token", faultf("remove one of them", "%s has both a token and an access key", p))
		return
	case byUser && byKey:
		l.reportAt(p+".access_key", faultf("remove one of them", "%s has both a user and an access key", p))
		return
	case !c.Token.IsSet() && !byUser && !byKey:
		l.reportAt(p, faultf("set access_key and secret_key, or user, domain and password, or token", "%s has nothing to sign in with", p))
		return
	}
	if byKey {
		l.checkWhole(p, "%s needs access_key and secret_key to sign requests", part{"access_key", c.AccessKey != ""}, part{"secret_key", c.SecretKey.IsSet()})
	}
	if byUser {
		l.checkWhole(p, "%s needs user, domain and password to sign in",
			part{"user", c.User != ""}, part{"domain", c.Domain != ""}, part{"password", c.Password.IsSet()})
	}
	if c.MFAUserID != "" || c.MFASeed.IsSet() {
		l.checkWhole(p, "%s needs mfa_user_id and mfa_seed to sign in with an MFA device", part{"mfa_user_id", c.MFAUserID != ""}, part{"mfa_seed", c.MFASeed.IsSet()})
	}
	if c.MFASeed.IsSet() && l.opens(p+".mfa_seed") && !readsAsSeed(c.MFASeed.Reveal()) {
		l.reportAt(p+".mfa_seed", faultf("copy the key that was shown when the device was bound; a passcode of six digits will not do", "the secret is not base32, as the seed of an MFA device is"))
	}
}

// part is a setting that needs the others of its kind.
type part struct {
	name string
	set  bool
}

// checkWhole reports the parts that are missing.
func (l *loader) checkWhole(p, message string, parts ...part) {
	var missing []string
	for _, part := range parts {
		if !part.set {
			missing = append(missing, part.name)
		}
	}
	if len(missing) > 0 {
		l.reportAt(p, faultf("set "+strings.Join(missing, " and "), message, p))
	}
}

// readsAsSeed reports whether a text is base32, written in groups or not.
func readsAsSeed(text string) bool {
	text = strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "=", "").Replace(text))
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	return err == nil && len(key) > 0
}

// checkReadable tests the addresses of the APIs that get our password and token.
func (l *loader) checkReadable(p string, c CodeArts) {
	if c.PlainHTTP {
		return
	}
	for key, endpoint := range map[string]string{"build_endpoint": c.BuildEndpoint, "repo_endpoint": c.RepoEndpoint, "iam_endpoint": c.IAMEndpoint} {
		if readable(endpoint) {
			l.reportAt(p+"."+key, faultf("use https://; plain_http: true is for a fake CodeArts in a test network",
				"the token would travel in the open: only an address of this machine may be http://"))
		}
	}
}

func (l *loader) checkTarget(p string, t Target) {
	switch {
	case t.Kind == "":
		l.reportAt(p, faultf("set kind to log, webhook, dingtalk or feishu", "%s has no kind", p))
	case t.Kind == "log" && (t.URL.IsSet() || t.Secret.IsSet()):
		l.reportAt(p, faultf("remove url and secret, or set another kind", "%s is of kind log, which only writes a line", p))
	case t.Kind != "log" && !t.URL.IsSet():
		l.reportAt(p, faultf("set "+l.variableOf(p+".url")+", or url: {env: NAME}, {file: PATH} or {credential: NAME}", "%s has no url", p))
	case t.Kind == "webhook":
		if key, ok := strings.CutPrefix(t.Secret.Reveal(), "whsec_"); ok {
			l.checkSigningSecret(p+".secret", key)
		}
	}
}

// CheckReceiver returns what a receiver cannot start without, as Problems; nil when all is there. Load accepts it missing, since
// the other commands read the same file.
func (c *Config) CheckReceiver() error {
	for _, s := range c.Sources {
		if !s.Polls() {
			return nil
		}
	}
	return Problems{{File: "sources", Message: "no source is configured that takes deliveries, so every one would be refused", Hint: "add one under sources with a secret"}}
}

// CheckWorker returns what a worker cannot start without, as Problems; nil when all is there.
func (c *Config) CheckWorker() error {
	if len(c.Worker.Rules) > 0 || c.Worker.RulesFrom == "pushed" {
		return nil
	}
	return Problems{{File: "worker.rules", Message: "no rules are configured, so no event would lead to anything", Hint: "name a file or folder of rules, here or as MILLRACE_WORKER_RULES, or set worker.rules_from to pushed"}}
}

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// What is asked for: a task and a repository that nobody has. What counts is who answers, and how.
const (
	noJob  = "00000000000000000000000000000000"
	noRepo = "0"
)

// roughSkew is how far apart clocks may be without a word; what HTTP says of time is in whole seconds.
const roughSkew = 30 * time.Second

// codeArts looks at every connection with its own identity. files are the rules, to look for ids of the wrong kind in them.
func (d *Diagnosis) codeArts(ctx context.Context, cfg *config.Config, files []rules.File) {
	if len(cfg.CodeArts) == 0 {
		d.skip(codeCodeArts, "no connection is configured, so rules can neither fetch facts nor commit")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.CodeArts)) {
		c := connection{d: d, name: name, settings: cfg.CodeArts[name], files: files}
		c.look(ctx, cfg)
	}
}

// connection is the look at one connection.
type connection struct {
	d        *Diagnosis
	name     string
	settings config.CodeArts
	files    []rules.File
}

func (c *connection) code(part string) string { return codeCodeArts + "." + c.name + "." + part }

// setting is how a setting of the connection is called.
func (c *connection) setting(key string) string { return codeCodeArts + "." + c.name + "." + key }

func (c *connection) look(ctx context.Context, cfg *config.Config) {
	timeout := partTimeout
	if c.settings.MFASeed.IsSet() {
		timeout += 30 * time.Second // a second passcode, when the first token is refused
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	overhear := newOverhearing()
	settings := clientConfig(c.settings)
	settings.Transport = overhear
	client, err := codearts.New(settings)
	if err != nil {
		c.d.add(VerdictFail, c.code(partSignIn), "correct codearts."+c.name, "%v", err)
		return
	}
	defer client.CloseIdleConnections()
	_, build := client.JobConfig(ctx, noJob)
	if c.signIn(build) {
		c.project(overhear.project())
		c.service(partBuild, "build_endpoint", build)
		c.service(partRepo, "repo_endpoint", firstOf(client.Commits(ctx, codearts.CommitsQuery{RepoID: noRepo, PerPage: 1})))
		c.builds(ctx, client, cfg, overhear.project())
	}
	if skew, ok := overhear.skew(); ok {
		c.clock(skew, cfg.Worker.ClockSkew)
	}
}

// firstOf is the error of a list whose first item is asked for.
func firstOf(list func(yield func(*codearts.Commit, error) bool)) (err error) {
	for _, err = range list {
		break
	}
	return err
}

// signIn tells whether the identity is one, from what became of the first call.
func (c *connection) signIn(err error) bool {
	code, who := c.code(partSignIn), fmt.Sprintf("user %s of account %s", c.settings.User, c.settings.Domain)
	var api *codearts.APIError
	if !errors.As(err, &api) || api.Op != codearts.OpToken {
		switch {
		case c.settings.Token.IsSet():
			c.d.add(VerdictWarn, code, "for more than trying out set "+c.setting("access_key")+" and secret_key, or user, domain and password",
				"a token is configured: it ends within a day of its making")
		case c.settings.SecurityToken.IsSet():
			c.d.add(VerdictWarn, code, "for more than trying out use a permanent access key, without "+c.setting("security_token"),
				"a temporary access key is configured: it ends within a day of its making")
		case c.settings.AccessKey != "":
			c.d.ok(code, "requests are signed with an access key, and IAM is not asked")
		default:
			c.d.ok(code, "IAM gave %s a token for project %s", who, c.askedProject())
		}
		return true
	}
	var text, remedy string
	switch {
	case errors.Is(err, codearts.ErrUnauthorized):
		text = "IAM does not accept " + who + " with this password"
		remedy = "check user (of IAM), domain (the name of the account, not of the user) and password; a Huawei ID or a federated user cannot " +
			"sign in here, make an IAM user; the user may also be locked after wrong tries, or not be allowed programmatic access"
		if c.settings.MFASeed.IsSet() {
			text += " and this MFA device"
			remedy += "; a passcode is good once, so no other process may sign in as this user at the same time, and this machine's clock has to be right"
		} else {
			remedy += "; one with an MFA device needs " + c.setting("mfa_user_id") + " and mfa_seed"
		}
	case errors.Is(err, codearts.ErrForbidden), errors.Is(err, codearts.ErrNotFound), errors.Is(err, codearts.ErrInvalid):
		text = "IAM knows no project " + c.askedProject() + " for " + who
		remedy = "set " + c.setting("project") + " to the IAM project's name, as a rule that of the region, like cn-north-4; " + c.idRemedy()
	default:
		text = "IAM cannot be asked"
		remedy = c.unreachedRemedy(err, "iam_endpoint")
	}
	_, err = apart(err)
	c.d.add(VerdictFail, code, remedy, "%s: %v", text, err)
	return false
}

// apart takes the hint off an error, where a remedy says it.
func apart(err error) (hint string, bare error) {
	var api *codearts.APIError
	if !errors.As(err, &api) {
		return "", err
	}
	without := *api
	without.Hint = ""
	return api.Hint, &without
}

// idRemedy tells the two kinds of project ids apart.
func (c *connection) idRemedy() string {
	return c.setting("project_id") + " is the id that the console shows under My Credentials, not the one in the addresses of CodeArts pages"
}

func (c *connection) askedProject() string {
	p := credentials(c.settings)
	if password, ok := p.(codearts.Password); ok {
		if password.ProjectID != "" {
			return string(password.ProjectID)
		}
		return password.ProjectName
	}
	return ""
}

// unreachedRemedy is for a call that brought no answer, or one of somebody else.
func (c *connection) unreachedRemedy(err error, endpoint string) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "no such host"):
		return "the host's name is unknown here: correct " + c.setting("region") + " or " + c.setting(endpoint) + ", or the DNS of this machine"
	case strings.Contains(text, "certificate"), strings.Contains(text, "x509"):
		return "something between here and CodeArts answers with a certificate of its own, a proxy as a rule: let the machine trust it, or go past it"
	default:
		return "let this machine reach the host on port 443 (firewall, proxy, a VPC without NAT), or correct " + c.setting("region") + " or " + c.setting(endpoint)
	}
}

// project looks for the IAM project's id where the id of a CodeArts project is wanted.
func (c *connection) project(scope scope) {
	if scope.known && scope.id == "" && scope.name == "" {
		c.d.add(VerdictFail, c.code(partProject), "set "+c.setting("project")+" to the IAM project of the region, like cn-north-4",
			"the token is for the whole account, and CodeArts takes only tokens of one project")
		return
	}
	id := scope.id
	if id == "" {
		id = c.settings.ProjectID
	}
	if id == "" {
		return
	}
	if places := placesOf(c.files, id); len(places) > 0 {
		c.d.add(VerdictFail, c.code(partProject), "write the CodeArts project's id: the 32 characters in the address of its pages, after /project/ or projectId=",
			"the rules name %s, the IAM project's id, where facts want the id of a CodeArts project: %s", id, strings.Join(places, ", "))
		return
	}
	what := "the token is for"
	if c.settings.AccessKey != "" {
		what = "requests are for"
	}
	c.d.ok(c.code(partProject), "%s IAM project %s", what, strings.TrimSpace(scope.name+" "+id))
}

// service judges the answer to a question about something that is not there: a refusal of the thing is what is hoped for.
func (c *connection) service(part, endpoint string, err error) {
	code, who := c.code(part), map[string]string{partBuild: "CodeArts Build", partRepo: "CodeArts Repo"}[part]
	var api *codearts.APIError
	gateway := errors.As(err, &api) && strings.HasPrefix(api.Code, "APIGW.")
	hint, err := apart(err)
	switch {
	case errors.Is(err, codearts.ErrUnauthorized) && c.settings.AccessKey != "":
		c.d.add(VerdictFail, code, hint, "%s does not accept the signature: %v", who, err)
	case errors.Is(err, codearts.ErrUnauthorized):
		remedy := "IAM and this service may be of different regions: check " + c.setting("region") + " and the endpoints"
		if c.settings.Token.IsSet() {
			remedy = "the token has ended (they live 24 hours), or was not copied whole: get a new one, or set access_key and secret_key"
		}
		c.d.add(VerdictFail, code, remedy, "%s does not accept the token: %v", who, err)
	case errors.Is(err, codearts.ErrForbidden) && gateway:
		remedy := "give the IAM user the right to use CodeArts, and make it a member of the CodeArts project"
		if c.settings.Token.IsSet() {
			remedy = "the token is of the whole account (scope domain), as a rule: get one for a project, or set access_key and secret_key; " + remedy
		}
		c.d.add(VerdictFail, code, remedy, "%s does not let this identity in: %v", who, err)
	case errors.Is(err, codearts.ErrNotFound) && gateway:
		c.d.add(VerdictFail, code, "correct "+c.setting(endpoint)+" or "+c.setting("region"), "at this address there is no %s: %v", who, err)
	case errors.Is(err, codearts.ErrThrottled):
		c.d.add(VerdictWarn, code, "try again later; if it stays, ask for fewer facts or longer every:", "%s says that there are too many requests: %v", who, err)
	case err == nil, api != nil && api.Status != 0 && api.Status < 500 && api.Class() != "unreadable", api != nil && strings.HasPrefix(api.Code, "CB."):
		c.d.ok(code, "%s answers, and accepts the identity", who)
	case api != nil && api.Status != 0:
		c.d.add(VerdictWarn, code, "try again; if it stays, check "+c.setting(endpoint), "%s answers, but not as it should: %v", who, err)
	default:
		c.d.add(VerdictFail, code, c.unreachedRemedy(err, endpoint), "%s cannot be reached: %v", who, err)
	}
}

// clock judges how far CodeArts's clock is from ours. Before a commit is repeated, the branch is searched for it from the event's time,
// less worker.clock_skew: a clock further off could hide it.
func (c *connection) clock(skew, allowed time.Duration) {
	code, off := c.code(partClock), skew.Abs().Round(time.Second)
	const remedy = "synchronise this machine's clock (chrony, systemd-timesyncd)"
	switch {
	case off > 15*time.Minute && c.settings.AccessKey != "":
		c.d.add(VerdictFail, code, remedy, "CodeArts's clock is %s ours by %s, and it takes no signature that is 15 minutes off", aheadOf(skew), off)
	case off > max(allowed, 2*time.Second):
		c.d.add(VerdictFail, code, remedy+", or raise worker.clock_skew",
			"CodeArts's clock is %s ours by %s, more than worker.clock_skew (%s): a commit could be overlooked, and made twice", aheadOf(skew), off, allowed)
	case off > roughSkew:
		c.d.add(VerdictWarn, code, remedy, "CodeArts's clock is %s ours by %s", aheadOf(skew), off)
	default:
		c.d.ok(code, "CodeArts's clock and ours agree")
	}
}

// scope is what a token is for, as IAM's answer says it.
type scope struct {
	known    bool // the answer had something to say
	id, name string
}

// overhearing is a transport that listens: to the time in every answer, and to the scope of the token in IAM's.
type overhearing struct {
	*http.Transport
	mu      sync.Mutex
	ahead   time.Duration
	heard   bool
	granted scope
}

// newOverhearing goes where a worker's calls go, through the proxy of the environment if there is one.
func newOverhearing() *overhearing {
	return &overhearing{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
	}}
}

// tokenAnswerLimit is how much of IAM's answer is read for the scope, in bytes.
const tokenAnswerLimit = 1 << 20

// RoundTrip sends a request and hands its answer on as it came.
func (o *overhearing) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	resp, err := o.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	took := time.Since(asked)
	o.mu.Lock()
	defer o.mu.Unlock()
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// The header is cut to the second: on average half of one is missing.
		o.ahead, o.heard = at.Add(500*time.Millisecond).Sub(asked.Add(took/2)), true
	}
	if strings.HasSuffix(r.URL.Path, "/auth/tokens") && resp.StatusCode < 300 {
		head, err := io.ReadAll(io.LimitReader(resp.Body, tokenAnswerLimit))
		rest := io.Reader(resp.Body)
		if err != nil {
			rest = failing{err}
		}
		resp.Body = both{io.MultiReader(bytes.NewReader(head), rest), resp.Body}
		o.granted = readScope(head)
	}
	return resp, nil
}

func readScope(answer []byte) scope {
	type named struct{ ID, Name string }
	var body struct {
		Token struct {
			Project *named
			Domain  *named
		}
	}
	if json.Unmarshal(answer, &body) != nil {
		return scope{}
	}
	if p := body.Token.Project; p != nil {
		return scope{known: true, id: p.ID, name: p.Name}
	}
	return scope{known: body.Token.Domain != nil}
}

func (o *overhearing) skew() (time.Duration, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ahead, o.heard
}

func (o *overhearing) project() scope {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.granted
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type both struct {
	io.Reader
	io.Closer
}

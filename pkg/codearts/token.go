package codearts

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// tokenMargin is how long before its end a token is renewed; a tenth of its life when that is shorter.
	tokenMargin = time.Hour
	// tokenLife is assumed when IAM does not say how long a token lives; 24 h by the vendor's page.
	tokenLife = 24 * time.Hour
	// tokenPause is the time between two tries after IAM could not renew a token that is still good.
	tokenPause = time.Minute
	// refusalPause is the time between the first two tries after IAM refused the user, and maxRefusalPause the longest: a few wrong
	// passwords within a quarter of an hour lock a user out, everywhere.
	refusalPause, maxRefusalPause = 5 * time.Minute, time.Hour
	// replacePause is the time in which a refused token is replaced once. When its successor is refused too, another will not do better.
	replacePause = 10 * time.Second
	// tokenSize bounds a token, in bytes.
	tokenSize = 100_000
)

// OpToken is the name of the operation that signs in, as it stands in APIError.Op.
const OpToken = "iam_token"

func tokenOperations() []Operation {
	return []Operation{{
		Name: OpToken, Service: ServiceIAM, Method: http.MethodPost, Path: "/v3/auth/tokens",
		Title: "Token by password", TitleZH: "获取IAM用户Token(使用密码)", Doc: "signs in; the client does it by itself", Page: "KeystoneCreateUserTokenByPassword",
		Repeat: RepeatFew, shape: shapeBare, limit: 1 << 20,
	}}
}

// TokenCache keeps the tokens of the identities of several clients, so that those of the same identity (IAM endpoint, account, user,
// password and project) share one, and one request to IAM. The zero value is an empty cache, safe for concurrent use. It is in memory
// only, and lives as long as its clients.
type TokenCache struct {
	// Random returns a number from 0 up to, not including, 1: which share of half the margin a token is renewed before the margin begins,
	// so that those of a fleet that signed in together do not renew together. nil is chance. It is called by one goroutine at a time for
	// each identity.
	Random func() float64

	mu      sync.Mutex
	sources map[identity]*tokenSource
}

// identity is what a token belongs to. Clients with different passwords do not share, or a wrong one would do as well as the right one.
type identity struct {
	at           endpoint
	user, domain string
	projectName  string
	projectID    IAMProjectID
	secrets      [sha256.Size]byte
}

// source returns the place of an identity's tokens.
func (t *TokenCache) source(at endpoint, who Password) (*tokenSource, error) {
	var key []byte
	if who.MFA.used() {
		var err error
		if key, err = who.MFA.key(); err != nil {
			return nil, err
		}
	}
	of := identity{
		at: at, user: who.User, domain: who.Domain, projectName: who.ProjectName, projectID: who.ProjectID,
		secrets: sha256.Sum256([]byte(who.Password.Reveal() + "\x00" + who.MFA.UserID + "\x00" + who.MFA.Seed.Reveal())),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sources[of]
	if s == nil {
		s = &tokenSource{who: who, codeKey: key, random: t.Random}
		if s.random == nil {
			s.random = rand.Float64
		}
		if t.sources == nil {
			t.sources = map[identity]*tokenSource{}
		}
		t.sources[of] = s
	}
	return s, nil
}

// tokenSigner signs the requests of one client with the tokens of its identity.
type tokenSigner struct {
	client *Client
	*tokenSource
}

func (s *tokenSigner) proof(ctx context.Context) (string, error) { return s.current(ctx, s.client) }

func (*tokenSigner) sign(r *http.Request, _ []byte, proof string, room []string) {
	setToken(r, proof, room)
}

func (s *tokenSigner) refused(proof string) bool { return s.drop(proof, s.client.now()) }

// tokenSource gets tokens from IAM and keeps the last one. One request at a time, whoever asks.
type tokenSource struct {
	who     Password
	codeKey []byte // of the passcodes; nil without MFA
	random  func() float64

	mu        sync.Mutex
	token     Secret
	old       Secret // the one before, still to be kept out of texts
	renewAt   time.Time
	expires   time.Time
	flight    *tokenFlight
	pauseTill time.Time
	refusal   *APIError // IAM refused the user; returned until pauseTill
	refusals  int       // in a row
	replaced  time.Time // when a token that CodeArts refused was dropped last
	code      Secret    // the last passcode that was sent
	codeStep  int64     // its number
}

// tokenFlight is a request to IAM that others wait for. Its fields are set before done is closed.
type tokenFlight struct {
	done chan struct{}
	err  error
	gone bool // its caller went away: somebody else must ask
}

// current returns a token that is good now; client gets one when needed. A caller that goes away fails nobody else.
func (s *tokenSource) current(ctx context.Context, client *Client) (string, error) {
	for {
		s.mu.Lock()
		now := client.now()
		good := !s.token.Empty() && now.Before(s.expires)
		if good && (now.Before(s.renewAt) || s.flight != nil || now.Before(s.pauseTill)) {
			token := s.token.Reveal()
			s.mu.Unlock()
			return token, nil
		}
		if s.refusal != nil && now.Before(s.pauseTill) {
			refusal := s.refusal
			s.mu.Unlock()
			return "", refusal
		}
		if flight := s.flight; flight != nil {
			s.mu.Unlock()
			select {
			case <-flight.done:
			case <-ctx.Done():
				return "", unanswered(client.op(OpToken), context.Cause(ctx), false)
			}
			if flight.err != nil && !flight.gone {
				return "", flight.err
			}
			continue
		}
		flight := &tokenFlight{done: make(chan struct{})}
		s.flight = flight
		s.mu.Unlock()
		return s.fly(ctx, client, flight, good)
	}
}

// fly gets a token and ends the flight. good: there is still one to go on with when this fails.
func (s *tokenSource) fly(ctx context.Context, client *Client, flight *tokenFlight, good bool) (token string, err error) {
	defer func() {
		s.mu.Lock()
		s.flight = nil
		flight.err, flight.gone = err, ctx.Err() != nil
		s.mu.Unlock()
		close(flight.done)
	}()
	fresh, life, failure := s.fetch(ctx, client)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := client.now()
	if failure == nil {
		s.old, s.token = s.token, NewSecret(fresh)
		s.expires = now.Add(life)
		margin := min(tokenMargin, life/10)
		s.renewAt = s.expires.Add(-margin - time.Duration(s.random()*float64(margin/2)))
		s.refusal, s.refusals, s.pauseTill = nil, 0, time.Time{}
		return fresh, nil
	}
	if final := failure.Status >= 400 && failure.Status < 500 && !failure.again; final {
		s.refusal, s.pauseTill = failure, now.Add(min(refusalPause<<(2*min(s.refusals, 8)), maxRefusalPause))
		s.refusals++
	} else if good && ctx.Err() == nil {
		s.pauseTill = now.Add(tokenPause)
	}
	if good && ctx.Err() == nil && !s.token.Empty() { // nobody has dropped it meanwhile
		return s.token.Reveal(), nil // good for a while still
	}
	return "", failure
}

// drop forgets a token that CodeArts did not accept, unless it has been replaced meanwhile, or has itself just replaced another one. It
// reports whether the next token may do better.
func (s *tokenSource) drop(token string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Reveal() != token {
		return true
	}
	if !s.replaced.IsZero() && now.Before(s.replaced.Add(replacePause)) {
		return false
	}
	s.old, s.token, s.replaced = s.token, Secret{}, now
	if s.refusal == nil {
		s.pauseTill = time.Time{}
	}
	return true
}

func (s *tokenSource) hide(text string) string {
	if text == "" {
		return ""
	}
	s.mu.Lock()
	token, old, code := s.token.Reveal(), s.old.Reveal(), s.code.Reveal()
	s.mu.Unlock()
	return hideAll(text, token, old, code, s.who.Password.Reveal(), s.who.MFA.Seed.Reveal())
}

// The body of a token request, with and without MFA.
type (
	tokenRequest struct {
		Auth tokenAuth `json:"auth"`
	}
	tokenAuth struct {
		Identity tokenIdentity `json:"identity"`
		Scope    tokenScope    `json:"scope"`
	}
	tokenIdentity struct {
		Methods  []string      `json:"methods"`
		Password tokenPassword `json:"password"`
		TOTP     *tokenTOTP    `json:"totp,omitempty"`
	}
	tokenTOTP struct {
		User tokenPasscode `json:"user"`
	}
	tokenPasscode struct {
		ID       string `json:"id"`
		Passcode string `json:"passcode"`
	}
	tokenPassword struct {
		User tokenUser `json:"user"`
	}
	tokenUser struct {
		Name     string      `json:"name"`
		Password string      `json:"password"`
		Domain   tokenDomain `json:"domain"`
	}
	tokenDomain struct {
		Name string `json:"name"`
	}
	tokenScope struct {
		Project tokenProject `json:"project"`
	}
	tokenProject struct {
		Name string       `json:"name,omitempty"`
		ID   IAMProjectID `json:"id,omitempty"`
	}
)

// fetch asks IAM for a token and says how long it will live from now.
func (s *tokenSource) fetch(ctx context.Context, client *Client) (string, time.Duration, *APIError) {
	op := client.op(OpToken)
	u, err := client.address(op, question{query: url.Values{"nocatalog": {"true"}}})
	if err != nil {
		return "", 0, asAPIError(op, err)
	}
	who := tokenIdentity{Methods: []string{"password"}, Password: tokenPassword{User: tokenUser{
		Name: s.who.User, Password: s.who.Password.Reveal(), Domain: tokenDomain{Name: s.who.Domain},
	}}}
	if s.codeKey != nil {
		code, err := s.nextCode(ctx, client.now)
		if err != nil {
			return "", 0, unanswered(op, err, false)
		}
		who.Methods, who.TOTP = append(who.Methods, "totp"), &tokenTOTP{tokenPasscode{ID: s.who.MFA.UserID, Passcode: code}}
	}
	body, err := json.Marshal(tokenRequest{tokenAuth{
		Identity: who, Scope: tokenScope{Project: tokenProject{Name: s.who.ProjectName, ID: s.who.ProjectID}},
	}})
	if err != nil {
		return "", 0, invalid(op, "the request cannot be encoded")
	}
	got, err := client.send(ctx, op, u, "", body)
	if err != nil {
		return "", 0, asAPIError(op, err)
	}
	token, life, failure := client.readToken(op, &got)
	if failure != nil {
		failure.Hint = s.signInHint(failure)
	}
	return token, life, failure
}

// nextCode returns a passcode that was not sent before, and waits for it when that of this step was. A passcode that IAM sees a second
// time is as good as a wrong one. Its error is the end of ctx.
func (s *tokenSource) nextCode(ctx context.Context, now func() time.Time) (string, error) {
	s.mu.Lock()
	last := s.codeStep
	s.mu.Unlock()
	step := passcodeNumber(now())
	if step == last {
		timer := time.NewTimer(passcodeStart(step + 1).Sub(now()))
		defer timer.Stop()
		select {
		case <-timer.C:
			step = max(step+1, passcodeNumber(now()))
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	code := passcode(s.codeKey, step)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codeStep, s.code = step, NewSecret(code)
	return code, nil
}

// readToken takes token and life out of IAM's answer. The life is counted from now, so a clock that is off does no harm.
func (c *Client) readToken(op *Operation, got *answer) (string, time.Duration, *APIError) {
	if got.status != http.StatusCreated && got.status != http.StatusOK {
		return "", 0, c.failure(op, got)
	}
	token := got.header.Get("X-Subject-Token")
	if token == "" || len(token) > tokenSize || !headerSafe(token) {
		return "", 0, c.unreadable(op, got, errors.New("there is no token in X-Subject-Token"))
	}
	var body struct {
		Token struct {
			ExpiresAt time.Time `json:"expires_at"`
			IssuedAt  time.Time `json:"issued_at"`
		} `json:"token"`
	}
	life := tokenLife
	if err := json.Unmarshal(got.body, &body); err == nil {
		issued := body.Token.IssuedAt
		if issued.IsZero() {
			issued = c.now()
		}
		if told := body.Token.ExpiresAt.Sub(issued); told > 0 {
			life = min(told, tokenLife)
		}
	}
	return token, life, nil
}

func asAPIError(op *Operation, err error) *APIError {
	if e, ok := errors.AsType[*APIError](err); ok {
		return e
	}
	return unanswered(op, err, false)
}

package codearts

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Credentials is how a client signs in: StaticToken, Password or AKSK.
type Credentials interface {
	signer(c *Client) (signer, error)
}

// signer proves who calls.
type signer interface {
	// proof returns what has to be got before a request can be signed, a token; "" when there is nothing. Its errors are *APIError.
	proof(ctx context.Context) (string, error)
	// sign puts the proof, or a signature, on a request whose body is exactly body. The values of at most four headers fit into room.
	sign(r *http.Request, body []byte, proof string, room []string)
	// refused is told that CodeArts did not accept a proof; true when another one may do better.
	refused(proof string) bool
	// hint says in one sentence what to change when Build or Repo refused a request, "" when there is nothing to say. theirs is the time
	// by the clock of the other side, zero when it is not known.
	hint(op *Operation, e *APIError, theirs time.Time) string
	// hide takes the secrets it knows out of a text.
	hide(text string) string
}

// StaticToken signs in with a token as it is given: a region-level token scoped to a project.
type StaticToken struct{ Token Secret }

func (t StaticToken) signer(*Client) (signer, error) {
	if t.Token.Empty() {
		return nil, errors.New("codearts: the token is empty")
	}
	if !headerSafe(t.Token.Reveal()) {
		return nil, errors.New("codearts: the token has characters that cannot be sent (is there a line break at its end?)")
	}
	return &staticSigner{token: t.Token}, nil
}

type staticSigner struct{ token Secret }

func (s *staticSigner) proof(context.Context) (string, error) { return s.token.Reveal(), nil }
func (*staticSigner) sign(r *http.Request, _ []byte, proof string, room []string) {
	setToken(r, proof, room)
}
func (*staticSigner) refused(string) bool       { return false }
func (s *staticSigner) hide(text string) string { return hideAll(text, s.token.Reveal()) }

func setToken(r *http.Request, token string, room []string) {
	room[0] = token
	r.Header["X-Auth-Token"] = room[0:1:1]
}

// Password signs in as an IAM user and gets tokens for it, as the IAM page KeystoneCreateUserTokenByPassword has it.
type Password struct {
	User     string // IAM user
	Domain   string // name of its account
	Password Secret
	// The IAM region project the token is for: a name like "cn-north-4", or an id. One of the two.
	ProjectName string
	ProjectID   IAMProjectID
	// MFA is the user's second factor; the zero MFA is none. A passcode is good once and for 30 seconds: a second sign-in within that
	// time waits for the next one. Several processes that sign in as the same user do not know of each other; use AKSK there.
	MFA MFA
}

func (p Password) signer(c *Client) (signer, error) {
	switch {
	case p.User == "" || p.Domain == "" || p.Password.Empty():
		return nil, errors.New("codearts: signing in needs user, domain and password")
	case (p.MFA.UserID == "") != p.MFA.Seed.Empty():
		return nil, errors.New("codearts: signing in with MFA needs the id of the user and the seed of the device")
	case (p.ProjectName == "") == (p.ProjectID == ""):
		return nil, errors.New("codearts: signing in needs the IAM project, by name (the region, as a rule) or by id: CodeArts refuses tokens of a whole account")
	}
	at, ok := c.endpoints[ServiceIAM]
	if !ok {
		return nil, errors.New("codearts: no IAM endpoint is known: set the region or iam_endpoint")
	}
	source, err := c.tokens.source(at, p)
	if err != nil {
		return nil, err
	}
	return &tokenSigner{client: c, tokenSource: source}, nil
}

// hideAll replaces the secrets in text, also as they stand in JSON. Very short ones are left: they would eat ordinary words.
func hideAll(text string, secrets ...string) string {
	// The longest first: a short one may be a part of it.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, s := range secrets {
		if len(s) < 4 {
			continue
		}
		text = strings.ReplaceAll(text, s, redacted)
		if encoded, err := json.Marshal(s); err == nil {
			text = strings.ReplaceAll(text, string(encoded[1:len(encoded)-1]), redacted)
		}
	}
	return text
}

func headerSafe(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

package codeartstest

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func tokenHandlers() map[string]handler {
	return map[string]handler{
		"iam_token": (*Fake).issueToken,
	}
}

// token is one that was issued.
type token struct {
	expires time.Time
	global  bool // of a whole account: Build and Repo refuse it
}

// ExpireTokens ends every token that was issued, as a change to the user does.
func (f *Fake) ExpireTokens() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.tokens)
}

// checkToken returns the refusal of a request whose token is missing, unknown, expired or of the wrong scope.
func (f *Fake) checkToken(presented string) (reply, bool) {
	if presented != "" && f.static[presented] {
		return reply{}, true
	}
	t, ok := f.tokens[presented]
	switch {
	case !ok || !f.now().Before(t.expires):
		return refuse(http.StatusUnauthorized, "APIGW.0301", "Incorrect IAM authentication information: token expired or unknown"), false
	case t.global:
		return refuse(http.StatusForbidden, "APIGW.0302", "The token is not scoped to a project"), false
	}
	return reply{}, true
}

// issueToken is POST /v3/auth/tokens.
func (f *Fake) issueToken(r *request) reply {
	var q struct {
		Auth struct {
			Identity struct {
				Methods  []string
				Password struct {
					User struct {
						Name     string
						Password string
						Domain   struct{ Name string }
					}
				}
				TOTP struct {
					User struct{ ID, Passcode string }
				}
			}
			Scope struct {
				Project *struct{ Name, ID string }
				Domain  *struct{ Name, ID string }
			}
		}
	}
	if json.Unmarshal(r.body, &q) != nil || len(q.Auth.Identity.Methods) == 0 {
		return denied(http.StatusBadRequest, "Bad Request", "The request body is invalid")
	}
	who := q.Auth.Identity.Password.User
	for _, u := range f.opts.Users {
		if u.Name != who.Name || u.Domain != who.Domain.Name || u.Password != who.Password {
			continue
		}
		if u.Seed != "" {
			second := q.Auth.Identity.TOTP.User
			if !slices.Contains(q.Auth.Identity.Methods, "totp") || second.ID != u.ID || !f.takePasscode(u, second.Passcode) {
				return denied(http.StatusUnauthorized, "Unauthorized", "The passcode is missing, wrong or was used before.")
			}
		}
		scope := q.Auth.Scope.Project
		if scope == nil {
			return f.issue(nil)
		}
		if scope.Name != "" && scope.Name != u.ProjectName || scope.ID != "" && scope.ID != u.ProjectID {
			return denied(http.StatusForbidden, "Forbidden", "The user has no such project")
		}
		return f.issue(&u)
	}
	return denied(http.StatusUnauthorized, "Unauthorized", "The username or password is wrong.")
}

// takePasscode checks a passcode of a virtual MFA device, which is good for its 30 seconds and the next, and once.
func (f *Fake) takePasscode(u IAMUser, given string) bool {
	seed, err := base32.StdEncoding.DecodeString(u.Seed)
	if err != nil {
		return false
	}
	now := uint64(f.now().Unix()) / 30
	for _, step := range []uint64{now, now - 1} {
		if given == sixDigits(seed, step) && step > f.codes[u.ID] {
			f.codes[u.ID] = step
			return true
		}
	}
	return false
}

// sixDigits is the passcode of a step (RFC 4226 with the step as counter).
func sixDigits(seed []byte, step uint64) string {
	var counter [8]byte
	for i := range counter {
		counter[i] = byte(step >> (56 - 8*i))
	}
	mac := hmac.New(sha1.New, seed)
	mac.Write(counter[:])
	h := mac.Sum(nil)
	o := h[19] & 15
	number := (int(h[o])&127)<<24 | int(h[o+1])<<16 | int(h[o+2])<<8 | int(h[o+3])
	return fmt.Sprintf("%06d", number%1e6)
}

// issue makes a token for the project of a user, or without one for a whole account.
func (f *Fake) issue(of *IAMUser) reply {
	now := f.now()
	sum := sha256.Sum256(fmt.Appendf(nil, "token %d %s", f.next(), now))
	// Real ones are several thousand characters long.
	value := "MII" + strings.Repeat(hex.EncodeToString(sum[:]), 40)
	expires := now.Add(f.opts.TokenLife)
	f.tokens[value] = token{expires: expires, global: of == nil}
	const form = "2006-01-02T15:04:05.000000Z"
	granted := object{"methods": []string{"password"}, "issued_at": now.Format(form), "expires_at": expires.Format(form)}
	if of != nil {
		granted["project"] = object{"id": of.ProjectID, "name": of.ProjectName}
	}
	a := answer(http.StatusCreated, object{"token": granted})
	a.header.Set("X-Subject-Token", value)
	return a
}

// denied is a failure of IAM.
func denied(status int, title, message string) reply {
	a := answer(status, object{"error": object{"code": status, "message": message, "title": title}})
	a.failed = true
	return a
}

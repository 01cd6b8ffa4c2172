package ingest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// tolerance is how far a signature's timestamp may be from now, as the libraries of
// Standard Webhooks have it.
const tolerance = 5 * time.Minute

// A verifier says whether a delivery was sent by who knows one of the secrets. It looks
// at the raw body, and at all secrets, whichever fits.
type verifier interface {
	verify(h http.Header, body []byte, now time.Time) bool
}

func newVerifier(v Verify) (verifier, error) {
	if err := checkSecrets(v.Secrets); err != nil {
		return nil, err
	}
	headers, err := canonical(v.Headers)
	if err != nil {
		return nil, err
	}
	switch v.Scheme {
	case SchemeToken:
		if headers == nil {
			headers = []string{"X-Repo-Token", "X-Gitlab-Token", "X-Auth-Token", "X-Devcloud-Token", "X-Codehub-Token"}
		}
		return newToken(headers, v.Secrets)
	case SchemeHMAC:
		if headers == nil {
			headers = []string{"X-Hub-Signature-256"}
		}
		keys := make([][]byte, len(v.Secrets))
		for i, s := range v.Secrets {
			keys[i] = bytes.Clone(s)
		}
		return &bodyHMAC{headers: headers, keys: keys}, nil
	case SchemeStandardWebhooks:
		if headers != nil {
			return nil, errors.New("the headers of standard_webhooks are fixed: leave them out")
		}
		return newStandardWebhooks(v.Secrets)
	case "":
		return nil, fmt.Errorf("no scheme to verify the sender with: use %s, %s or %s", SchemeToken, SchemeHMAC, SchemeStandardWebhooks)
	}
	return nil, fmt.Errorf("unknown scheme %q: use %s, %s or %s", v.Scheme, SchemeToken, SchemeHMAC, SchemeStandardWebhooks)
}

func checkSecrets(secrets []Secret) error {
	if len(secrets) == 0 {
		return errors.New("no secret: every source needs one, an unverified sender is never accepted")
	}
	for i, s := range secrets {
		if len(s) == 0 {
			return fmt.Errorf("secret %d is empty", i+1)
		}
	}
	return nil
}

// canonical spells header names as net/http keys them.
func canonical(names []string) ([]string, error) {
	var all []string
	for _, name := range names {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return nil, fmt.Errorf("%q is no name of a header", name)
		}
		all = append(all, http.CanonicalHeaderKey(name))
	}
	return all, nil
}

// token is the secret itself in a header. Hashes are compared, so that neither the
// length nor the content of a secret shows in the time it takes.
type token struct {
	headers []string
	sums    [][sha256.Size]byte
}

func newToken(headers []string, secrets []Secret) (*token, error) {
	t := &token{headers: headers}
	for i, s := range secrets {
		if !bytes.Equal(bytes.TrimSpace(s), s) || bytes.ContainsAny(s, "\r\n\x00") {
			return nil, fmt.Errorf("secret %d has white space around it or a line break in it, which a header cannot carry", i+1)
		}
		t.sums = append(t.sums, sha256.Sum256(s))
	}
	return t, nil
}

func (t *token) verify(h http.Header, _ []byte, _ time.Time) bool {
	fits := 0
	for _, name := range t.headers {
		for _, v := range h[name] {
			sum := sha256.Sum256([]byte(v))
			for i := range t.sums {
				fits |= subtle.ConstantTimeCompare(sum[:], t.sums[i][:])
			}
		}
	}
	return fits == 1
}

// bodyHMAC is GitHub's way: the HMAC of the body in hex.
type bodyHMAC struct {
	headers []string
	keys    [][]byte
}

func (b *bodyHMAC) verify(h http.Header, body []byte, _ time.Time) bool {
	var given [][]byte
	for _, name := range b.headers {
		for _, v := range h[name] {
			sum, err := hex.DecodeString(strings.TrimPrefix(v, "sha256="))
			if err == nil && len(sum) == sha256.Size {
				given = append(given, sum)
			}
		}
	}
	return fitsAny(b.keys, given, body)
}

// fitsAny reports whether one of the given sums is the HMAC of the parts under one of
// the keys.
func fitsAny(keys, given [][]byte, parts ...[]byte) bool {
	if len(given) == 0 {
		return false
	}
	fits := 0
	var sum [sha256.Size]byte
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		for _, p := range parts {
			mac.Write(p)
		}
		want := mac.Sum(sum[:0])
		for _, g := range given {
			fits |= subtle.ConstantTimeCompare(want, g)
		}
	}
	return fits == 1
}

// standardWebhooks is the symmetric scheme of standardwebhooks.com: it signs id, time
// and body, so an old delivery cannot be sent again later.
type standardWebhooks struct{ keys [][]byte }

func newStandardWebhooks(secrets []Secret) (*standardWebhooks, error) {
	s := &standardWebhooks{}
	for i, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(secret), "whsec_"))
		if err != nil || len(key) == 0 {
			// The decoder's error would show where, and so a part of the secret.
			return nil, fmt.Errorf("secret %d is not base64, with or without whsec_ before it", i+1)
		}
		s.keys = append(s.keys, key)
	}
	return s, nil
}

func (s *standardWebhooks) verify(h http.Header, body []byte, now time.Time) bool {
	id, ok := only(h, headerWebhookID)
	if !ok {
		return false
	}
	at, ok := only(h, "Webhook-Timestamp")
	if !ok {
		return false
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return false
	}
	if sent := time.Unix(seconds, 0); sent.Before(now.Add(-tolerance)) || sent.After(now.Add(tolerance)) {
		return false
	}
	var given [][]byte
	for _, v := range h["Webhook-Signature"] {
		for entry := range strings.FieldsSeq(v) {
			encoded, isV1 := strings.CutPrefix(entry, "v1,")
			sum, err := base64.StdEncoding.DecodeString(encoded)
			if isV1 && err == nil && len(sum) == sha256.Size {
				given = append(given, sum)
			}
		}
	}
	return fitsAny(s.keys, given, []byte(id), []byte("."), []byte(at), []byte("."), body)
}

// only is the value of a header that is there once: twice would leave open which one
// was signed.
func only(h http.Header, name string) (string, bool) {
	v := h[name]
	if len(v) != 1 || v[0] == "" {
		return "", false
	}
	return v[0], true
}

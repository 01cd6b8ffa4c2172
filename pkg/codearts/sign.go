package codearts

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// AKSK signs every request with an access key, permanent or temporary, as the gateway's SDK-HMAC-SHA256 has it. There is no token that
// could end early, and IAM is never asked; the vendor recommends it over tokens. The clock has to be right to 15 minutes.
type AKSK struct {
	AccessKey string // its id, as in the file credentials.csv
	SecretKey Secret
	// SecurityToken belongs to a temporary access key, which ends with it; empty for a permanent one.
	SecurityToken Secret
	// ProjectID is sent as X-Project-Id when it is set: the IAM project of the region. The vendor's SDK always sends it.
	ProjectID IAMProjectID
}

func (k AKSK) signer(c *Client) (signer, error) {
	switch {
	case k.AccessKey == "" || k.SecretKey.Empty():
		return nil, errors.New("codearts: signing requests needs an access key and its secret key")
	case !headerSafe(k.AccessKey) || strings.Contains(k.AccessKey, ","):
		return nil, errors.New("codearts: the access key has characters that cannot be sent (is it the id of the key, without a line break?)")
	case !headerSafe(k.SecretKey.Reveal()):
		return nil, errors.New("codearts: the secret key has characters that no secret key has (is there a line break at its end?)")
	case !headerSafe(k.SecurityToken.Reveal()) || !headerSafe(string(k.ProjectID)):
		return nil, errors.New("codearts: the security token or the project id has characters that cannot be sent")
	}
	s := &requestSigner{key: k, now: c.now, names: "host;"}
	if k.ProjectID != "" {
		s.names += "x-project-id;"
	}
	s.names += "x-sdk-date"
	if !k.SecurityToken.Empty() {
		s.names += ";x-security-token"
	}
	secret := []byte(k.SecretKey.Reveal())
	s.work.New = func() any { return &signWork{mac: hmac.New(sha256.New, secret)} }
	return s, nil
}

// signMethod is the name of the way of signing.
const signMethod = "SDK-HMAC-SHA256"

// signDate is the form of X-Sdk-Date, in UTC.
const signDate = "20060102T150405Z"

// signSkew is how far the gateway lets the time of a signature be from its own.
const signSkew = 15 * time.Minute

// requestSigner signs with one access key. There is no chain of derived keys as in AWS's scheme: the secret key is the key.
type requestSigner struct {
	key   AKSK
	now   func() time.Time
	names string // of the signed headers, sorted
	work  sync.Pool
}

// signWork is what signing needs and can be used again.
type signWork struct {
	mac hash.Hash
	buf []byte
}

func (*requestSigner) proof(context.Context) (string, error) { return "", nil }
func (*requestSigner) refused(string) bool                   { return false }

// sign puts time and signature on a request whose body is exactly body.
func (s *requestSigner) sign(r *http.Request, body []byte, _ string, values []string) {
	w := s.work.Get().(*signWork)
	defer s.work.Put(w)

	w.buf = s.now().UTC().AppendFormat(w.buf[:0], signDate)
	values[0], values[1], values[2] = string(w.buf), string(s.key.ProjectID), s.key.SecurityToken.Reveal()
	r.Header["X-Sdk-Date"] = values[0:1:1]
	if values[1] != "" {
		r.Header["X-Project-Id"] = values[1:2:2]
	}
	if values[2] != "" {
		r.Header["X-Security-Token"] = values[2:3:3]
	}
	w.buf = s.appendCanonical(w.buf[:0], r, body, values[0])
	sum := sha256.Sum256(w.buf)

	w.buf = append(w.buf[:0], signMethod+"\n"...)
	w.buf = append(w.buf, values[0]...)
	w.buf = append(w.buf, '\n')
	w.buf = hex.AppendEncode(w.buf, sum[:])
	w.mac.Reset()
	_, _ = w.mac.Write(w.buf)
	w.buf = w.mac.Sum(w.buf[:0])

	signature := len(w.buf)
	w.buf = append(w.buf, signMethod+" Access="...)
	w.buf = append(w.buf, s.key.AccessKey...)
	w.buf = append(w.buf, ", SignedHeaders="...)
	w.buf = append(w.buf, s.names...)
	w.buf = append(w.buf, ", Signature="...)
	w.buf = hex.AppendEncode(w.buf, w.buf[:signature])
	values[3] = string(w.buf[signature:])
	r.Header["Authorization"] = values[3:4:4]
}

// appendCanonical appends the canonical request: what is signed of it, one way of writing each thing.
func (s *requestSigner) appendCanonical(b []byte, r *http.Request, body []byte, date string) []byte {
	b = append(b, r.Method...)
	b = append(b, '\n')
	b = appendPath(b, r.URL.EscapedPath())
	b = append(b, '\n')
	b = appendQuery(b, r.URL.RawQuery)
	b = append(b, "\nhost:"...)
	b = append(b, r.Host...)
	if s.key.ProjectID != "" {
		b = append(b, "\nx-project-id:"...)
		b = append(b, s.key.ProjectID...)
	}
	b = append(b, "\nx-sdk-date:"...)
	b = append(b, date...)
	if token := s.key.SecurityToken.Reveal(); token != "" {
		b = append(b, "\nx-security-token:"...)
		b = append(b, token...)
	}
	b = append(b, "\n\n"...) // every header line ends, so there is an empty one
	b = append(b, s.names...)
	b = append(b, '\n')
	sum := sha256.Sum256(body) // of nothing, too
	return hex.AppendEncode(b, sum[:])
}

// appendPath appends a path as it goes over the wire: each segment escaped anew, strictly, and a slash at the end, which is there for
// the signature only. An escaped slash stays one: what the gateway makes of it is not documented.
func appendPath(b []byte, wire string) []byte {
	for i := 0; i < len(wire); i++ {
		switch c := wire[i]; {
		case c == '/':
			b = append(b, c)
		case c == '%' && i+2 < len(wire):
			high, low := unhex(wire[i+1]), unhex(wire[i+2])
			b = appendEscaped(b, high<<4|low)
			i += 2
		default:
			b = appendEscaped(b, c)
		}
	}
	if len(b) == 0 || b[len(b)-1] != '/' {
		b = append(b, '/')
	}
	return b
}

// appendQuery appends the parts of a query, sorted by key and then by value.
func appendQuery(b []byte, wire string) []byte {
	if wire == "" {
		return b
	}
	type part struct{ key, value string }
	var few [8]part
	parts := few[:0]
	for text := range strings.SplitSeq(wire, "&") {
		key, value, _ := strings.Cut(text, "=")
		parts = append(parts, part{unescape(key), unescape(value)})
	}
	slices.SortFunc(parts, func(x, y part) int {
		return cmp.Or(strings.Compare(x.key, y.key), strings.Compare(x.value, y.value))
	})
	for i, p := range parts {
		if i > 0 {
			b = append(b, '&')
		}
		b = appendAll(b, p.key)
		b = append(b, '=')
		b = appendAll(b, p.value)
	}
	return b
}

// unescape undoes the escapes of a query that this package has written itself, so there are no wrong ones.
func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

func appendAll(b []byte, s string) []byte {
	for i := range len(s) {
		b = appendEscaped(b, s[i])
	}
	return b
}

// appendEscaped appends a byte, escaped unless RFC 3986 calls it unreserved.
func appendEscaped(b []byte, c byte) []byte {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
		return append(b, c)
	}
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	default:
		return c - 'A' + 10
	}
}

// hide takes out the key and everything that looks like a signature, of whichever request.
func (s *requestSigner) hide(text string) string {
	return hideSignatures(hideAll(text, s.key.SecretKey.Reveal(), s.key.SecurityToken.Reveal(), s.key.AccessKey))
}

// hideSignatures replaces what is as long as a signature, in hexadecimal digits.
func hideSignatures(text string) string {
	const size = 2 * sha256.Size
	for from := 0; from+size <= len(text); {
		end := from
		for end < len(text) && isHex(text[end]) {
			end++
		}
		if end-from >= size {
			text = text[:from] + redacted + text[end:]
			end = from + len(redacted)
		}
		from = end + 1
	}
	return text
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// webhookSize is the largest body that is sent, far above the 20 kB Standard Webhooks advises for common receivers.
const webhookSize = 256 << 10

// webhook posts Millrace's own JSON, signed as Standard Webhooks says when there is a secret.
type webhook struct {
	*poster
	key concealed[[]byte]
}

// signingKey is the key a secret stands for: the bytes after whsec_, or the text itself.
func signingKey(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, errors.New("what follows whsec_ in the secret is not base64: copy it again, whole")
	}
	return key, nil
}

// webhookBody is the JSON of a message, version 1.
type webhookBody struct {
	V       int    `json:"v"`
	ID      string `json:"id"` // as the header webhook-id: the same each time this message is sent
	Target  string `json:"target"`
	At      string `json:"at,omitempty"` // RFC 3339, UTC
	Title   string `json:"title"`
	Text    string `json:"text"` // the author's markdown with the values in it, unescaped
	Link    string `json:"link,omitempty"`
	EventID string `json:"event_id,omitempty"`
	Rule    string `json:"rule,omitempty"`
}

// Notify posts the message; any 2xx means it was taken.
func (w *webhook) Notify(ctx context.Context, m Message) error {
	at := ""
	if !m.At.IsZero() {
		at = m.At.UTC().Format(time.RFC3339Nano)
	}
	body, ok := fit(m.Text.Plain(), webhookSize, func(text string) any {
		return webhookBody{
			V: 1, ID: m.ID, Target: w.target, At: at, Title: cut(m.Title.Plain(), 4<<10), Text: text, Link: destination(m.Link),
			EventID: m.EventID, Rule: m.Rule,
		}
	})
	if !ok {
		return w.fail(nil, final(ClassSize, "the message without its text is larger than it may be"))
	}
	a, err := w.post(ctx, nil, w.sign(m.ID, w.now(), body), body)
	if err != nil {
		return err
	}
	if a.status >= 200 && a.status < 300 {
		return nil
	}
	return w.fail(a, w.judge(a))
}

// sign makes the headers of Standard Webhooks: "v1," and base64 of HMAC-SHA256 over "id.seconds.body".
func (w *webhook) sign(id string, now time.Time, body []byte) http.Header {
	seconds := strconv.FormatInt(now.Unix(), 10)
	h := http.Header{}
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", seconds)
	if key := w.key(); len(key) > 0 {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, seconds, body)
		h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return h
}

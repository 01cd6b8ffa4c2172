package ingest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/millrace/millrace/pkg/events"
)

// maxDeliveryID is the longest delivery id, in bytes, that is used as it is.
const maxDeliveryID = 200

const headerWebhookID = "Webhook-Id"

// deliveryHeaders name a delivery, the first one counts. X-Gitlab-Event-UUID is not
// among them: GitLab shares it between all events of one cause.
func deliveryHeaders() [5]string {
	return [...]string{headerWebhookID, "X-Github-Delivery", "X-Gitcode-Delivery", "X-Gitea-Delivery", "Idempotency-Key"}
}

// kindHeaders name the kind of a delivery. They are a hint only: names differ between
// versions of the same forge, and some forges send those of others as well.
func kindHeaders() [10]string {
	return [...]string{
		"X-Repo-Event", "X-Devcloud-Event", "X-Codehub-Event", "X-Gitcode-Event", "X-Gitee-Event",
		"X-Gitea-Event", "X-Gitlab-Event", "X-Github-Event", "Codeup-Event", "X-Event",
	}
}

func kindHint(h http.Header) string {
	for _, name := range kindHeaders() {
		if v := h[name]; len(v) > 0 && v[0] != "" {
			return v[0]
		}
	}
	return ""
}

// deliveryID is what the event is called behind its source's name.
func (s *source) deliveryID(h http.Header, body []byte, uuid string) string {
	if s.idFrom.Body {
		return hashed(body)
	}
	if id, ok := s.fieldsID(body); ok {
		return id
	}
	for _, name := range deliveryHeaders() {
		if v := h[name]; len(v) > 0 && v[0] != "" {
			return bounded(v[0])
		}
	}
	if uuid != "" {
		return bounded(uuid)
	}
	return rand.Text()
}

// fieldsID joins the configured fields, if all of them are there.
func (s *source) fieldsID(body []byte) (string, bool) {
	if len(s.idFrom.Fields) == 0 {
		return "", false
	}
	values := make([]string, len(s.idFrom.Fields))
	ambiguous := false
	for i, field := range s.idFrom.Fields {
		v, ok := events.Lookup(body, field)
		if !ok || v == "" {
			return "", false
		}
		values[i] = v
		ambiguous = ambiguous || len(values) > 1 && strings.Contains(v, "/")
	}
	if ambiguous {
		var b strings.Builder
		for _, v := range values {
			b.WriteString(strconv.Itoa(len(v)) + ":" + v)
		}
		return hashed([]byte(b.String())), true
	}
	return bounded(strings.Join(values, "/")), true
}

// bounded is an id from outside, or its hash if it is long or more than printable ASCII.
func bounded(id string) string {
	if len(id) > maxDeliveryID {
		return hashed([]byte(id))
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return hashed([]byte(id))
		}
	}
	return id
}

func hashed(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

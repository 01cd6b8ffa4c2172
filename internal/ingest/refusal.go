package ingest

import (
	"net/http"

	"github.com/rs/zerolog"
)

// refusal is why a delivery was not accepted: what the sender is told and what the log
// is. The two differ on purpose.
type refusal struct {
	status int
	reason string // a code, for the log
	text   string // a sentence, for the sender
	cause  error  // for the log only
	after  string // Retry-After in seconds, "" for none
	level  zerolog.Level
}

func refuse(status int, reason, text string) *refusal {
	return &refusal{status: status, reason: reason, text: text, level: zerolog.InfoLevel}
}

func refuseUnknownSource() *refusal {
	return refuse(http.StatusNotFound, "unknown_source", "there is no such source")
}

func refuseUnknownPath() *refusal {
	return refuse(http.StatusNotFound, "unknown_path", "there is nothing here, deliveries go to /hooks/<source>")
}

func refuseMethod() *refusal {
	return refuse(http.StatusMethodNotAllowed, "method", "a delivery is a POST")
}

func refuseMediaType() *refusal {
	return refuse(http.StatusUnsupportedMediaType, "media_type", "the media type must be application/json in UTF-8")
}

func refuseEncoding() *refusal {
	return refuse(http.StatusUnsupportedMediaType, "content_encoding", "the body must not be compressed or encoded")
}

func refuseSize() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "too_large", "the body is too large")
}

func refuseSlow() *refusal {
	return refuse(http.StatusRequestTimeout, "too_slow", "the body came too slowly")
}

func refuseBroken() *refusal {
	return refuse(http.StatusBadRequest, "broken_body", "the body ended early")
}

func refuseSender() *refusal {
	return refuse(http.StatusUnauthorized, "unverified", "the sender could not be verified")
}

// refuseSyntax tells the sender what [events.Scan] said, which is safe.
func refuseSyntax(err error) *refusal {
	return refuse(http.StatusBadRequest, "not_json", err.Error())
}

// refuseBusy is for what there is no memory for. It is not about the one who sent it.
func refuseBusy() *refusal {
	return refuse(http.StatusServiceUnavailable, "busy", "too much is under way here, please send it again later")
}

func refuseUnstored(err error) *refusal {
	return &refusal{
		status: http.StatusServiceUnavailable, reason: "not_stored",
		text: "the event could not be stored, please send it again later", cause: err, level: zerolog.WarnLevel,
	}
}

func refusePanic(err error) *refusal {
	return &refusal{
		status: http.StatusInternalServerError, reason: "panic",
		text: "something went wrong here", cause: err, level: zerolog.ErrorLevel,
	}
}

package notify

import (
	"context"

	"github.com/rs/zerolog"
)

// logTarget writes the message as one line.
type logTarget struct {
	name string
	log  zerolog.Logger
}

// Notify writes the line; it fails only when the context is done.
func (l *logTarget) Notify(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return &Error{Target: l.name, Kind: KindLog, Reason: "given up: " + err.Error(), class: ClassCanceled, retry: true, cause: err}
	}
	line := l.log.Info().Str("target", l.name).Str("key", m.ID).Str("title", m.Title.Plain()).Str("text", m.Text.Plain())
	if m.Link != "" {
		line.Str("link", m.Link)
	}
	if m.EventID != "" {
		line.Str("event_id", m.EventID)
	}
	if m.Rule != "" {
		line.Str("rule", m.Rule)
	}
	line.Msg("message")
	return nil
}

package telemetry

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
)

// Formats of a log.
const (
	FormatAuto    = "auto" // FormatConsole when the writer is a terminal, FormatJSON otherwise
	FormatJSON    = "json"
	FormatConsole = "console"
)

// timeLayout is RFC 3339 with milliseconds; a UTC time ends in Z.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// Logger returns a logger that writes one line per event to w, which must take concurrent writes. The format is one of the
// Format constants, level one of debug, info, warn and error. What is neither, the empty string included, counts as
// FormatAuto and info: internal/config has refused it before, and a process without a log helps nobody.
func Logger(w io.Writer, format, level string) zerolog.Logger {
	return zerolog.New(formatted(w, format)).Level(levelOf(level)).Hook(stamp{})
}

func formatted(w io.Writer, format string) io.Writer {
	if console(w, format) {
		return zerolog.ConsoleWriter{Out: w, NoColor: !terminal(w), TimeFormat: timeLayout, TimeLocation: time.UTC}
	}
	return w
}

func levelOf(level string) zerolog.Level {
	lvl, err := zerolog.ParseLevel(level)
	if err != nil || lvl == zerolog.NoLevel {
		return zerolog.InfoLevel
	}
	return lvl
}

// stamp puts the time on every line. zerolog's own Timestamp takes its format from a package variable.
type stamp struct{}

// Run adds the time field.
func (stamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format(timeLayout))
}

func console(w io.Writer, format string) bool {
	switch format {
	case FormatConsole:
		return true
	case FormatJSON:
		return false
	default:
		return terminal(w)
	}
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

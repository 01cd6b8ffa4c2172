package events

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Names of the message headers of an event: CloudEvents 1.0 in the binary mode of its
// NATS protocol binding.
const (
	headerSpecVersion = "ce-specversion"
	headerID          = "ce-id"
	headerSource      = "ce-source"
	headerType        = "ce-type"
	headerTime        = "ce-time"
	headerSubject     = "ce-subject"
	headerContentType = "content-type"

	specVersion = "1.0"
	contentType = "application/json"
)

// Header is the event without its body as message headers. Values hold only printable
// ASCII: what does not is percent-encoded, as CloudEvents demands, and [FromHeader]
// decodes it. ce-subject is left out when the event has no repository.
func (e *Event) Header() map[string]string {
	h := map[string]string{
		headerSpecVersion: specVersion,
		headerID:          encodeHeader(e.ID),
		headerSource:      encodeHeader(e.Source),
		headerType:        encodeHeader(e.Type),
		headerTime:        e.Time.UTC().Format(time.RFC3339Nano),
		headerContentType: contentType,
	}
	if e.Repository != "" {
		h[headerSubject] = encodeHeader(e.Repository)
	}
	return h
}

// FromHeader puts an event together again from its message. get returns the value of a
// header, "" if there is none; it is asked for the names as [Event.Header] writes them.
// The body is kept, not copied and not checked. An error means that the message is not
// an event Millrace stored.
func FromHeader(get func(name string) string, body []byte) (*Event, error) {
	if v := get(headerSpecVersion); v != specVersion {
		return nil, fmt.Errorf("not an event: %s is %q, not %q", headerSpecVersion, clip(v), specVersion)
	}
	e := &Event{
		ID:         decodeHeader(get(headerID)),
		Source:     decodeHeader(get(headerSource)),
		Type:       decodeHeader(get(headerType)),
		Repository: decodeHeader(get(headerSubject)),
		Body:       body,
	}
	switch {
	case e.ID == "":
		return nil, errors.New("not an event: " + headerID + " is missing")
	case !ValidSource(e.Source):
		return nil, fmt.Errorf("not an event: %s %q is not the name of a source", headerSource, clip(e.Source))
	case !ValidType(e.Type):
		return nil, fmt.Errorf("not an event: %s %q is not a type", headerType, clip(e.Type))
	}
	at, err := time.Parse(time.RFC3339Nano, get(headerTime))
	if err != nil {
		return nil, fmt.Errorf("not an event: %s is not a time", headerTime)
	}
	e.Time = at.UTC()
	return e, nil
}

const upperHex = "0123456789ABCDEF"

// encodeHeader is the header value encoding of the CloudEvents bindings.
func encodeHeader(s string) string {
	i := 0
	for i < len(s) && plainHeader(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:i])
	for ; i < len(s); i++ {
		if c := s[i]; plainHeader(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
		}
	}
	return b.String()
}

func plainHeader(c byte) bool {
	return '!' <= c && c <= '~' && c != '"' && c != '%'
}

// decodeHeader undoes encodeHeader. A percent sign that encodes nothing stays.
func decodeHeader(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high >= 0 && low >= 0 {
				b.WriteByte(byte(high<<4 | low))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return strings.ToValidUTF8(b.String(), string(utf8.RuneError))
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// clip shortens text from outside for an error.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

package ingest

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"
)

const (
	// firstRead is how much of a buffer a request gets before it has sent anything,
	// whatever length it announces, in bytes.
	firstRead = 8 << 10
	// keptBuffer is the largest buffer that is kept for other requests, in bytes.
	keptBuffer = 128 << 10
)

// buffers lends memory to read bodies into. What is read is copied once, when it is
// accepted; so refused deliveries, however many, make no garbage, and the publisher may
// keep what it gets.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	fresh := make([]byte, 0, firstRead)
	return &fresh
}

func (b *buffers) put(p *[]byte) {
	if cap(*p) <= keptBuffer {
		*p = (*p)[:0]
		b.pool.Put(p)
	}
}

// checkMedia accepts JSON in UTF-8 as it is, and nothing encoded.
func checkMedia(h http.Header) *refusal {
	types := h["Content-Type"]
	if len(types) != 1 || !isJSON(types[0]) {
		return refuseMediaType()
	}
	for _, encoding := range h["Content-Encoding"] {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return refuseEncoding()
		}
	}
	return nil
}

func isJSON(contentType string) bool {
	if contentType == "application/json" { // nearly always
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	return media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}

// readBody reads the whole body into buf, at most limit bytes of it. w is told when there
// is more, so that the connection is not used again. more is asked before buf gets larger.
func readBody(w http.ResponseWriter, r *http.Request, buf *[]byte, limit int64, more func(bytes int) bool) *refusal {
	body := http.MaxBytesReader(w, r.Body, limit)
	data := (*buf)[:0]
	for {
		if len(data) == cap(data) {
			larger := min(2*cap(data), int(limit)+1) // one more, to see that there is an end
			if !more(larger - cap(data)) {
				return refuseBusy()
			}
			data = append(make([]byte, 0, larger), data...)
		}
		n, err := body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		*buf = data
		if err == nil {
			continue
		}
		var tooLarge *http.MaxBytesError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &tooLarge):
			return refuseSize()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return refuseSlow()
		}
		return refuseBroken()
	}
}

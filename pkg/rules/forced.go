package rules

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"
)

// Forced is who had something done although it was done already, or although no record could tell, and when.
type Forced struct {
	At time.Time `json:"at"`
	By string    `json:"by,omitempty"` // as their system calls them, user@machine
}

// UnmarshalJSON reads the time alone, too: so it was written before it was known who.
func (f *Forced) UnmarshalJSON(data []byte) error {
	if strings.HasPrefix(string(data), `"`) {
		return json.Unmarshal(data, &f.At)
	}
	type plain Forced
	return json.Unmarshal(data, (*plain)(f))
}

// HeaderForced is the header of a message that somebody put by force: what [Forced.Header] gives.
const HeaderForced = "Millrace-Forced"

// Header is the text of a header that [ReadForced] reads.
func (f Forced) Header() string { return f.At.UTC().Format(time.RFC3339) + " " + url.PathEscape(f.By) }

// ReadForced reads the header of a message; nil when it was not put by force, or the header is not right.
func ReadForced(header string) *Forced {
	at, by, _ := strings.Cut(header, " ")
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return nil
	}
	f := &Forced{At: t.UTC(), By: by}
	if plain, err := url.PathUnescape(by); err == nil {
		f.By = plain
	}
	return f
}

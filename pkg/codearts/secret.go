package codearts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// redacted is what stands in place of every secret.
const redacted = "[redacted]"

// Secret holds a value that must not be shown: whatever way it is printed or encoded, it reads "[redacted]". The zero Secret is empty.
//
// The value sits behind a pointer, so that not even %+v of a struct with an unexported Secret reaches it.
type Secret struct{ value *string }

// NewSecret wraps value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal returns the value itself; "" for the zero Secret.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.value == nil }

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (Secret) GoString() string { return redacted }

// Format writes "[redacted]" for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON returns "[redacted]" as a JSON string.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalJSON takes a JSON string. null leaves the value as it is.
func (s *Secret) UnmarshalJSON(b []byte) error {
	var text *Text
	if err := json.Unmarshal(b, &text); err != nil {
		return errors.New("a secret is a text") // the cause may quote it
	}
	if text != nil {
		*s = NewSecret(string(*text))
	}
	return nil
}

// MarshalText returns "[redacted]".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

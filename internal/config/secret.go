package config

import (
	"crypto/subtle"
	"fmt"
)

const redacted = "[redacted]"

// Secret is text that no print, log or encoding shows; only Reveal does. Its zero value is "not set". The text sits behind a
// pointer, so that even a dump of a struct that hides a Secret in an unexported field shows an address and nothing else.
type Secret struct{ text *string }

// NewSecret returns the Secret of text; of the empty text the zero Secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text itself, "" when the Secret is not set. Pass it on, do not keep it in a struct that may be printed.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet reports whether there is a text.
func (s Secret) IsSet() bool { return s.text != nil }

// Equal reports whether both hold the same text, in constant time for texts of the same length.
func (s Secret) Equal(other Secret) bool {
	return s.IsSet() == other.IsSet() && subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String returns [redacted], or nothing when the Secret is not set.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return redacted
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// Format prints String for every verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText encodes String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON encodes String.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// MarshalYAML encodes String.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

package ingest

import (
	"fmt"
	"io"
)

// Secret is what a sender proves itself with. However it is printed or marshalled, it
// shows "[redacted]".
type Secret []byte

const redacted = "[redacted]"

// Format implements [fmt.Formatter] for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements [encoding.TextMarshaler].
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// String implements [fmt.Stringer].
func (Secret) String() string { return redacted }

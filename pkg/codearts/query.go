package codearts

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// maxQueryValue is the longest value that is sent in a query or a small body, in bytes. No limit is documented; no id or name is longer.
const maxQueryValue = 1024

// complete is the error of a question of which a value is missing or cannot be right; nil when all have one. Names in order, so that it
// is the same one each time.
func (o *Operation) complete(values url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values.Get(name)
		switch {
		case value == "":
			return invalid(o, "%s is needed", name)
		case len(value) > maxQueryValue:
			return invalid(o, "%s is longer than %d bytes", name, maxQueryValue)
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }):
			return invalid(o, "%s has characters that do not belong there", name)
		}
	}
	return nil
}

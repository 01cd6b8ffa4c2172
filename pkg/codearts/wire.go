package codearts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// ProjectID is the id of a CodeArts project (32 letters and digits): the project_id of Build calls and the devcloud_project_id
// of answers. It is not the IAM project id.
type ProjectID string

// IAMProjectID is the id of an IAM region project: the scope of a token. It is not the CodeArts project id.
type IAMProjectID string

// Text is a string that some answers send as a number or a boolean: it takes all three and is encoded as a string.
type Text string

// UnmarshalJSON takes a string, a number as it was written, or a boolean. null leaves the value as it is.
func (t *Text) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) == 0 || string(b) == "null":
		return nil
	case b[0] == '"':
		if inner := b[1 : len(b)-1]; !bytes.ContainsRune(inner, '\\') && utf8.Valid(inner) {
			*t = Text(inner)
			return nil
		}
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = Text(s)
		return nil
	case b[0] == '{' || b[0] == '[':
		return &json.UnmarshalTypeError{Value: "object or array", Type: reflect.TypeFor[Text]()}
	default:
		*t = Text(b)
		return nil
	}
}

// Int is a whole number that some answers send as a string of digits; it is encoded as a number.
type Int int64

// errNotWhole is the reason a value did not fit an Int.
var errNotWhole = errors.New("not a whole number")

// UnmarshalJSON takes a whole number, or a string that holds one. null and the empty string leave the value as it is.
func (n *Int) UnmarshalJSON(b []byte) error {
	b = bytes.Trim(b, `"`)
	if len(b) == 0 || string(b) == "null" {
		return nil
	}
	if v, err := strconv.ParseInt(string(b), 10, 64); err == nil {
		*n = Int(v)
		return nil
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return fmt.Errorf("%w: %s", errNotWhole, clip(string(b), 40))
	}
	*n = Int(f)
	return nil
}

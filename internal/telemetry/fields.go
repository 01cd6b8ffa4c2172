package telemetry

import (
	"bytes"
	"encoding/json"
)

// maxFields is how many fields of a line are looked at; Millrace's lines have at most half as many.
const maxFields = 32

// fields are those of one line of the log, without copies of what is in it.
type fields struct {
	n   int
	all [maxFields]struct{ name, value []byte } // value: of a text what is between the quotes, as it is written
}

// read takes a line apart in one pass. zerolog wrote it, so it is not checked; of anything else what is found may be wrong, and
// nothing worse happens.
func (f *fields) read(line []byte) {
	for f.n < maxFields {
		start := bytes.IndexByte(line, '"') // past the brace or the comma
		if start < 0 {
			return
		}
		line = line[start+1:]
		end := bytes.IndexByte(line, '"')
		if end < 0 || end+2 >= len(line) || line[end+1] != ':' {
			return
		}
		name, rest := line[:end], line[end+2:]
		value := rest[:valueEnd(rest)]
		f.all[f.n].name, f.all[f.n].value = name, plain(value)
		f.n++
		line = rest[len(value):]
	}
}

// get is the value of a field, nil if there is none: of several the last, as readers of JSON have it.
func (f *fields) get(name string) []byte {
	for i := f.n - 1; i >= 0; i-- {
		if string(f.all[i].name) == name {
			return f.all[i].value
		}
	}
	return nil
}

// valueEnd is where the value that text begins with ends.
func valueEnd(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += textEnd(text[i+1:]) + 1
			if depth == 0 {
				return min(i+1, len(text))
			}
		case '[', '{':
			depth++
		case ']', '}', ',':
			if depth == 0 {
				return i
			}
			if text[i] != ',' {
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	return len(text)
}

// textEnd is where the quote is that ends a text.
func textEnd(text []byte) int {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
	return len(text)
}

// plain takes quotes and escapes off a value. Zero bytes go: they end values in the names of series.
func plain(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return value
	}
	inside := value[1 : len(value)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		return nil
	}
	return bytes.ReplaceAll([]byte(text), []byte{0}, nil)
}

const messageKey = `"message":` // zerolog keeps the name in a variable, which nothing here changes

// message is the message of a line, nil if it has none: zerolog writes it last, and those that count have no quotes in them.
func message(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	if len(line) < 2 || line[len(line)-2] != '"' || line[len(line)-1] != '}' {
		return nil
	}
	line = line[:len(line)-2]
	start := bytes.LastIndexByte(line, '"')
	if start < 0 || !bytes.HasSuffix(line[:start], []byte(messageKey)) {
		return nil
	}
	return line[start+1:]
}

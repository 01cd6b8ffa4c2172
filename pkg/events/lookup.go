package events

import "strings"

// Lookup reads one scalar of a body by its path: names of objects joined by dots, such
// as "object_attributes.iid". Strings come unescaped, numbers and booleans as written.
// It reports false where there is no such field, where it is null, an object or an
// array, and where the body is not one JSON object. A name that itself holds a dot
// cannot be reached, nor can the elements of arrays.
func Lookup(body []byte, dotted string) (string, bool) {
	s, err := newScanner(body)
	if err != nil {
		return "", false
	}
	found, err := s.find(dotted, 1)
	if err != nil || s.end() != nil || !found.present() {
		return "", false
	}
	return string(found.bytes()), true
}

// find reads the object at the position whole and returns the scalar at path.
func (s *scanner) find(path string, depth int) (found text, err error) {
	if depth > maxDepth {
		return text{}, s.fail("it is nested too deep")
	}
	name, rest, deeper := strings.Cut(path, ".")
	key, ok, err := s.firstKey()
	for ok && err == nil {
		switch {
		case string(key.bytes()) != name:
			err = s.value(depth)
		case !deeper:
			found, err = s.scalar(depth)
		case s.peek() == '{':
			found, err = s.find(rest, depth+1)
		default:
			found, err = text{}, s.value(depth)
		}
		if err == nil {
			key, ok, err = s.nextKey()
		}
	}
	return found, err
}

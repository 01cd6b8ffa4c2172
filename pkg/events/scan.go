package events

import "strings"

// maxRepository bounds, in bytes, a path that becomes an attribute of an event. Forges
// allow 255 for each part at most; what is longer is no path.
const maxRepository = 512

const keyNoteSubject = "noteable_type" //nolint:misspell // the senders' spelling

// Scanned is what accepting an event needs to know of its body.
type Scanned struct {
	// Type is one of [Types] or "unknown.<kind>"; never empty.
	Type string
	// DeliveryID is the body's uuid, which CodeArts Repo and GitCode send. Empty if
	// there is none. It comes from outside: any text of any length.
	DeliveryID string
	// Repository is the repository's path with namespace, at most 512 bytes without
	// control characters. Empty if the body names none.
	Repository string
}

// found is what the scan keeps, as slices of the body.
type found struct {
	objectKind, eventName, eventType text
	uuid, ref, after, action         text
	project, repository              place
	attributes                       attributes
}

// place is a project{} or repository{} of the body.
type place struct{ pathWithNamespace, fullName text }

// attributes is the object_attributes{} of the body.
type attributes struct {
	action, state, noteableType text
}

// Scan checks that body is one JSON object, whole and with nothing after it, and reads
// in the same pass what accepting it needs. hint is the sender's kind header ("Push
// Hook", "push"), used only when the body names no kind.
//
// Only the syntax can be wrong: fields of the wrong type count as absent. The error is a
// [SyntaxError], whose text is safe to show to the sender. The body is not kept.
func Scan(body []byte, hint string) (Scanned, error) {
	s, err := newScanner(body)
	if err != nil {
		return Scanned{}, err
	}
	var f found
	if err := s.top(&f); err != nil {
		return Scanned{}, err
	}
	if err := s.end(); err != nil {
		return Scanned{}, err
	}
	return Scanned{
		Type:       f.classify(hint),
		DeliveryID: string(f.uuid.bytes()),
		Repository: f.path(),
	}, nil
}

// top reads the outermost object.
func (s *scanner) top(f *found) error {
	key, ok, err := s.firstKey()
	for ok && err == nil {
		switch string(key.bytes()) {
		case "object_kind":
			f.objectKind, err = s.string(1)
		case "event_name":
			f.eventName, err = s.string(1)
		case "event_type":
			f.eventType, err = s.string(1)
		case "uuid":
			f.uuid, err = s.scalar(1)
		case "ref":
			f.ref, err = s.string(1)
		case "after":
			f.after, err = s.string(1)
		case "action":
			f.action, err = s.string(1)
		case "project":
			f.project, err = s.place()
		case "repository":
			f.repository, err = s.place()
		case "object_attributes":
			f.attributes, err = s.attributes()
		default:
			err = s.value(1)
		}
		if err == nil {
			key, ok, err = s.nextKey()
		}
	}
	return err
}

// string reads the value at the position, absent if it is not a string.
func (s *scanner) string(depth int) (text, error) {
	if s.peek() != '"' {
		return text{}, s.value(depth)
	}
	return s.str()
}

func (s *scanner) place() (p place, err error) {
	if s.peek() != '{' {
		return p, s.value(1)
	}
	key, ok, err := s.firstKey()
	for ok && err == nil {
		switch string(key.bytes()) {
		case "path_with_namespace":
			p.pathWithNamespace, err = s.string(2)
		case "full_name":
			p.fullName, err = s.string(2)
		default:
			err = s.value(2)
		}
		if err == nil {
			key, ok, err = s.nextKey()
		}
	}
	return p, err
}

func (s *scanner) attributes() (a attributes, err error) {
	if s.peek() != '{' {
		return a, s.value(1)
	}
	key, ok, err := s.firstKey()
	for ok && err == nil {
		switch string(key.bytes()) {
		case "action":
			a.action, err = s.string(2)
		case "state":
			a.state, err = s.string(2)
		case keyNoteSubject:
			a.noteableType, err = s.string(2)
		default:
			err = s.value(2)
		}
		if err == nil {
			key, ok, err = s.nextKey()
		}
	}
	return a, err
}

// path is the first usable path of a repository: GitLab's field, then GitHub's.
func (f *found) path() string {
	for _, t := range [...]text{
		f.project.pathWithNamespace, f.repository.pathWithNamespace, f.repository.fullName,
	} {
		if path := string(t.bytes()); usablePath(path) {
			return path
		}
	}
	return ""
}

func usablePath(path string) bool {
	return 0 < len(path) && len(path) <= maxRepository &&
		strings.IndexFunc(path, func(r rune) bool { return r < 0x20 || 0x7f <= r && r < 0xa0 }) < 0
}

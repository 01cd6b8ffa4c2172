package rules

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a commit, by CodeArts Repo's create-commit API.
const (
	maxBranch  = 200  // characters
	maxMessage = 2000 // characters, trailer included
)

// Limits of a build, by CodeArts Build's table of quotas.
const maxParameterName = 128 // characters

// Limits of ours.
const (
	maxPath     = 1024 // bytes
	maxName     = 255  // bytes of one segment of a path
	maxAuthor   = 200  // characters
	maxLink     = 2000 // characters
	maxAlertKey = 500  // characters
	maxTitle    = 500  // characters

	maxParameters     = 100  // of a build
	maxParameterValue = 8192 // bytes
)

// checkPath refuses a path that could leave the repository or hide what it is.
func checkPath(p string) error {
	switch {
	case p == "":
		return errors.New("the path is empty")
	case len(p) > maxPath:
		return fmt.Errorf("the path has %d bytes, at most %d are allowed", len(p), maxPath)
	case strings.HasPrefix(p, "/"), len(p) > 1 && p[1] == ':':
		return fmt.Errorf("the path %s is absolute", quoted(p))
	case strings.Contains(p, `\`):
		return fmt.Errorf(`the path %s has a \ in it; separate with /`, quoted(p))
	}
	if err := checkPrintable("the path", p); err != nil {
		return err
	}
	for segment := range strings.SplitSeq(p, "/") {
		switch {
		case segment == "":
			return fmt.Errorf("the path %s has an empty segment", quoted(p))
		case segment == "." || segment == "..":
			return fmt.Errorf("the path %s has the segment %q", quoted(p), segment)
		case isDotGit(segment):
			return fmt.Errorf("the path %s leads into .git", quoted(p))
		case strings.Trim(segment, ". ") == "":
			return fmt.Errorf("the path %s has a segment of dots and spaces only", quoted(p))
		case len(segment) > maxName:
			return fmt.Errorf("the path %s has a segment of more than %d bytes", quoted(p), maxName)
		}
	}
	return nil
}

// isDotGit tells whether some file system takes the segment for .git, as git itself tests it: Windows drops dots and spaces at the
// end, and streams, and has short names; macOS leaves out what is invisible.
func isDotGit(segment string) bool {
	visible := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, segment)
	name, _, _ := strings.Cut(visible, ":")
	name = strings.ToLower(strings.TrimRight(name, ". "))
	return name == ".git" || name == "git~1"
}

// checkPrintable refuses control characters, marks that turn the direction of text, and bytes that are not UTF-8.
func checkPrintable(what, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not UTF-8", what)
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return fmt.Errorf("%s has the control character %U", what, r)
		}
	}
	return nil
}

func checkBranch(b string) error { return checkRef("branch", b) }
func checkTag(t string) error    { return checkRef("tag", t) }

// checkRef follows git's rules for the name of a branch or a tag.
func checkRef(what, b string) error {
	n := utf8.RuneCountInString(b)
	switch {
	case n == 0:
		return fmt.Errorf("the %s is empty", what)
	case n > maxBranch:
		return fmt.Errorf("the %s has %d characters, at most %d are allowed", what, n, maxBranch)
	case strings.ContainsAny(b, " ~^:?*[\\"), strings.Contains(b, ".."), strings.Contains(b, "@{"), strings.Contains(b, "//"),
		strings.HasPrefix(b, "/"), strings.HasPrefix(b, "-"), strings.HasSuffix(b, "/"), strings.HasSuffix(b, "."), strings.HasSuffix(b, ".lock"):
		return fmt.Errorf("%s cannot be the name of a %s", quoted(b), what)
	}
	return checkPrintable("the "+what, b)
}

func checkRepoID(id string) error {
	if id == "" || len(id) > 18 {
		return fmt.Errorf("the repository id %s is not a number", quoted(id))
	}
	for _, c := range id {
		if c < '0' || c > '9' {
			return fmt.Errorf("the repository id %s is not a number", quoted(id))
		}
	}
	return nil
}

// checkMessage leaves room for the trailer.
func checkMessage(m string) error {
	if strings.TrimSpace(m) == "" {
		return errors.New("the message is empty")
	}
	if !utf8.ValidString(m) || strings.ContainsRune(m, 0) {
		return errors.New("the message is not text")
	}
	if n := utf8.RuneCountInString(WithTrailer(m, strings.Repeat("a", 26))); n > maxMessage {
		return fmt.Errorf("the message has %d characters with its trailer, at most %d are allowed", n, maxMessage)
	}
	return nil
}

// checkAuthor is for the name or the address of a commit's author.
func checkAuthor(s string) error {
	if utf8.RuneCountInString(s) > maxAuthor {
		return fmt.Errorf("more than %d characters", maxAuthor)
	}
	if strings.ContainsAny(s, "<>") {
		return errors.New("< and > are not allowed")
	}
	return checkPrintable("it", s)
}

// checkLink takes addresses of web pages and nothing else.
func checkLink(s string) error {
	u, err := url.Parse(s)
	switch {
	case len(s) > maxLink:
		return fmt.Errorf("the link has %d characters, at most %d are allowed", len(s), maxLink)
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%s is not the address of a web page", quoted(s))
	case u.User != nil:
		return errors.New("the link holds a password")
	}
	return checkPrintable("the link", s)
}

func checkLinkOrNone(s string) error {
	if s == "" {
		return nil
	}
	return checkLink(s)
}

func quoted(s string) string { return fmt.Sprintf("%q", truncate(s, 80)) }

func checkContent(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("the content is not UTF-8; use encoding: base64")
	}
	return nil
}

func checkCommitID(s string) error {
	if len(s) > 64 {
		return errors.New("a commit id has at most 64 characters")
	}
	return checkPrintable("the commit id", s)
}

// checkJobID is for the id of a build task, the last segment of its page's address.
func checkJobID(id string) error {
	if len(id) != 32 || strings.ContainsFunc(id, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}) {
		return fmt.Errorf("%s is not the id of a build task: 32 letters and digits, the end of the address of its page", quoted(id))
	}
	return nil
}

// checkBuiltCommit wants the whole id: by it the run is found again when it is not known whether it was started.
func checkBuiltCommit(id string) error {
	if len(id) != 40 && len(id) != 64 || strings.Trim(strings.ToLower(id), "0123456789abcdef") != "" {
		return fmt.Errorf("%s is not the whole id of a commit", quoted(id))
	}
	if strings.Trim(id, "0") == "" {
		return errors.New("the commit is the zero id, which stands for a branch or a tag that was deleted")
	}
	return nil
}

// checkParameter is for the value of a parameter of a build.
func checkParameter(v string) error {
	switch {
	case len(v) > maxParameterValue:
		return fmt.Errorf("the value has %d bytes, at most %d are allowed", len(v), maxParameterValue)
	case !utf8.ValidString(v) || strings.ContainsRune(v, 0):
		return errors.New("the value is not text")
	}
	return nil
}

func checkTitle(s string) error {
	if n := utf8.RuneCountInString(s); n > maxTitle {
		return fmt.Errorf("the title has %d characters, at most %d are allowed", n, maxTitle)
	}
	return nil
}

// checkAlertKey is for what an alert is remembered by.
func checkAlertKey(s string) error {
	if s == "" || utf8.RuneCountInString(s) > maxAlertKey {
		return fmt.Errorf("wanted 1 to %d characters, got %d", maxAlertKey, utf8.RuneCountInString(s))
	}
	return checkPrintable("it", s)
}

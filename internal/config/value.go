package config

import (
	"net"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// set gives the setting behind dst the value written as text. folder is what a relative path is relative to.
func (l *loader) set(dst reflect.Value, s *setting, text, folder string) *fault {
	switch s.kind {
	case kindText:
		checked, f := checkText(s, text, folder)
		if f != nil {
			return f
		}
		dst.SetString(checked)
	case kindSecret:
		if _, f := checkText(s, text, folder); f != nil {
			return f
		}
		dst.Set(reflect.ValueOf(NewSecret(text)))
	case kindBool:
		if text != "true" && text != "false" {
			return faultf("", "expected %s, found %s", s.kind.want(), quote(text))
		}
		dst.SetBool(text == "true")
	default:
		n, ok := parseNumber(s.kind, text)
		if s.kind == kindReplicas && text == auto {
			dst.SetInt(0)
			return nil
		}
		if !ok {
			return faultf(numberHint(s.kind, text), "expected %s, found %s", s.kind.want(), quote(text))
		}
		if least, limited := parseNumber(s.kind, s.minimum); limited && n < least {
			return faultf("", "expected at least %s for %s, found %s", s.minimum, s.key, quote(text))
		}
		if most, limited := parseNumber(s.kind, s.maximum); limited && n > most {
			return faultf("", "expected at most %s for %s, found %s", s.maximum, s.key, quote(text))
		}
		dst.SetInt(n)
	}
	return nil
}

// parseNumber reads a count, a size or a duration.
func parseNumber(k kind, text string) (int64, bool) {
	switch k {
	case kindBytes:
		n, ok := parseBytes(text)
		return int64(n), ok
	case kindDuration:
		d, err := time.ParseDuration(text)
		return int64(d), err == nil
	default:
		n, err := strconv.Atoi(text)
		return int64(n), err == nil
	}
}

// numberHint is for the one slip everybody makes.
func numberHint(k kind, text string) string {
	if _, err := strconv.ParseFloat(text, 64); err == nil && k == kindDuration {
		return "did you mean " + strconv.Quote(text+"s") + "?"
	}
	return ""
}

// checkText tests one text by the setting's oneof and check tags and returns it as it is kept. What it says of an address never
// repeats it: an address may hold a password or be a secret.
func checkText(s *setting, text, folder string) (string, *fault) {
	if len(s.oneOf) > 0 {
		if slices.Contains(s.oneOf, text) {
			return text, nil
		}
		return "", faultf(didYouMean(text, s.oneOf), "expected %s for %s, found %s", oneOf(s.oneOf), s.key, quote(text))
	}
	switch s.check {
	case "path":
		if folder != "" && !filepath.IsAbs(text) {
			return filepath.Join(folder, text), nil
		}
	case "nats_url":
		addresses := strings.Split(text, ",")
		for i, address := range addresses {
			addresses[i] = strings.TrimSpace(address)
			if f := checkURL(addresses[i], "give them as nats.token or nats.credentials_file", "nats", "tls", "ws", "wss"); f != nil {
				return "", f
			}
		}
		return strings.Join(addresses, ","), nil
	case "api_url":
		return text, checkURL(text, "remove it", "http", "https")
	case "http_url":
		return text, checkURL(text, "remove it", "http", "https")
	case "listen":
		return text, checkListen(text)
	case "admin":
		if text == "off" {
			return text, nil
		}
		return text, checkListen(text)
	case "header":
		if !regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$").MatchString(text) {
			return "", faultf("", "expected the name of an HTTP header, found %s", quote(text))
		}
	case "field":
		if !regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`).MatchString(text) {
			return "", faultf(`write it like object_attributes.iid`, "expected a field of the body, found %s", quote(text))
		}
	case "region":
		if !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(text) {
			return "", faultf("", "expected a region like cn-north-4, found %s", quote(text))
		}
	case "commit_url":
		return text, checkCommitURL(text)
	case "event_types":
		if _, err := rules.TypesTaken(text); err != nil {
			return "", faultf(didYouMean(text, typeNames()), "%s", err)
		}
	case "id":
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(text) {
			return "", faultf("copy it from the address of a page of the project", "expected an id of letters and digits for %s, found %s", s.key, quote(text))
		}
	case "digits":
		if !regexp.MustCompile(`^[0-9]{1,20}$`).MatchString(text) {
			return "", faultf("write the number, not the path", "expected an id of digits for %s, found %s", s.key, quote(text))
		}
	}
	return text, nil
}

// typeNames are the types of events, and the globs of each group of them.
func typeNames() []string {
	all := events.Types()
	for _, t := range events.Types() {
		if group, _, ok := strings.Cut(t, "."); ok && !slices.Contains(all, group+".*") {
			all = append(all, group+".*")
		}
	}
	return all
}

// checkURL tests an address. remedy says where a user and a password go instead.
func checkURL(text, remedy string, schemes ...string) *fault {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme):
		return faultf("", "expected an address that starts with %s:// and has a host", strings.ReplaceAll(strings.ReplaceAll(oneOf(schemes), ",", "://,"), " or", ":// or"))
	case u.User != nil:
		return faultf(remedy, "an address must not hold a user or a password")
	case u.Fragment != "":
		return faultf("remove the part from # on", "an address must not hold a fragment")
	case !portFits(u.Port()):
		return faultf("", "expected a port from 1 to 65535 in the address")
	}
	return nil
}

// readable tells whether what is sent to an address, of another machine, can be read on the way.
func readable(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback()
}

func portFits(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || (err == nil && n > 0)
}

func checkListen(text string) *fault {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return faultf("write it like 127.0.0.1:8080 or :8080", "expected an address and a port, found %s", quote(text))
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return faultf("", "expected a port from 0 to 65535, found %s", quote(port))
	}
	return nil
}

func checkCommitURL(text string) *fault {
	for _, name := range regexp.MustCompile(`\{[^{}]*\}`).FindAllString(text, -1) {
		if name != "{id}" && name != "{web_url}" {
			return faultf(didYouMean(name, []string{"{id}", "{web_url}"}), "expected {web_url} and {id} in commit_url, found %s", quote(name))
		}
	}
	if !strings.Contains(text, "{id}") {
		return faultf("", "expected {id}, where the commit's id goes, in commit_url")
	}
	if !strings.HasPrefix(text, "{web_url}") && checkURL(strings.NewReplacer("{id}", "x", "{web_url}", "x").Replace(text), "", "http", "https") != nil {
		return faultf("", "expected commit_url to start with {web_url}, http:// or https://")
	}
	return nil
}

// quote shows what a person wrote, cut to a length that fits a line.
func quote(text string) string {
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:57], "") + "…"
	}
	return strconv.Quote(text)
}

func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

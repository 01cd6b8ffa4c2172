package egress

import (
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxAddress is the longest address that is looked at, in bytes; the longest any product gives out is a quarter of it.
const maxAddress = 2048

const ellipsis = "…"

// address is a well-formed address. It prints as masked.
type address struct {
	u    *url.URL
	host host
	port uint16 // 0: out of range
}

// Format prints the masked form for every verb.
func (a *address) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.masked()) }

// masked is the address as it may be shown: https://oapi.dingtalk.com/…
func (a *address) masked() string {
	if a == nil || a.host.text == "" || (a.u.Scheme != "https" && a.u.Scheme != "http") {
		return ellipsis
	}
	at := a.host.text
	if a.host.ip.Is6() {
		at = "[" + at + "]"
	}
	if a.u.Port() != "" && a.port != 0 {
		at += ":" + strconv.Itoa(int(a.port))
	}
	return a.u.Scheme + "://" + at + "/" + ellipsis
}

// Mask is an address as it may be shown: its scheme, host and port, or "…" when these cannot be told apart from the rest.
func Mask(text string) string {
	a, wrong := parseAddress(text)
	if wrong != nil {
		return ellipsis
	}
	a.host, _ = parseHost(a.u.Hostname())
	a.port = portOf(a.u)
	return a.masked()
}

// wrong is what is wrong with a part of an address. Neither text nor remedy repeats it.
type wrong struct{ text, remedy string }

// parseAddress takes an address apart, without a look at its host and port.
func parseAddress(text string) (*address, *wrong) {
	switch {
	case text == "":
		return nil, &wrong{"there is no address", "copy it from the robot's settings"}
	case len(text) > maxAddress:
		return nil, &wrong{"it is longer than " + strconv.Itoa(maxAddress) + " bytes", "copy the address alone"}
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return nil, &wrong{"there are spaces or characters that do not print in it", "copy it again, without line breaks"}
	case strings.Contains(text, `\`):
		return nil, &wrong{"there is a backslash in it, which programs read differently", "write / in its place"}
	case strings.Contains(text, "#"):
		return nil, &wrong{"it has a fragment, which is never sent", "remove the part from # on"}
	}
	u, err := url.Parse(text)
	switch {
	case err != nil: // the error repeats the address
		return nil, &wrong{"it cannot be read as an address", "an address is like https://host/path?query"}
	case u.Scheme == "" || u.Opaque != "" || !strings.Contains(text, "://"):
		return nil, &wrong{"it does not begin with https:// and a host", "an address is like https://host/path?query"}
	case u.User != nil:
		return nil, &wrong{"it holds a user or a password", "remove the part before @"}
	}
	return &address{u: u}, nil
}

func portOf(u *url.URL) uint16 {
	text := u.Port()
	if text == "" {
		return map[string]uint16{"https": 443, "http": 80}[u.Scheme]
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// host is the host of an address: a name, or a literal IP.
type host struct {
	text    string     // ASCII in lower case, without a dot at the end; a literal in its one canonical form
	ip      netip.Addr // valid for a literal
	foreign bool       // the name had letters beyond ASCII
	dotted  bool       // the name had a dot at the end
}

// parseHost reads a host. Whatever a resolver or another program could take for an IP address, and is none in the one usual form, is
// wrong: 127.1, 0x7f.0.0.1, 2130706433, and digits of other scripts.
func parseHost(text string) (host, *wrong) {
	if text == "" {
		return host{}, &wrong{"there is no host", "an address is like https://host/path?query"}
	}
	if ip, err := netip.ParseAddr(text); err == nil {
		return literal(ip)
	}
	if strings.ContainsAny(text, ":[]%") {
		return host{}, &wrong{"the host is neither a name nor an IP address", "copy it again"}
	}
	h := host{text: text}
	if h.foreign = strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }); h.foreign {
		ascii, err := lookupProfile().ToASCII(text)
		if err != nil {
			return host{}, &wrong{"the host has letters that a name must not have", "copy it again"}
		}
		h.text = ascii
	}
	h.text, h.dotted = strings.CutSuffix(strings.ToLower(h.text), ".")
	labels := strings.Split(h.text, ".")
	if len(h.text) > 253 {
		return host{}, &wrong{"the host is longer than a name can be", "copy it again"}
	}
	for _, label := range labels {
		if !isLabel(label) {
			return host{}, &wrong{"the host is no name: its parts are 1 to 63 letters, digits and hyphens", "copy it again"}
		}
	}
	if isNumber(labels[len(labels)-1]) {
		return host{}, &wrong{"the host looks like an IP address in a form that programs read differently", "write four decimal numbers without leading zeros, or better the name"}
	}
	return h, nil
}

func literal(ip netip.Addr) (host, *wrong) {
	switch {
	case ip.Zone() != "":
		return host{}, &wrong{"the host is an IP address with a zone, which means something on one machine only", "use the name"}
	case ip.Is4In6():
		return host{}, &wrong{"the host is an IPv4 address written as IPv6", "write four decimal numbers, or better the name"}
	}
	return host{text: ip.String(), ip: ip}, nil
}

// lookupProfile maps names as browsers do; what is left is judged by isLabel, which takes the underscores of test networks.
func lookupProfile() *idna.Profile {
	return idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false))
}

func isLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// isNumber reports whether the last label of a name makes it an IPv4 address for somebody, by the rule of the WHATWG's URL standard
// ("ends in a number"): decimal, octal or hexadecimal.
func isNumber(label string) bool {
	if strings.Trim(label, "0123456789") == "" {
		return true
	}
	digits, hex := strings.CutPrefix(label, "0x")
	return hex && strings.Trim(digits, "0123456789abcdef") == ""
}

// local reports whether a name is this machine by definition (RFC 6761), whatever a resolver says.
func (h host) local() bool { return h.text == "localhost" || strings.HasSuffix(h.text, ".localhost") }

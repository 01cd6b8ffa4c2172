package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// checkTimeout bounds a whole check.
const checkTimeout = 30 * time.Second

// WebhookVerifier asks CodeArts Build for its own verdict on an address. A nil error is its yes; an error never has the address in it.
type WebhookVerifier interface {
	CheckWebhookURL(ctx context.Context, jobID, noticeType, address string) error
}

// CodeArts asks for the last point of a report. Without job and notice type it is skipped.
type CodeArts struct {
	Verifier          WebhookVerifier // nil: there is no connection
	JobID, NoticeType string
}

// Check looks at an address, its name, its network and its certificate; it opens a connection for the handshake and sends nothing
// more over it. CodeArts, when asked, may send a message to the address. It takes at most 30 s.
func (p *Policy) Check(ctx context.Context, address string, build CodeArts) Report {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return p.check(ctx, address, build, true)
}

// CheckForm looks at an address without asking anybody: what needs the network is skipped.
func (p *Policy) CheckForm(address string) Report {
	return p.check(context.Background(), address, CodeArts{}, false)
}

func (p *Policy) check(ctx context.Context, text string, build CodeArts, online bool) Report {
	r := Report{Address: ellipsis, Product: Unknown, Verdict: OK}
	a, bad := parseAddress(text)
	if bad != nil {
		r.add(WellFormed, Fail, bad.text, bad.remedy)
		for _, code := range Codes()[1:] {
			r.add(code, Skipped, "there is no address to look at", "")
		}
		return r
	}
	r.add(WellFormed, OK, "it can be read", "")
	p.checkScheme(&r, a)
	checkHost(&r, a)
	p.checkPort(&r, a)
	r.Address = a.masked()
	ips := p.checkResolves(ctx, &r, a, online)
	permitted := p.checkPermitted(&r, a, ips)
	p.checkTLS(ctx, &r, a, permitted, online)
	checkProduct(&r, a)
	checkCodeArts(ctx, &r, text, build, online)
	return r
}

func (p *Policy) checkScheme(r *Report, a *address) {
	switch {
	case a.u.Scheme == "https":
		r.add(Scheme, OK, "https", "")
	case p.schemePermitted(a.u.Scheme):
		r.add(Scheme, Warn, "http: who listens in reads the messages, and the address", "use https://")
	case a.u.Scheme == "http":
		r.add(Scheme, Fail, "http is not permitted", "use https://, or for a test network set egress.allow_http")
	default:
		r.add(Scheme, Fail, "the scheme is not https", "use https://")
	}
}

func checkHost(r *Report, a *address) {
	var bad *wrong
	a.host, bad = parseHost(a.u.Hostname())
	switch {
	case bad != nil:
		r.add(Host, Fail, bad.text, bad.remedy)
	case a.host.ip.IsValid():
		r.add(Host, OK, "an IP address", "")
	case a.host.foreign:
		r.add(Host, Warn, "the name has letters beyond ASCII; it is "+a.host.text, "make sure that it is the name that is meant, letter by letter")
	case a.host.dotted:
		r.add(Host, Warn, "the name ends in a dot", "remove the dot")
	default:
		r.add(Host, OK, a.host.text, "")
	}
}

func (p *Policy) checkPort(r *Report, a *address) {
	a.port = portOf(a.u)
	number := strconv.Itoa(int(a.port))
	switch {
	case a.u.Port() == "" && !p.schemePermitted(a.u.Scheme):
		r.add(Port, Skipped, "it follows from the scheme", "")
	case a.port == 0:
		r.add(Port, Fail, "the port is not between 1 and 65535", "leave the port out for the usual one")
	case !p.portPermitted(a.port):
		r.add(Port, Fail, "port "+number+" is not permitted", "leave the port out for the usual one, or add it to egress.allow_ports")
	default:
		r.add(Port, OK, number, "")
	}
}

// checkResolves returns what the host leads to, nil when that is not known.
func (p *Policy) checkResolves(ctx context.Context, r *Report, a *address, online bool) []netip.Addr {
	switch {
	case a.host.text == "":
		r.add(Resolves, Skipped, "there is no host", "")
	case a.host.ip.IsValid():
		r.add(Resolves, Skipped, "there is no name to look up", "")
		return []netip.Addr{a.host.ip}
	case a.host.local() && (p.proxy != nil || !online):
		r.add(Resolves, Skipped, "it is this machine", "")
		return []netip.Addr{loopback}
	case p.proxy != nil:
		r.add(Resolves, Skipped, "the proxy looks names up", "")
	case !online:
		r.add(Resolves, Skipped, "not looked up", "")
	default:
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		ips, err := p.lookup(ctx, a.host)
		if err != nil {
			text, remedy := resolveFailure(err)
			r.add(Resolves, Fail, text, remedy)
			return nil
		}
		text := "to one address"
		if len(ips) > 1 {
			text = "to " + strconv.Itoa(len(ips)) + " addresses"
		}
		r.add(Resolves, OK, text, "")
		return ips
	}
	return nil
}

func resolveFailure(err error) (text, remedy string) {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound, errors.Is(err, errNoAddress):
		return "the name does not lead to any address", "check the spelling of the host"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &dns) && dns.IsTimeout:
		return "the name servers did not answer in time", "try again, or check this machine's name servers"
	default:
		return "the name cannot be looked up", "check this machine's name servers"
	}
}

// checkPermitted returns the addresses that may be dialled, nil when one of them must not.
func (p *Policy) checkPermitted(r *Report, a *address, ips []netip.Addr) []netip.Addr {
	if ips == nil {
		text := "it is not known which addresses the name leads to"
		if p.proxy != nil {
			text = "the proxy decides"
		}
		r.add(AddressesPermitted, Skipped, text, "")
		return nil
	}
	if err := p.judge(a.host, ips); err != nil {
		r.add(AddressesPermitted, Fail, err.Error(), "use a public address; for a robot of your own add its network to egress.allow_cidrs or its name to egress.allow_hosts (metadata and link-local addresses are never permitted)")
		return nil
	}
	text := "it may be dialled"
	if len(ips) > 1 {
		text = "each may be dialled"
	}
	r.add(AddressesPermitted, OK, text, "")
	return ips
}

func checkProduct(r *Report, a *address) {
	s := shapeOf(a.host)
	switch {
	case s == nil:
		r.add(ProductKnown, Warn, "no known chat product is at this host", "nothing, for a receiver of your own; otherwise copy the address from the robot's settings")
		r.add(ProductShape, Skipped, "the product is not known", "")
		return
	case s.has(a.u):
		r.add(ProductKnown, OK, string(s.product), "")
		r.add(ProductShape, OK, "as "+string(s.product)+" gives them out", "")
	default:
		r.add(ProductKnown, OK, string(s.product), "")
		r.add(ProductShape, Fail, "it is not the address of a robot", s.remedy)
	}
	r.Product = s.product
}

func checkCodeArts(ctx context.Context, r *Report, text string, build CodeArts, online bool) {
	switch {
	case build.JobID == "" && build.NoticeType == "", !online:
		r.add(CodeArtsVerdict, Skipped, "asked only with a job id and a notice type", "")
	case build.JobID == "" || build.NoticeType == "":
		r.add(CodeArtsVerdict, Fail, "a job id and a notice type are needed", "give both, or neither")
	case build.Verifier == nil:
		r.add(CodeArtsVerdict, Fail, "there is no connection to CodeArts to ask", "set codearts.default")
	case !r.fits():
		r.add(CodeArtsVerdict, Skipped, "not asked about an address that fails before", "")
	default:
		err := build.Verifier.CheckWebhookURL(ctx, build.JobID, build.NoticeType, text)
		if err != nil {
			r.add(CodeArtsVerdict, Fail, "CodeArts: "+sayable(err, text), "the address may still be good for Millrace; for a notice of CodeArts Build correct what it names")
			return
		}
		r.add(CodeArtsVerdict, OK, "CodeArts takes it; it may have sent a message there", "")
	}
}

// sayable is the text of an error in which the address must not be. A verifier keeps it out; this is in case it does not.
func sayable(err error, address string) string {
	text := err.Error()
	_, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://"), "/")
	for _, part := range strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune("/?&=", r) }) {
		if len(part) >= 8 && strings.Contains(text, part) {
			return "it does not take the address"
		}
	}
	return text
}

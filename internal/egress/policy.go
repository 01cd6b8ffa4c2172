package egress

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	"github.com/rs/zerolog"
)

// dialTimeout bounds one connection, the look-up of its name included.
const dialTimeout = 5 * time.Second

const keepAlive = 30 * time.Second

// Settings are what an operator opens, in the words of the configuration. The zero value is public addresses, https, port 443.
type Settings struct {
	// AllowCIDRs are networks that may be dialled although they are not public.
	AllowCIDRs []string
	// AllowHosts are names, or *.suffix, that may be at a private address (RFC 1918, 100.64.0.0/10, fc00::/7).
	AllowHosts []string
	// AllowPorts are ports, or ranges as in 9000-9010, besides 443, and 80 where http is allowed.
	AllowPorts []string
	// AllowHTTP permits http addresses.
	AllowHTTP bool
	// Proxy is the http or https address of a proxy for everything, "" for none.
	Proxy string
}

// Options are what a Policy works with.
type Options struct {
	// Resolver looks names up; nil is the system's.
	Resolver Resolver
	// RootCAs are who may vouch for a host; nil is the system's.
	RootCAs *x509.CertPool
	// Log gets what callers are not told: which address was refused, and why. The zero value discards.
	Log zerolog.Logger
	// Now is the clock certificates are judged by; nil is time.Now.
	Now func() time.Time
}

// Resolver is what a *net.Resolver does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Policy is which addresses may be dialled. It is safe for concurrent use and holds no goroutine.
type Policy struct {
	hosts    []string // lower case, ASCII
	ports    []portRange
	networks []netip.Prefix
	http     bool
	proxy    *url.URL
	guard    *ssrf.Guardian // for any host
	private  *ssrf.Guardian // for the allowed hosts

	resolver Resolver
	roots    *x509.CertPool
	log      zerolog.Logger
	now      func() time.Time
}

type portRange struct{ from, to uint16 }

// Fault is a setting that cannot be used.
type Fault struct {
	Setting string // allow_cidrs, allow_hosts, allow_ports or proxy
	Text    string
	Remedy  string
}

// Faults are all Settings that cannot be used, as an error.
type Faults []Fault

// Error is one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = fmt.Sprintf("egress.%s: %s; %s", f.Setting, f.Text, f.Remedy)
	}
	return strings.Join(lines, "\n")
}

// New makes a policy. Its error is a Faults, with all that is wrong.
func New(s Settings, o Options) (*Policy, error) {
	p := &Policy{http: s.AllowHTTP, resolver: o.Resolver, roots: o.RootCAs, log: o.Log, now: o.Now}
	if p.resolver == nil {
		p.resolver = &net.Resolver{}
	}
	if p.now == nil {
		p.now = time.Now
	}
	var faults Faults
	fault := func(setting, text, remedy string) { faults = append(faults, Fault{setting, text, remedy}) }
	for _, text := range s.AllowCIDRs {
		prefix, err := netip.ParsePrefix(text)
		if err != nil || prefix.Addr().Is4In6() {
			fault("allow_cidrs", fmt.Sprintf("%q is no network", text), "write it like 10.20.0.0/16 or fd12:3456::/32")
			continue
		}
		p.networks = append(p.networks, prefix.Masked())
	}
	for _, text := range s.AllowHosts {
		name, wild := strings.CutPrefix(text, "*.")
		h, bad := parseHost(name)
		if bad != nil || h.ip.IsValid() {
			fault("allow_hosts", fmt.Sprintf("%q is no name of a host", text), "write it like chat.corp.example or *.corp.example; an address goes to allow_cidrs")
			continue
		}
		if wild {
			h.text = "*." + h.text
		}
		p.hosts = append(p.hosts, h.text)
	}
	p.ports = []portRange{{443, 443}}
	if s.AllowHTTP {
		p.ports = append(p.ports, portRange{80, 80})
	}
	for _, text := range s.AllowPorts {
		r, ok := parsePorts(text)
		if !ok {
			fault("allow_ports", fmt.Sprintf("%q is no port", text), "write it like 8443 or 9000-9010")
			continue
		}
		p.ports = append(p.ports, r)
	}
	if s.Proxy != "" {
		p.proxy = parseProxy(s.Proxy, fault)
	}
	if faults != nil {
		return nil, faults
	}
	p.guard, p.private = guardian(p.networks), guardian(slices.Concat(p.networks, privateNetworks))
	return p, nil
}

func parsePorts(text string) (portRange, bool) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	from, err1 := strconv.ParseUint(low, 10, 16)
	to, err2 := strconv.ParseUint(high, 10, 16)
	return portRange{uint16(from), uint16(to)}, err1 == nil && err2 == nil && from > 0 && from <= to
}

// parseProxy reads the proxy's address, which is trusted but for the addresses nobody may dial.
func parseProxy(text string, fault func(setting, text, remedy string)) *url.URL {
	const remedy = "write it like http://proxy.corp.example:3128"
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil ||
		(u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		fault("proxy", "it is not just http:// or https://, a host and a port", remedy)
		return nil
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && closed(ip.Unmap()) {
		fault("proxy", "a metadata or link-local address can be no proxy", remedy)
		return nil
	}
	return u
}

// dialProxy connects to the proxy, wherever it is but for the closed networks.
func (p *Policy) dialProxy(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: keepAlive, Control: func(_, address string, _ syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(address); err != nil || closed(at.Addr()) {
			return p.refuse(p.proxy.Hostname(), "the proxy is at "+address)
		}
		return nil
	}}
	return dialer.DialContext(ctx, network, address)
}

// proxyAddress is the one address that is dialled when there is a proxy.
func (p *Policy) proxyAddress() string {
	port := p.proxy.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[p.proxy.Scheme]
	}
	return net.JoinHostPort(p.proxy.Hostname(), port)
}

func guardian(networks []netip.Prefix) *ssrf.Guardian {
	var v4, v6 []netip.Prefix
	for _, n := range networks {
		if n.Addr().Is4() {
			v4 = append(v4, n)
		} else {
			v6 = append(v6, n)
		}
	}
	// Ports are ours: the library knows no ranges.
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
}

// schemePermitted reports whether an address may begin with a scheme.
func (p *Policy) schemePermitted(scheme string) bool {
	return scheme == "https" || scheme == "http" && p.http
}

// portPermitted reports whether a port may be dialled.
func (p *Policy) portPermitted(port uint16) bool {
	return slices.ContainsFunc(p.ports, func(r portRange) bool { return r.from <= port && port <= r.to })
}

// guardOf is the guard of a host: the wider one for a name that the operator allows to be at a private address.
func (p *Policy) guardOf(h host) *ssrf.Guardian {
	allowed := !h.ip.IsValid() && slices.ContainsFunc(p.hosts, func(pattern string) bool {
		suffix, wild := strings.CutPrefix(pattern, "*")
		return h.text == pattern || wild && strings.HasSuffix(h.text, suffix)
	})
	if allowed {
		return p.private
	}
	return p.guard
}

// control judges the address of a socket just before it connects; it is a net.Dialer's Control for a host.
func (p *Policy) control(h host) func(network, address string, c syscall.RawConn) error {
	return func(network, address string, c syscall.RawConn) error {
		if err := p.guardOf(h).Safe(network, address, c); err != nil {
			return p.refuse(h.text, err.Error())
		}
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return p.refuse(h.text, "the socket's address cannot be read")
		}
		if !p.portPermitted(at.Port()) {
			return p.refuse(h.text, "port "+strconv.Itoa(int(at.Port())))
		}
		if why := p.unfit(at.Addr(), h); why != "" {
			return p.refuse(h.text, why)
		}
		return nil
	}
}

// refuse logs what the caller is not told.
func (p *Policy) refuse(host, why string) error {
	p.log.Warn().Str("host", host).Str("reason", why).Msg("address refused")
	return &Refusal{}
}

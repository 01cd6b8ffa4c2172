package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// errNoAddress is a name that exists and has no address.
var errNoAddress = errors.New("the name has no address")

// lookup returns what a name leads to. A resolver returns IPv4 in either form; what is dialled, and so judged, is IPv4.
func (p *Policy) lookup(ctx context.Context, h host) ([]netip.Addr, error) {
	ips, err := p.resolver.LookupNetIP(ctx, "ip", h.text)
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 {
		return nil, errNoAddress
	}
	own := make([]netip.Addr, len(ips))
	for i, ip := range ips {
		own[i] = ip.Unmap()
	}
	return own, nil
}

// judge returns a *Refusal when one of the addresses a host leads to must not be dialled.
func (p *Policy) judge(h host, ips []netip.Addr) error {
	for _, ip := range ips {
		if why := p.unfit(ip, h); why != "" {
			return p.refuse(h.text, why)
		}
	}
	return nil
}

// dial connects to a host at a port: it looks the name up once, judges every address, and dials these and no others.
func (p *Policy) dial(ctx context.Context, network, target string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	name, service, err := net.SplitHostPort(target)
	if err != nil {
		return nil, p.refuse(ellipsis, "the address to dial cannot be read")
	}
	if p.proxy != nil {
		if target != p.proxyAddress() {
			return nil, p.refuse(name, "it is not the proxy")
		}
		return p.dialProxy(ctx, network, target)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || !p.portPermitted(uint16(port)) {
		return nil, p.refuse(name, "port "+service)
	}
	h, bad := parseHost(name)
	if bad != nil {
		return nil, p.refuse(ellipsis, bad.text)
	}
	ips := []netip.Addr{h.ip}
	if !h.ip.IsValid() {
		if ips, err = p.lookup(ctx, h); err != nil {
			return nil, err
		}
	}
	if err := p.judge(h, ips); err != nil {
		return nil, err
	}
	return p.connect(ctx, h, ips, uint16(port))
}

// connect dials judged addresses one after the other, each with its share of the time.
func (p *Policy) connect(ctx context.Context, h host, ips []netip.Addr, port uint16) (net.Conn, error) {
	var first error
	for i, ip := range ips {
		dialer := net.Dialer{KeepAlive: keepAlive, Control: p.control(h)}
		if end, ok := ctx.Deadline(); ok {
			dialer.Timeout = time.Until(end) / time.Duration(len(ips)-i)
		}
		conn, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(ip, port).String())
		if err == nil {
			return conn, nil
		}
		var refusal *Refusal
		if errors.As(err, &refusal) {
			return nil, refusal // net wraps it into an error that has the IP
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// checkTLS shakes hands with the judged addresses and looks at the certificate.
func (p *Policy) checkTLS(ctx context.Context, r *Report, a *address, ips []netip.Addr, online bool) {
	switch {
	case a.u.Scheme != "https":
		r.add(TLSValid, Skipped, "only https has a certificate", "")
		return
	case !online:
		r.add(TLSValid, Skipped, "not connected", "")
		return
	case p.proxy != nil:
		r.add(TLSValid, Skipped, "the proxy connects", "")
		return
	case ips == nil || !r.fits():
		r.add(TLSValid, Skipped, "there is no address that may be dialled", "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	until, err := p.handshake(ctx, a, ips)
	if err != nil {
		text, remedy := tlsFailure(err)
		r.add(TLSValid, Fail, text, remedy)
		return
	}
	day := until.UTC().Format(time.DateOnly)
	if until.Sub(p.now()) < 14*24*time.Hour {
		r.add(TLSValid, Warn, "the certificate is good until "+day+" only", "have it renewed")
		return
	}
	r.add(TLSValid, OK, "the certificate is good until "+day, "")
}

// handshake returns until when all of a host's certificate chain is valid.
func (p *Policy) handshake(ctx context.Context, a *address, ips []netip.Addr) (time.Time, error) {
	conn, err := p.connect(ctx, a.host, ips, a.port)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = conn.Close() }() // nothing was sent that could be lost
	client := tls.Client(conn, &tls.Config{ServerName: a.host.text, RootCAs: p.roots, MinVersion: tls.VersionTLS12, Time: p.now})
	if err := client.HandshakeContext(ctx); err != nil {
		return time.Time{}, err
	}
	return validUntil(client.ConnectionState()), nil
}

// validUntil is the first end among the certificates of the chain that lasts longest.
func validUntil(state tls.ConnectionState) time.Time {
	var longest time.Time
	for _, chain := range state.VerifiedChains {
		end := chain[0].NotAfter
		for _, c := range chain[1:] {
			if c.NotAfter.Before(end) {
				end = c.NotAfter
			}
		}
		if end.After(longest) {
			longest = end
		}
	}
	return longest
}

func tlsFailure(err error) (text, remedy string) {
	var invalid x509.CertificateInvalidError
	var stranger x509.UnknownAuthorityError
	var other x509.HostnameError
	var record tls.RecordHeaderError
	var op *net.OpError
	var refusal *Refusal
	var timeout net.Error
	switch {
	case errors.As(err, &refusal):
		return refusal.Error(), "see egress in the configuration"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired, or is not valid yet", "have it renewed, and check this machine's clock"
	case errors.As(err, &other):
		return "the certificate is for another host", "check the spelling of the host"
	case errors.As(err, &stranger):
		return "nobody this machine trusts vouches for the certificate", "add your authority to this machine's certificates (SSL_CERT_FILE)"
	case errors.As(err, &invalid):
		return "the certificate is not valid for a server", "have it replaced"
	case errors.As(err, &record), errors.As(err, &op) && op.Op == "remote error": // an alert
		return "no TLS handshake: the port speaks something else, or only TLS older than 1.2", "check the port"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time", "check host and port, and the firewall between"
	default:
		return "no connection", "check host and port, and the firewall between"
	}
}

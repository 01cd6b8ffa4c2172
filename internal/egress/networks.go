package egress

import (
	"fmt"
	"net/netip"
	"slices"
)

// loopback stands for the names that are this machine by definition.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// privateNetworks are where an allowed host may be.
var privateNetworks = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),     // RFC 1918
	netip.MustParsePrefix("172.16.0.0/12"),  // RFC 1918
	netip.MustParsePrefix("192.168.0.0/16"), // RFC 1918
	netip.MustParsePrefix("100.64.0.0/10"),  // RFC 6598
	netip.MustParsePrefix("fc00::/7"),       // RFC 4193
}

// closedNetworks stay closed whatever the operator allows: there are the credentials of the machine we run on.
var closedNetworks = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),     // link-local (RFC 3927), with 169.254.169.254, the metadata of nearly every cloud
	netip.MustParsePrefix("fe80::/10"),          // link-local (RFC 4291), with fe80::a9fe:a9fe of OpenStack
	netip.MustParsePrefix("fd00:ec2::254/128"),  // metadata of AWS
	netip.MustParsePrefix("fd00:ec2::23/128"),   // credentials of EKS
	netip.MustParsePrefix("100.100.100.200/32"), // metadata of Alibaba Cloud
	netip.MustParsePrefix("168.63.129.16/32"),   // WireServer of Azure, in public space
	netip.MustParsePrefix("192.0.0.192/32"),     // metadata of Oracle Cloud
}

// An embedding is a network whose IPv6 addresses lead to an IPv4 address that is written in them.
type embedding struct {
	network netip.Prefix
	name    string
	at      int  // of the first of the four bytes
	flipped bool // the bits are inverted
}

var embeddings = []embedding{
	{netip.MustParsePrefix("64:ff9b::/96"), "NAT64", 12, false},   // RFC 6052
	{netip.MustParsePrefix("64:ff9b:1::/48"), "NAT64", 12, false}, // RFC 8215, taken as /96
	{netip.MustParsePrefix("2002::/16"), "6to4", 2, false},        // RFC 3056
	{netip.MustParsePrefix("2001::/32"), "Teredo", 12, true},      // RFC 4380
	{netip.MustParsePrefix("::/96"), "IPv4-compatible", 12, false},
}

func closed(ip netip.Addr) bool { return within(closedNetworks, ip) }

func within(networks []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// unfit says why a host must not be dialled at an IP, "" when it may be. It is for the log.
func (p *Policy) unfit(ip netip.Addr, h host) string {
	switch {
	case !ip.IsValid():
		return "no address"
	case ip.Zone() != "":
		return ip.String() + " has a zone"
	case ip.Is4In6():
		return ip.String() + " is IPv4-mapped"
	case closed(ip):
		return ip.String() + " is a metadata or link-local address, which is never permitted"
	}
	if v4, name, ok := embedded(ip); ok {
		// Only who has such a translator allows its network; then what counts is where it leads.
		if !within(p.networks, ip) {
			return fmt.Sprintf("%s is %s, which leads to %s", ip, name, v4)
		}
		if why := p.unfit(v4, h); why != "" {
			return fmt.Sprintf("%s is %s: %s", ip, name, why)
		}
		return ""
	}
	if err := p.guardOf(h).SafeAddr(ip); err != nil {
		return err.Error()
	}
	return ""
}

// embedded returns the IPv4 address an IPv6 address leads to.
func embedded(ip netip.Addr) (v4 netip.Addr, name string, ok bool) {
	if !ip.Is6() || ip == netip.IPv6Unspecified() || ip == netip.IPv6Loopback() {
		return netip.Addr{}, "", false
	}
	for _, e := range embeddings {
		if !e.network.Contains(ip) {
			continue
		}
		bytes := ip.As16()
		four := [4]byte(bytes[e.at : e.at+4])
		if e.flipped {
			for i := range four {
				four[i] = ^four[i]
			}
		}
		return netip.AddrFrom4(four), e.name, true
	}
	return netip.Addr{}, "", false
}

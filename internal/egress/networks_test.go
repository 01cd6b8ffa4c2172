package egress

import (
	"net/netip"
	"strings"
	"testing"
)

// TestNetworks: the addresses that must not be dialled, in every way to write them.
func TestNetworks(t *testing.T) {
	plain := newRig(t, Settings{}, Options{})
	all := newRig(t, Settings{AllowCIDRs: []string{"0.0.0.0/0", "::/0"}}, Options{})
	nat64 := newRig(t, Settings{AllowCIDRs: []string{"64:ff9b::/96"}}, Options{})
	for _, row := range []struct {
		ip                string
		plain, all, nat64 bool
	}{
		{"93.184.216.34", true, true, true},
		{"2606:4700::1111", true, true, true},
		{"127.0.0.1", false, true, false},
		{"127.255.255.254", false, true, false},
		{"0.0.0.0", false, true, false},
		{"10.0.0.1", false, true, false},
		{"172.31.255.255", false, true, false},
		{"192.168.1.1", false, true, false},
		{"100.64.0.1", false, true, false},
		{"100.125.1.250", false, true, false}, // CodeArts itself, from inside
		{"192.0.2.1", false, true, false},
		{"198.18.0.1", false, true, false},
		{"224.0.0.1", false, true, false},
		{"255.255.255.255", false, true, false},
		{"::", false, true, false},
		{"::1", false, true, false},
		{"fc00::1", false, true, false},
		{"fd12:3456::1", false, true, false},
		{"ff02::1", false, true, false},
		{"2001:db8::1", false, true, false},
		// Never, whatever is allowed.
		{"169.254.169.254", false, false, false},
		{"169.254.170.2", false, false, false},
		{"fe80::a9fe:a9fe", false, false, false},
		{"fe80::1%eth0", false, false, false},
		{"fd00:ec2::254", false, false, false},
		{"100.100.100.200", false, false, false},
		{"168.63.129.16", false, false, false},
		{"192.0.0.192", false, false, false},
		{"::ffff:127.0.0.1", false, false, false},
		{"::ffff:93.184.216.34", false, false, false},
		// IPv4 in IPv6 counts as what it leads to, for who has such a translator.
		{"64:ff9b::5db8:d822", false, true, true},
		{"64:ff9b::7f00:1", false, true, false},
		{"64:ff9b::a9fe:a9fe", false, false, false},
		{"64:ff9b::a83f:8110", false, false, false},
		{"64:ff9b:1::a9fe:a9fe", false, false, false},
		{"2002:5db8:d822::1", false, true, false},
		{"2002:a9fe:a9fe::1", false, false, false},
		{"2001:0:4136:e378:8000:63bf:a247:27dd", false, true, false},
		{"2001::5601:5601", false, false, false}, // Teredo of 169.254.169.254
		{"::a9fe:a9fe", false, false, false},
		{"::5db8:d822", false, true, false},
	} {
		ip := netip.MustParseAddr(row.ip)
		h := host{text: "robot.example"}
		for name, got := range map[string]struct {
			r    *rig
			want bool
		}{"plain": {plain, row.plain}, "all": {all, row.all}, "nat64": {nat64, row.nat64}} {
			if why := got.r.unfit(ip, h); (why == "") != got.want {
				t.Errorf("%s, %s: %q", row.ip, name, why)
			}
		}
	}
	if plain.unfit(netip.Addr{}, host{}) == "" {
		t.Error("no address is permitted")
	}
	if why := plain.unfit(netip.MustParseAddr("64:ff9b::a9fe:a9fe"), host{}); !strings.Contains(why, "NAT64") || !strings.Contains(why, "169.254.169.254") {
		t.Errorf("the log says %s", why)
	}
}

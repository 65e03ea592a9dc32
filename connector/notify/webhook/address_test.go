package webhook

import (
	"net"
	"net/netip"
	"net/url"
	"testing"
)

func TestAllowed(t *testing.T) {
	for _, c := range []struct {
		address                    string
		plain, private, inTheClear bool
	}{
		{"20.190.128.1", true, true, false},
		{"2603:1006::1", true, true, false},
		{"127.0.0.1", false, true, true},
		{"127.8.9.1", false, true, true},
		{"::1", false, true, true},
		{"::ffff:127.0.0.1", false, true, true},
		{"10.1.2.3", false, true, false},
		{"172.31.0.1", false, true, false},
		{"192.168.1.1", false, true, false},
		{"100.64.0.1", false, true, false},
		{"fd00::1", false, true, false},
		// Not with private either: the metadata of cloud machines, and what is no host.
		{"169.254.169.254", false, false, false},
		{"fe80::1", false, false, false},
		{"0.0.0.0", false, false, false},
		{"::", false, false, false},
		{"224.0.0.1", false, false, false},
		{"255.255.255.255", false, false, false},
		{"192.0.2.1", false, false, false},
		{"198.18.0.1", false, false, false},
		{"2001:db8::1", false, false, false},
		{"3fff::1", false, false, false},
		{"192.88.99.1", false, false, false},
		{"168.63.129.16", false, false, false},
		// With an address of IPv4 in them.
		{"::ffff:0:10.0.0.1", false, false, false},
		{"64:ff9b::a00:1", false, false, false},
		{"2002:a00:1::1", false, false, false},
		{"2001:0:a00:1::1", false, false, false},
		{"::10.0.0.1", false, false, false},
	} {
		a := netip.MustParseAddr(c.address).Unmap()
		for _, way := range []struct {
			name                      string
			inTheClear, private, want bool
		}{{"https", false, false, c.plain}, {"private", false, true, c.private}, {"http", true, false, c.inTheClear}} {
			if err := allowed(a, way.inTheClear, way.private); (err == nil) != way.want {
				t.Errorf("%s by %s: %v", c.address, way.name, err)
			}
		}
	}
}

// A zone behind an address of IPv6 makes it no other address.
func TestAddressWithZone(t *testing.T) {
	for _, address := range []string{"64:ff9b::a00:1", "2002:a00:1::1", "fd00::1", "fe80::1"} {
		if err := control(false, false)(t.Context(), "tcp6", net.JoinHostPort(address+"%eth0", "443"), nil); err == nil {
			t.Errorf("%s is connected to", address)
		}
		if u := (&url.URL{Scheme: "https", Host: "[" + address + "%eth0]"}); CheckURL(u, false) == nil {
			t.Errorf("%s may be configured", u)
		}
	}
}

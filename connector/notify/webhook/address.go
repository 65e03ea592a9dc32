package webhook

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
)

// forbiddenError says why no connection is made to an address.
type forbiddenError struct{ why string }

func (e *forbiddenError) Error() string { return e.why }

// control refuses connections to addresses that a receiver may not have. It is asked with the address
// that is connected to, after the name was resolved: what a name server says before that does not
// count, nor what it says the next time.
func control(inTheClear, private bool) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return &forbiddenError{"has no address of IP"}
		}
		// Without its zone: no network of special has an address with one in it.
		return allowed(at.Addr().Unmap().WithZone(""), inTheClear, private)
	}
}

// CheckURL refuses a URL with an address that no connection would be made to. A name is looked at when it
// was resolved, at each connection.
func CheckURL(u *url.URL, private bool) error {
	a, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return nil //nolint:nilerr // it is a name
	}
	return allowed(a.Unmap().WithZone(""), u.Scheme == "http", private) // without a zone, as control asks
}

// allowed refuses an address, or returns nil.
func allowed(a netip.Addr, inTheClear, private bool) error {
	local := a.IsLoopback()
	switch {
	case inTheClear && !local:
		return &forbiddenError{"is not this machine: write https"}
	case inTheClear, private && (local || isPrivate(a)):
		return nil
	case local, isPrivate(a):
		return &forbiddenError{"has an address of a private network: write private: true for it, if it is meant"}
	case !a.IsGlobalUnicast(), a.IsLinkLocalUnicast(), slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) }):
		return &forbiddenError{"has an address that is no receiver's"}
	}
	return nil
}

// shared is between a provider and its customers (RFC 6598): as private as the others.
var shared = netip.MustParsePrefix("100.64.0.0/10")

func isPrivate(a netip.Addr) bool { return a.IsPrivate() || shared.Contains(a) }

// special are networks that are not on the internet, and those whose addresses have one of IPv4 in
// them, which may be anyone's (https://www.iana.org/assignments/iana-ipv4-special-registry, and -ipv6-);
// 168.63.129.16 is what Azure gives machines their settings at
// (https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("::ffff:0:0:0/96"),
	netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("5f00::/16"),
}

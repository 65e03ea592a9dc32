package config

import (
	"fmt"
	"regexp"
	"strings"

	"pullprint/connector/access"
	"pullprint/trigger/graph"
)

// appRole is what the value of an app role can be: no space, quotation mark or backslash, and no dot
// at the beginning (https://learn.microsoft.com/graph/api/resources/approle, property value).
var appRole = regexp.MustCompile(`^[!#-\-/-\[\]-~][!#-\[\]-~]{0,119}$`)

// signIn checks how people sign in.
func (k *checker) signIn() {
	k.refuse(k.c.Release.Remote && !k.doc.Has("sign_in"), "release.remote", "configure sign_in, or write false",
		"release.remote without sign_in: nobody could prove who they are")
	if !k.doc.Has("sign_in") {
		return
	}
	s := k.c.SignIn
	if k.need("sign_in.public_url", s.PublicURL, "write the address at which browsers reach admin.listen, as "+
		"https://print.example.com") {
		k.signInURL(s.PublicURL)
	}
	if k.c.Admin.Listen == "" && !k.reported["admin.listen"] {
		k.add("sign_in", "set admin.listen, where the pages are", "sign_in without admin.listen: nobody could reach the pages")
	}
	if k.c.Auth.ManagedIdentity {
		k.add("auth.managed_identity", "set auth.client_id to an app registration, and certificate_file, client_secret_file or "+
			"federated_token_file in place of managed_identity",
			"auth.managed_identity can't sign people in: they sign in to an app registration")
	}
	if k.doc.Has("sign_in.session") && (s.Session < access.MinSession || s.Session > access.MaxSession) {
		k.add("sign_in.session", "write 15m to 7d", "sign_in.session is out of range")
	}
	s.Roles.Each(func(role access.Role, members []string) {
		for i, m := range members {
			_, braced := graph.CanonicalGUID(strings.Trim(m, "{}"))
			at := fmt.Sprintf("sign_in.roles.%s[%d]", role, i)
			k.refuse(!appRole.MatchString(m) || braced && strings.ContainsAny(m, "{}"), at,
				"write the value of an app role, as pullprint.admin, not its display name; or a group's object id, without braces",
				"%s is neither the value of an app role, which has no spaces, nor an object id", at)
		}
	})
}

// signInURL checks the address of the pages. Their cookies are those of a whole site.
func (k *checker) signInURL(value string) {
	const at = "sign_in.public_url"
	u, ok := parseURL(value, "https", "http")
	switch {
	case !ok:
		k.add(at, "for example https://print.example.com", "%s is not an https URL", at)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		k.add(at, "use https; Entra leads people back to nothing else", "%s is http, not https", at)
	case moreThanPath(u, value) || strings.Trim(u.Path, "/") != "":
		k.add(at, "write scheme and host alone, without path, user, query or fragment", "%s has more than a host", at)
	}
}

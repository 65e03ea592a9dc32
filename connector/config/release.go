package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/printer"
	"pullprint/policy/badge"
	"pullprint/policy/strictyaml"
	"pullprint/trigger/graph"
)

// deviceID is what a device may be called: it stands in URLs and subjects and is
// a metric label.
var deviceID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

const howToken = "make one with: openssl rand -base64 32 > FILE"

// token is a bearer token that was read, by where it is configured.
type token struct{ path, value string }

// release checks what taps and the API need.
func (k *checker) release() {
	var tokens []token
	tokens = k.admin(tokens)
	tokens = k.devices(tokens)
	for i, t := range tokens {
		if j := slices.IndexFunc(tokens[:i], func(o token) bool { return o.value == t.value }); j >= 0 {
			k.add(t.path, "give each its own; "+howToken, "%s holds the same token as %s", t.path, tokens[j].path)
		}
	}
	k.badges()
	for i, q := range k.c.Queues {
		at := fmt.Sprintf("queues[%d].expiry_warning", i)
		switch {
		case q.ExpiryWarning != 0 && q.Mode == printer.ModeDirect:
			k.add(at, "leave it out: only pull queues hold jobs for their owners", "%s in a direct queue", at)
		case q.ExpiryWarning < 0 || (q.ExpiryWarning >= q.HoldFor && q.ExpiryWarning > 0) ||
			(q.ExpiryWarning > 0 && q.ExpiryWarning < time.Minute):
			k.add(at, "write 1m at least and less than hold_for", "%s is out of range", at)
		}
	}
}

func (k *checker) devices(tokens []token) []token {
	ids := map[string]string{}
	for i, d := range k.c.Devices {
		at := fmt.Sprintf("devices[%d]", i)
		k.device(at, d)
		k.unique(at+".id", d.ID, ids, anotherName, "two devices with one id")
		if d.TokenFile != "" {
			tokens = k.token(at+".token_file", d.TokenFile, tokens)
		}
	}
	return tokens
}

func (k *checker) device(at string, d printer.Device) {
	k.refuse(k.need(at+".id", d.ID, "write a short name of the device, as hq-2-west") && !deviceID.MatchString(d.ID),
		at+".id", "lower-case letters, digits and dashes; at most 63", "%s.id has characters that an id can't have", at)
	if k.need(at+".printer_id", d.PrinterID, "write the id of the printer, from the Universal Print portal") {
		switch i := slices.IndexFunc(k.c.Queues, func(q printer.Queue) bool {
			return strings.EqualFold(q.PrinterID, d.PrinterID)
		}); {
		case !graph.ValidID(d.PrinterID):
			k.add(at+".printer_id", "it looks like 9a3b3956-5a0e-4c5b-9d1a-61a1c2d3e4f5", "%s.printer_id is not an id", at)
		case i >= 0:
			k.add(at+".printer_id", fmt.Sprintf("name the printer that makes paper; the queue is in line %d",
				k.doc.At(fmt.Sprintf("queues[%d]", i))), "%s.printer_id is a queue: a released job would come back", at)
		default:
			k.printerID(at+".printer_id", d.PrinterID)
		}
	}
	if d.UnknownState != "" {
		k.oneOf(at+".unknown_state", d.UnknownState, printer.UnknownRelease, printer.UnknownKeep)
	}
	k.phone(at+".phone", d.Phone)
	k.factors(at+".factors", d)
	k.refuse(len(d.Queues) == 0, at+".queues", "list the pull queues whose jobs it may release",
		"%s.queues is missing or empty", at)
	var names []string
	for _, q := range k.c.Queues {
		names = append(names, q.Name)
	}
	for j, name := range d.Queues {
		path := fmt.Sprintf("%s.queues[%d]", at, j)
		i := slices.Index(names, name)
		switch {
		case slices.Index(d.Queues, name) != j:
			k.add(path, "take it out", "%s names a queue a second time", path)
		case i < 0:
			k.add(path, strictyaml.NearestOr(name, names, "write the name of a queue"), "%s is not a configured queue", path)
		case k.c.Queues[i].Mode == printer.ModeDirect:
			k.add(path, "name a pull queue; a direct one prints where it was sent", "%s is a direct queue", path)
		}
	}
}

// phone checks whether jobs are released at a device by phone.
func (k *checker) phone(at string, p printer.Phone) {
	if p != printer.PhoneOff {
		k.oneOf(at, string(p), string(printer.PhoneLink), "false", string(printer.PhoneCode))
		k.refuse(!k.doc.Has("sign_in"), at, "set sign_in, or leave phone out", "%s without sign_in: nobody could sign in by phone", at)
	}
}

// factors checks the ways in which people prove at a device who they are.
func (k *checker) factors(at string, d printer.Device) {
	k.refuse(k.doc.Has(at) && len(d.Factors) == 0, at, "write [badge], or leave factors out", "%s is empty", at)
	for i, f := range d.Factors {
		path := fmt.Sprintf("%s[%d]", at, i)
		k.oneOf(path, string(f), string(printer.ByBadge), string(printer.ByPIN), string(printer.ByBadgeAndPIN))
		k.refuse(slices.Index(d.Factors, f) != i, path, "take it out", "%s names a factor a second time", path)
	}
	k.refuse(d.Takes(printer.ByBadge) && d.Takes(printer.ByBadgeAndPIN), at, "take badge out, or badge+pin",
		"%s has badge beside badge+pin: a badge alone would be enough", at)
	if d.AsksPIN() && !k.c.SignIn.Configured() {
		k.warn(at, "without sign_in people have no page of their own to set their PINs", "set sign_in")
	}
}

// token checks a file with a bearer token and adds it to those that were read.
func (k *checker) token(path, file string, tokens []token) []token {
	text, ok := k.secretText(path, file, howToken)
	if !ok {
		return tokens
	}
	found := access.TokensIn(text)
	if len(found) == 0 || slices.ContainsFunc(found, func(t string) bool {
		return len(t) < access.MinToken || strings.ContainsAny(t, " \t")
	}) {
		k.add(path, howToken, "%s names a file that holds no token of %d characters or more: %s", path, access.MinToken, file)
		return tokens
	}
	for _, t := range found {
		tokens = append(tokens, token{path, t})
	}
	return tokens
}

func (k *checker) admin(tokens []token) []token {
	a := k.c.Admin
	if a.Listen == "" {
		if k.doc.Has("admin") && !k.reported["admin.listen"] {
			k.add("admin", "write admin.listen: 127.0.0.1:8080", "admin has no listen address")
		}
		if len(k.c.Devices) > 0 && k.c.NATS.URL == "" {
			k.warn("devices", "without admin.listen and with the embedded NATS nobody can show a badge", "set admin.listen")
		}
		return tokens
	}
	k.listen("admin.listen", a.Listen)
	for _, other := range []struct{ path, address string }{
		{"webhook.listen", k.c.Webhook.Listen}, {"metrics.listen", k.c.Metrics.Listen},
	} {
		k.refuse(clash(a.Listen, other.address), "admin.listen", "give it a port of its own",
			"admin.listen and %s are the same address", other.path)
	}
	k.refuse(a.TokenFile == "" && len(a.Tokens) == 0, "admin", howToken+", and name it in admin.token_file",
		"admin has no token")
	if a.TokenFile != "" {
		tokens = k.token("admin.token_file", a.TokenFile, tokens)
	}
	tokens = k.namedTokens(a.Tokens, tokens)
	k.pair("admin.tls", a.TLS)
	k.docsURL(a.DocsURL)
	if host, _, err := net.SplitHostPort(a.Listen); err == nil && a.TLS.CertFile == "" && !loopback(host) {
		k.warn("admin.listen", "badge numbers and tokens would cross the network in the open",
			"set admin.tls, or listen on 127.0.0.1 behind a proxy that ends TLS")
	}
	return tokens
}

func (k *checker) namedTokens(named []admin.Token, tokens []token) []token {
	names := map[string]bool{access.AdminName: true}
	for i, t := range named {
		at := fmt.Sprintf("admin.tokens[%d]", i)
		if k.need(at+".name", t.Name, "write who uses the token, as helpdesk") {
			well := deviceID.MatchString(t.Name)
			k.refuse(!well, at+".name", "lower-case letters, digits and dashes; at most 63",
				"%s.name has characters that a name can't have", at)
			k.refuse(well && names[t.Name], at+".name", "give it another; admin is the token of admin.token_file",
				"two tokens with one name")
			names[t.Name] = true
		}
		if k.need(at+".role", string(t.Role), "write read, operate or admin") {
			k.oneOf(at+".role", string(t.Role), string(access.RoleRead), string(access.RoleOperate), string(access.RoleAdmin))
		}
		if k.need(at+".file", t.File, howToken) {
			tokens = k.token(at+".file", t.File, tokens)
		}
	}
	return tokens
}

func (k *checker) warn(path, message, hint string) {
	k.c.Warnings = append(k.c.Warnings,
		strictyaml.Problem{File: k.name, Line: k.doc.At(path), Key: path, Message: message, Hint: hint})
}

func (k *checker) badges() {
	b := k.c.Badges
	if b.KeyFile != "" {
		k.badgeKey("badges.key_file", b.KeyFile)
	} else if len(k.c.Devices) > 0 || k.doc.Has("badges") {
		k.add("badges.key_file", howToken, "badges.key_file is missing")
	}
	for i, step := range b.Normalise {
		k.step(fmt.Sprintf("badges.normalise[%d]", i), step)
	}
	k.refuse(b.SelfEnrol && !k.c.SignIn.Configured(), "badges.self_enrol",
		"write sign_in.public_url and what goes with it, or leave self_enrol out",
		"badges.self_enrol without sign_in: people enrol their badges on their own page")
	if b.EntraAttribute != "" {
		k.oneOf("badges.entra_attribute", b.EntraAttribute, "employeeId")
	}
}

// badgeKey checks the file with the keys of the hash.
func (k *checker) badgeKey(at, file string) {
	if _, ok := k.secretText(at, file, howToken); !ok {
		return
	}
	src, err := os.ReadFile(file) // as it stands: mistakes are named by their line
	if err != nil {
		return
	}
	_, err = badge.ParseKeys(src)
	var wrong *badge.KeyFileError
	if errors.As(err, &wrong) {
		k.add(at, wrong.Hint, "%s: %s", filepath.Base(file), wrong.Message)
	}
}

// step checks one step of the chain.
func (k *checker) step(at, text string) {
	_, err := badge.ParseChain([]string{text})
	var se *badge.StepError
	if !errors.As(err, &se) {
		return
	}
	name, arg, has := strings.Cut(text, ":")
	message, hint := cmp.Or(se.Message, "this step can't do that"), "the steps are "+strings.Join(badge.Steps(), ", ")
	switch near := strictyaml.Nearest(name, names(badge.Steps())); {
	case se.Hint != "": // the step is known, and says so
		hint = se.Hint
	case near != "" && has:
		hint = fmt.Sprintf("did you mean %q?", near+":"+arg)
	case near != "":
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	k.add(at, hint, "%q: %s", text, message)
}

// names are steps without the mark of an argument.
func names(steps []string) []string {
	out := make([]string, len(steps))
	for i, s := range steps {
		out[i] = strings.TrimSuffix(s, ":")
	}
	return slices.Compact(out)
}

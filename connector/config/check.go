package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"pullprint/connector/printer"
	"pullprint/policy/strictyaml"
	"pullprint/trigger/graph"
	"pullprint/trigger/register"
	"pullprint/trigger/secretfile"
	"pullprint/trigger/webhook"
)

// checker looks at what types can't say.
type checker struct {
	c    *Config
	doc  *strictyaml.Document
	name string
	dir  string // where relative paths start
	// reported are the paths of values that could not be read, or under a
	// misspelt key.
	reported map[string]bool
}

// begin takes note of what could not be read, so that it isn't reported a
// second time as missing. It reports false when nothing was read at all.
func (k *checker) begin() bool {
	var ps strictyaml.Problems
	if errors.As(k.doc.Err(), &ps) {
		for _, p := range ps {
			if p.Key == "" {
				return false
			}
			k.reported[p.Key] = true
			var unknown *strictyaml.UnknownKeyError
			if errors.As(p.Cause, &unknown) && unknown.Nearest != "" { // then that one isn't missing
				k.reported[unknown.Nearest] = true
			}
		}
	}
	return true
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// queueName is what a queue may be called: it is a metric label and stands in
// policies and URLs.
var queueName = regexp.MustCompile(`^[\pL\pN][\pL\pN ._-]{0,63}$`)

func (k *checker) all() {
	k.tenant()
	k.auth()
	k.administrator()
	k.selfTest()
	k.definition()
	k.webhook()
	k.queues()
	k.release()
	k.nats()
	k.retention()
	k.ledgerExport()
	k.file("policy.file", k.c.Policy.File, "write the policy there, or leave policy.file out for the built-in one")
	k.file("policy.shadow_file", k.c.Policy.ShadowFile, "write the policy to try there, or leave policy.shadow_file out")
	if p := k.c.Policy; p.ShadowFile != "" && p.ShadowFile == p.File {
		k.add("policy.shadow_file", "name another file, or leave it out", "policy.shadow_file is the file in force")
	}
	if ttl := k.c.Policy.GroupTTL; ttl < time.Second || ttl > 24*time.Hour {
		k.add("policy.group_ttl", "write 1s to 24h", "policy.group_ttl is out of range")
	}
	k.documents()
	k.metrics()
	k.oneOf("log.level", k.c.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", k.c.Log.Format, "json", "console")
}

// add notes a problem, unless the value or what is around it couldn't be read.
func (k *checker) add(path, hint, format string, args ...any) {
	for at := path; at != ""; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
		if k.reported[at] {
			return
		}
	}
	k.doc.Add(path, hint, format, args...)
}

// need reports whether a value is there, and adds a problem when it is not.
func (k *checker) need(path, value, hint string) bool {
	if value == "" {
		k.add(path, hint, "%s is missing", path)
	}
	return value != ""
}

func (k *checker) oneOf(path, value string, words ...string) {
	for _, w := range words {
		if value == w {
			return
		}
	}
	hint := "write one of them"
	if near := strictyaml.Nearest(value, words); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	k.add(path, hint, "%s is not one of %s", path, strings.Join(words, ", "))
}

// definition keeps out names that could come back from Graph otherwise than they
// were written: the definition is found again by its name.
func (k *checker) definition() {
	name := k.c.Trigger.Definition
	if strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl) {
		k.add("trigger.definition", "write a name in one line, without spaces around it",
			"trigger.definition has spaces around it or control characters")
	}
}

func (k *checker) webhook() {
	w := k.c.Webhook
	k.listen("webhook.listen", w.Listen)
	if k.need("webhook.public_url", w.PublicURL, "write the https address at which Microsoft Graph reaches this machine") {
		k.publicURL(w.PublicURL)
	}
	k.pair("webhook.tls", w.TLS)
}

// pair checks a certificate and its key.
func (k *checker) pair(at string, pair webhook.TLS) {
	cert, key := pair.CertFile, pair.KeyFile
	atCert, atKey := at+".cert_file", at+".key_file"
	switch {
	case cert == "" && key == "", k.reported[atCert], k.reported[atKey]:
	case cert == "":
		k.add(atKey, "name the certificate in "+atCert, "%s has a key without its certificate", at)
	case key == "":
		k.add(atCert, "name the key in "+atKey, "%s has a certificate without its key", at)
	default:
		_, okCert := k.stat(atCert, cert, "write the certificate chain there, in PEM")
		st, okKey := k.stat(atKey, key, "write the key there, in PEM")
		if okKey {
			k.guarded(atKey, key, st)
		}
		if okCert {
			_, okCert = k.text(atCert, cert)
		}
		if okKey {
			_, okKey = k.text(atKey, key)
		}
		if okCert && okKey {
			if _, err := secretfile.KeyPair(cert, key); err != nil {
				k.add(atCert, "both must be PEM, and the key that of the first certificate",
					"%s has a certificate and a key that can't be used together", at)
			}
		}
	}
}

const (
	minHold = time.Minute
	maxHold = 30 * 24 * time.Hour
)

func (k *checker) queues() {
	if len(k.c.Queues) == 0 {
		k.add("queues", "list at least one printer that carries the trigger", "queues is missing or empty")
	}
	printers, names := map[string]int{}, map[string]int{}
	for i, q := range k.c.Queues {
		at := fmt.Sprintf("queues[%d]", i)
		k.queue(at, q)
		if j, twice := printers[strings.ToLower(q.PrinterID)]; twice && q.PrinterID != "" {
			k.add(at+".printer_id", fmt.Sprintf("take one of them out; the other is in line %d, and Graph allows one trigger "+
				"per printer", k.doc.At(fmt.Sprintf("queues[%d]", j))), "two queues with one printer")
		} else {
			printers[strings.ToLower(q.PrinterID)] = i
		}
		if j, twice := names[strings.ToLower(q.Name)]; twice && q.Name != "" {
			k.add(at+".name", fmt.Sprintf("give it another; the first is in line %d", k.doc.At(fmt.Sprintf("queues[%d]", j))),
				"two queues with one name")
		} else {
			names[strings.ToLower(q.Name)] = i
		}
	}
}

func (k *checker) queue(at string, q printer.Queue) {
	switch {
	case q.PrinterID == "" && q.Create:
		k.warn(at, q.Name+" has no printer yet",
			"run `pullprint register apply`, and write the printer_id that it prints here")
	case !k.need(at+".printer_id", q.PrinterID,
		"write the printer's id, from the Universal Print portal; or create: true to have a virtual printer made"):
	case !graph.ValidID(q.PrinterID):
		k.add(at+".printer_id", "it looks like c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1", "%s.printer_id is not an id", at)
	}
	k.shareWith(at+".share_with", q)
	if k.need(at+".name", q.Name, "write what people and policies call the queue") && !queueName.MatchString(q.Name) {
		k.add(at+".name", "begin with a letter or digit, go on with those, spaces, dots, dashes and underscores; at most 64",
			"%s.name has characters that a name can't have", at)
	}
	if k.need(at+".mode", q.Mode, "write pull (hold until a tap) or direct (decide at once)") {
		k.oneOf(at+".mode", q.Mode, printer.ModePull, printer.ModeDirect)
	}
	if q.HoldFor < minHold || q.HoldFor > maxHold {
		k.add(at+".hold_for", "write 1m at least and 30d at most; 24h when left out", "%s.hold_for is out of range", at)
	}
}

// shareWith checks who may print to a printer that is to be made.
func (k *checker) shareWith(at string, q printer.Queue) {
	if len(q.ShareWith) > 0 && !q.Create {
		k.add(at, "leave it out, and share the printer in the Universal Print portal; or set create: true",
			"%s of a queue that is not made by pullprint", at)
		return
	}
	for i, who := range q.ShareWith {
		switch here := fmt.Sprintf("%s[%d]", at, i); {
		case who == register.Everyone && len(q.ShareWith) > 1:
			k.add(here, "leave the others out, or it", "everyone, and others besides")
		case who != register.Everyone && !guid.MatchString(who):
			k.add(here, "write the object id of a group, from the Entra admin center, or everyone",
				"%s is not a valid group id", here)
		}
	}
}

// documentHost is a host, or a suffix of hosts that begins with a dot.
var documentHost = regexp.MustCompile(
	`^\.?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?$|^localhost$`)

// documents checks how documents are looked into.
func (k *checker) documents() {
	d := &k.c.Documents
	for i, h := range d.Hosts {
		if !documentHost.MatchString(h) || strings.Count(strings.Trim(h, "."), ".") == 0 && h != "localhost" {
			k.add(fmt.Sprintf("documents.hosts[%d]", i),
				"write a host, or a suffix of at least two parts as .blob.core.windows.net", "%q is not a valid host name", h)
		}
	}
	if d.MaxBytes < 64<<10 {
		k.add("documents.max_bytes", "write 64KiB or more", "documents.max_bytes is too little to find a number of pages")
	}
	if d.Within < time.Second || d.Within > time.Minute {
		k.add("documents.within", "write 1s to 1m", "documents.within is out of range")
	}
}

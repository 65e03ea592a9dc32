package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
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
	// written are relative paths as they stand in the file, by what became of them.
	written map[string]string
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
	k.station()
	k.signIn()
	k.nats()
	k.retention()
	k.ledgerExport()
	k.notices()
	k.file("policy.file", k.c.Policy.File, "write the policy there, or leave policy.file out for the built-in one")
	k.file("policy.shadow_file", k.c.Policy.ShadowFile, "write the policy to try there, or leave policy.shadow_file out")
	p := k.c.Policy
	k.refuse(p.ShadowFile != "" && p.ShadowFile == p.File, "policy.shadow_file", "name another file, or leave it out",
		"policy.shadow_file is the file in force")
	k.between("policy.group_ttl", p.GroupTTL, time.Second, day, "write 1s to 24h")
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

// refuse notes a problem with the value at a path, if it is bad.
func (k *checker) refuse(bad bool, path, hint, format string, args ...any) {
	if bad {
		k.add(path, hint, format, args...)
	}
}

// need reports whether a value is there, and adds a problem when it is not.
func (k *checker) need(path, value, hint string) bool {
	k.refuse(value == "", path, hint, "%s is missing", path)
	return value != ""
}

func (k *checker) between(path string, value, least, most time.Duration, hint string) {
	k.refuse(value < least || value > most, path, hint, "%s is out of range", path)
}

func (k *checker) oneOf(path, value string, words ...string) {
	k.refuse(!slices.Contains(words, value), path, strictyaml.NearestOr(value, words, "write one of them"),
		"%s is not one of %s", path, strings.Join(words, ", "))
}

// unique refuses a value that an entry before this one has, in any case. seen has where those
// entries are; hint takes the line.
func (k *checker) unique(path, value string, seen map[string]string, hint, message string) {
	value = strings.ToLower(value)
	if first, twice := seen[value]; twice && value != "" {
		k.add(path, fmt.Sprintf(hint, k.doc.At(first)), "%s", message)
	} else {
		seen[value] = path[:strings.LastIndexByte(path, '.')]
	}
}

// definition keeps out names that could come back from Graph otherwise than they
// were written: the definition is found again by its name.
func (k *checker) definition() {
	name := k.c.Trigger.Definition
	k.refuse(strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl), "trigger.definition",
		"write a name in one line, without spaces around it", "trigger.definition has spaces around it or control characters")
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
		st, okKey := k.secretStat(atKey, key, "write the key there, in PEM")
		if okCert {
			_, okCert = k.text(atCert, cert)
		}
		if okKey {
			k.guarded(atKey, key, st)
			_, okKey = k.text(atKey, key)
		}
		if okCert && okKey {
			_, err := secretfile.KeyPair(cert, key)
			k.refuse(err != nil, atCert, "both must be PEM, and the key that of the first certificate",
				"%s has a certificate and a key that can't be used together", at)
		}
	}
}

// anotherName is what to do about a name that is there twice.
const anotherName = "give it another; the first is in line %d"

const (
	minHold = time.Minute
	maxHold = 30 * 24 * time.Hour
)

func (k *checker) queues() {
	k.refuse(len(k.c.Queues) == 0, "queues", "list at least one printer that carries the trigger",
		"queues is missing or empty")
	printers, names := map[string]string{}, map[string]string{}
	for i, q := range k.c.Queues {
		at := fmt.Sprintf("queues[%d]", i)
		k.queue(at, q)
		k.unique(at+".printer_id", q.PrinterID, printers, "take one of them out; the other is in line %d, and Graph allows "+
			"one trigger per printer", "two queues with one printer")
		k.unique(at+".name", q.Name, names, anotherName, "two queues with one name")
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
	default:
		k.printerID(at+".printer_id", q.PrinterID)
	}
	k.shareWith(at+".share_with", q)
	k.refuse(k.need(at+".name", q.Name, "write what people and policies call the queue") && !queueName.MatchString(q.Name),
		at+".name", "begin with a letter or digit, go on with those, spaces, dots, dashes and underscores; at most 64",
		"%s.name has characters that a name can't have", at)
	if k.need(at+".mode", q.Mode, "write pull (hold until a tap) or direct (decide at once)") {
		k.oneOf(at+".mode", q.Mode, printer.ModePull, printer.ModeDirect)
	}
	k.between(at+".hold_for", q.HoldFor, minHold, maxHold, "write 1m at least and 30d at most; 24h when left out")
}

// printerID warns of what is hardly the id of a printer. Graph promises no form of ids; those of
// printers are GUIDs in all that it shows.
func (k *checker) printerID(at, id string) {
	if !guid.MatchString(id) {
		k.warn(at, at+" is not a GUID, as ids of printers are",
			"copy the printer's id from the Universal Print portal, not its name")
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
		k.refuse(!documentHost.MatchString(h) || strings.Count(strings.Trim(h, "."), ".") == 0 && h != "localhost",
			fmt.Sprintf("documents.hosts[%d]", i), "write a host, or a suffix of at least two parts as .blob.core.windows.net",
			"%q is not a valid host name", h)
	}
	k.refuse(d.MaxBytes < 64<<10, "documents.max_bytes", "write 64KiB or more",
		"documents.max_bytes is too little to find a number of pages")
	k.between("documents.within", d.Within, time.Second, time.Minute, "write 1s to 1m")
}

package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"pullprint/connector/terminal"
	"pullprint/policy/badge"
	"pullprint/policy/policyfile"
	"pullprint/trigger/secretfile"
	"pullprint/trigger/webhook"
)

// policyFile runs the tests of the policy, and compares its time zone with this
// machine's.
func (ds *diagnostics) policyFile(context.Context) {
	ds.tests("policy", ds.Config.Policy.File)
	ds.tests("shadow policy", ds.Config.Policy.ShadowFile)
	ds.zone(time.Now())
}

func (ds *diagnostics) tests(about, file string) {
	if file == "" {
		return
	}
	src, err := os.ReadFile(file)
	if err != nil {
		ds.say(about, Failed, err.Error(), "make it readable for the user pullprint runs as")
		return
	}
	switch r, err := policyfile.Test(file, src); {
	case err != nil:
		ds.say(about, Failed, err.Error(), "see `pullprint policy check "+file+"`")
	case r.Failed() > 0:
		ds.say(about, Failed, terminal.Counted(r.Failed(), "test")+" failed", "see `pullprint policy test "+file+"`")
	case len(r.Results) == 0:
		ds.say(about, OK, "it loads; it has no tests", "")
	default:
		ds.say(about, OK, terminal.Counted(len(r.Results), "test")+" passed", "")
	}
}

// zone tells by which midnight the periods of allowances end.
func (ds *diagnostics) zone(now time.Time) {
	ours := ds.Policy.Zone()
	_, there := now.In(ours).Zone()
	here, offset := now.Zone()
	switch {
	case there != offset && ours == time.UTC && ds.Policy.HasAllowances():
		ds.say("time zone", Warning,
			fmt.Sprintf("allowances begin at midnight UTC, and this machine is in another zone (%s)", here),
			"write `zone: "+zoneExample(now.Location())+"` into the policy, or leave it if UTC is meant")
	default:
		ds.say("time zone", OK, "the policy counts days in "+ours.String(), "")
	}
}

// zoneExample is the name of a zone to write into a policy.
func zoneExample(here *time.Location) string {
	if here.String() == "Local" {
		return "Europe/Zurich"
	}
	return here.String()
}

// How near the end of a certificate is worth a word.
const expiresSoon = 14 * 24 * time.Hour

// files looks at certificates and keys.
func (ds *diagnostics) files(context.Context) {
	ds.ownCertificate()
	ds.pair("webhook.tls", ds.Config.Webhook.TLS)
	ds.pair("admin.tls", ds.Config.Admin.TLS)
	if file := ds.Config.Badges.KeyFile; file != "" {
		ds.badgeKey(file)
	}
	if keep := ds.Config.Administrator; keep.Configured() {
		if err := keep.Check(); err != nil {
			ds.say("administrator", Failed, err.Error(), "make a key with `openssl rand -base64 32`")
		}
	}
}

// ownCertificate is that by which the app signs in.
func (ds *diagnostics) ownCertificate() {
	if ds.Config.Auth.CertificateFile == "" {
		return
	}
	leaf, err := ds.Config.Auth.Certificate()
	if err != nil {
		ds.say("certificate", Failed, err.Error(), "put the certificate of the app registration there, with its key")
		return
	}
	ds.valid("certificate", "auth.certificate_file", leaf,
		"put a new certificate into the app registration, then into the file: it is read again for every token")
}

// pair is a certificate that we serve.
func (ds *diagnostics) pair(key string, files webhook.TLS) {
	if files.CertFile == "" {
		return
	}
	loaded, err := secretfile.KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		ds.say("certificate", Failed, key+": "+err.Error(), "write the certificate chain and its key there, in PEM")
		return
	}
	ds.valid("certificate", key, loaded.Leaf, "renew it: the files are read again when they change")
}

// valid says until when a certificate is valid.
func (ds *diagnostics) valid(about, what string, leaf *x509.Certificate, renew string) {
	now, until := time.Now(), leaf.NotAfter.UTC().Format(time.DateOnly)
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		ds.say(about, Failed, fmt.Sprintf("%s expired on %s", what, until), renew)
	case now.Before(leaf.NotBefore):
		ds.say(about, Failed, fmt.Sprintf("%s is valid from %s on", what, leaf.NotBefore.UTC().Format(time.RFC3339)),
			"check the clock of this machine")
	case left < expiresSoon:
		days := terminal.Counted(int(left/(24*time.Hour)), "day")
		ds.say(about, Warning, fmt.Sprintf("%s ends on %s, in %s", what, until, days), renew)
	default:
		ds.say(about, OK, fmt.Sprintf("%s until %s", what, until), "")
	}
}

func (ds *diagnostics) badgeKey(file string) {
	src, err := os.ReadFile(file)
	if err == nil {
		_, err = badge.ParseKeys(src)
	}
	if err != nil {
		ds.say("badges", Failed, "badges.key_file: "+err.Error(), "put the key back that the badges were enrolled with")
		return
	}
	ds.say("badges", OK, "the key can be read", "")
}

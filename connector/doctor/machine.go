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
func (e *examination) policyFile(context.Context) {
	if file := e.Config.Policy.File; file != "" {
		e.tests("policy", file)
	}
	if file := e.Config.Policy.ShadowFile; file != "" {
		e.tests("shadow policy", file)
	}
	e.zone(time.Now())
}

func (e *examination) tests(about, file string) {
	src, err := os.ReadFile(file)
	if err != nil {
		e.say(about, Failed, err.Error(), "make it readable for the user pullprint runs as")
		return
	}
	switch r, err := policyfile.Test(file, src); {
	case err != nil:
		e.say(about, Failed, err.Error(), "see `pullprint policy check "+file+"`")
	case r.Failed() > 0:
		e.say(about, Failed, terminal.Counted(r.Failed(), "test")+" failed", "see `pullprint policy test "+file+"`")
	case len(r.Results) == 0:
		e.say(about, OK, "it loads; it has no tests", "")
	default:
		e.say(about, OK, terminal.Counted(len(r.Results), "test")+" passed", "")
	}
}

// zone tells by which midnight the periods of allowances end.
func (e *examination) zone(now time.Time) {
	ours := e.Policy.Zone()
	_, there := now.In(ours).Zone()
	here, offset := now.Zone()
	switch {
	case there != offset && ours == time.UTC && e.Policy.HasAllowances():
		e.say("time zone", Warning,
			fmt.Sprintf("allowances begin at midnight UTC, and this machine is in another zone (%s)", here),
			"write `zone: "+zoneExample(now.Location())+"` into the policy, or leave it if UTC is meant")
	default:
		e.say("time zone", OK, "the policy counts days in "+ours.String(), "")
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
func (e *examination) files(context.Context) {
	e.ownCertificate()
	e.pair("webhook.tls", e.Config.Webhook.TLS)
	e.pair("admin.tls", e.Config.Admin.TLS)
	if file := e.Config.Badges.KeyFile; file != "" {
		e.badgeKey(file)
	}
	if keep := e.Config.Administrator; keep.Configured() {
		if err := keep.Check(); err != nil {
			e.say("administrator", Failed, err.Error(), "make a key with `openssl rand -base64 32`")
		}
	}
}

// ownCertificate is that by which the app signs in.
func (e *examination) ownCertificate() {
	if e.Config.Auth.CertificateFile == "" {
		return
	}
	leaf, err := e.Config.Auth.Certificate()
	if err != nil {
		e.say("certificate", Failed, err.Error(), "put the certificate of the app registration there, with its key")
		return
	}
	e.valid("certificate", "auth.certificate_file", leaf,
		"put a new certificate into the app registration, then into the file: it is read again for every token")
}

// pair is a certificate that we serve.
func (e *examination) pair(key string, files webhook.TLS) {
	if files.CertFile == "" {
		return
	}
	loaded, err := secretfile.KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		e.say("certificate", Failed, key+": "+err.Error(), "write the certificate chain and its key there, in PEM")
		return
	}
	leaf, err := x509.ParseCertificate(loaded.Certificate[0])
	if err != nil {
		e.say("certificate", Failed, key+": "+err.Error(), "write the certificate chain there, in PEM")
		return
	}
	e.valid("certificate", key, leaf, "renew it: the files are read again when they change")
}

// valid says until when a certificate is valid.
func (e *examination) valid(about, what string, leaf *x509.Certificate, renew string) {
	now, until := time.Now(), leaf.NotAfter.UTC().Format(time.DateOnly)
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		e.say(about, Failed, fmt.Sprintf("%s expired on %s", what, until), renew)
	case now.Before(leaf.NotBefore):
		e.say(about, Failed, fmt.Sprintf("%s is valid from %s on", what, leaf.NotBefore.UTC().Format(time.RFC3339)),
			"check the clock of this machine")
	case left < expiresSoon:
		days := terminal.Counted(int(left/(24*time.Hour)), "day")
		e.say(about, Warning, fmt.Sprintf("%s ends on %s, in %s", what, until, days), renew)
	default:
		e.say(about, OK, fmt.Sprintf("%s until %s", what, until), "")
	}
}

func (e *examination) badgeKey(file string) {
	src, err := os.ReadFile(file)
	if err == nil {
		_, err = badge.ParseKeys(src)
	}
	if err != nil {
		e.say("badges", Failed, "badges.key_file: "+err.Error(), "put the key back that the badges were enrolled with")
		return
	}
	e.say("badges", OK, "the key can be read", "")
}

package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"pullprint/connector"
	"pullprint/policy/strictyaml"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/register"
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
			if name, ok := strings.CutPrefix(p.Hint, `did you mean "`); ok { // then that one isn't missing
				k.reported[p.Key[:strings.LastIndex(p.Key, ".")+1]+strings.TrimSuffix(name, `"?`)] = true
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
	k.kept()
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

func (k *checker) tenant() {
	if k.need("tenant_id", k.c.TenantID, "write the directory (tenant) id; it is on the overview page of the Entra "+
		"admin center") && !guid.MatchString(k.c.TenantID) {
		k.add("tenant_id", "it looks like 84bd8158-6d4d-4958-8b9f-9d6445542f95; a domain name won't do",
			"tenant_id is not a GUID")
	}
	switch strings.ToLower(k.c.Cloud) {
	case "china", "21vianet", "cn", "azurechina":
		k.add("cloud", "there is no way around it: use a tenant of another cloud",
			"Microsoft Graph in China has no print API")
	default:
		k.oneOf("cloud", k.c.Cloud, "global", "us-l4", "us-l5")
	}
	k.url("endpoints.graph", k.c.Endpoints.Graph, "https://graph.microsoft.com/v1.0")
	k.url("endpoints.authority", k.c.Endpoints.Authority, "https://login.microsoftonline.com")
	k.authority("endpoints.ca_file", k.c.Endpoints.CAFile)
}

func (k *checker) auth() {
	if k.need("auth.client_id", k.c.Auth.ClientID, "write the application (client) id of the app registration") &&
		!guid.MatchString(k.c.Auth.ClientID) {
		k.add("auth.client_id", "copy the application (client) id, not the name", "auth.client_id is not a GUID")
	}
	a := &k.c.Auth
	switch {
	case a.AssertionAlg == "":
	case a.CertificateFile == "" && a.PrivateKeyFile == "":
		k.add("auth.assertion_alg", "leave it out, or set certificate_file", "auth.assertion_alg without a certificate")
	default:
		k.oneOf("auth.assertion_alg", a.AssertionAlg, auth.AssertionAlgs...)
	}
	switch kinds := a.Kinds(); len(kinds) {
	case 0:
		k.add("auth.client_secret_file", "name the file that holds the client secret's value, or set certificate_file and "+
			"private_key_file, federated_token_file, or managed_identity", "auth has no credential")
	case 1:
		k.credential(a)
	default:
		k.add("auth."+kinds[1], "leave one of them", "auth has several kinds of credentials: %s", strings.Join(kinds, ", "))
	}
}

// credential checks the files of the one that is configured.
func (k *checker) credential(a *auth.Config) {
	switch {
	case a.ClientSecretFile != "":
		k.secret("auth.client_secret_file", a.ClientSecretFile)
	case a.FederatedTokenFile != "":
		k.secret("auth.federated_token_file", a.FederatedTokenFile)
	case a.ManagedIdentity:
	case a.PFX():
		k.pfx(a)
	case a.CertificatePasswordFile != "":
		k.add("auth.certificate_password_file", "leave it out, or name a .pfx in certificate_file; a key in PEM has to be "+
			"without a password", "a password for a certificate that is no PFX")
	case a.CertificateFile == "":
		k.add("auth.certificate_file", "name the file with the certificate, in PEM", "a private key without its certificate")
	case a.PrivateKeyFile == "":
		k.add("auth.private_key_file", "name the file with the key, in PEM; a PFX has to be named .pfx or .p12",
			"a certificate without its private key")
	default:
		if _, ok := k.stat("auth.certificate_file", a.CertificateFile, "put the certificate there, in PEM"); ok {
			k.text("auth.certificate_file", a.CertificateFile)
		}
		k.secret("auth.private_key_file", a.PrivateKeyFile)
	}
}

// pfx checks a certificate with its key in one file.
func (k *checker) pfx(a *auth.Config) {
	if a.PrivateKeyFile != "" {
		k.add("auth.private_key_file", "leave it out: a PFX has the key in it", "a PFX and a private key")
	}
	if st, ok := k.stat("auth.certificate_file", a.CertificateFile, "put the PFX there"); ok {
		k.guarded("auth.certificate_file", a.CertificateFile, st)
	}
	if a.CertificatePasswordFile != "" {
		k.secret("auth.certificate_password_file", a.CertificatePasswordFile)
	}
}

// administrator checks where a sign-in is kept. There may be none yet.
func (k *checker) administrator() {
	keep := k.c.Administrator
	switch {
	case keep == (auth.StoredSignIn{}):
		return
	case keep.SignInFile == "":
		k.add("administrator.sign_in_file", "name the file that the sign-in is to be kept in; `pullprint register plan "+
			"--keep` makes it", "administrator has a key and nothing to encrypt")
	case keep.KeyFile == "":
		k.add("administrator.key_file", "name the file that holds the key; make one with `openssl rand -base64 32`",
			"administrator.key_file is missing")
	}
	if st, err := os.Stat(filepath.Dir(keep.SignInFile)); keep.SignInFile != "" && (err != nil || !st.IsDir()) {
		k.add("administrator.sign_in_file", "make that folder, writable for the user pullprint runs as",
			"administrator.sign_in_file is in no folder: %s", filepath.Dir(keep.SignInFile))
	}
	if keep.KeyFile == "" {
		return
	}
	k.secret("administrator.key_file", keep.KeyFile)
	if src, err := os.ReadFile(keep.KeyFile); err == nil && strings.TrimSpace(string(src)) != "" && keep.Check() != nil {
		k.add("administrator.key_file", "make one with `openssl rand -base64 32`",
			"administrator.key_file holds no key of 32 bytes in base64")
	}
}

const (
	minSelfTest = 5 * time.Minute
	maxSelfTest = 31 * 24 * time.Hour
)

// selfTest checks who prints what where.
func (k *checker) selfTest() {
	t := k.c.SelfTest
	if t == (connector.SelfTest{}) {
		return
	}
	if k.need("selftest.queue", t.Queue, "write the name of one of the queues") &&
		!slices.ContainsFunc(k.c.Queues, func(q connector.Queue) bool { return q.Name == t.Queue }) {
		k.add("selftest.queue", "write the name of one of the queues", "selftest.queue does not name one of the queues")
	}
	if k.need("selftest.user", t.User, "write the Entra object id of the person whose sign-in is kept") &&
		!guid.MatchString(t.User) {
		k.add("selftest.user", "write the Entra object id of the person, not the name", "selftest.user is not a GUID")
	}
	if !k.c.Administrator.Configured() {
		k.add("selftest", "set administrator.sign_in_file and administrator.key_file: only a person can print",
			"a self-test without a kept sign-in")
	}
	if t.Queue != "" && (t.Every < minSelfTest || t.Every > maxSelfTest) {
		k.add("selftest.every", "write 5m to 31d", "selftest.every is out of range")
	}
}

// maxSecret is more than any secret has.
const maxSecret = 64 << 10

// secret checks a file that holds a secret; its content is never shown, nor a
// name that looks like one.
func (k *checker) secret(path, file string) {
	if k.pasted(path, file) {
		return
	}
	st, ok := k.stat(path, file, "write the secret's value into it, readable by pullprint only (chmod 600)")
	if !ok {
		return
	}
	if st.Size() > maxSecret {
		k.add(path, "name the file that holds the secret's value and nothing else", "%s names a file of %d bytes: %s", path,
			st.Size(), file)
		return
	}
	text, ok := k.text(path, file)
	switch {
	case !ok:
	case text == "":
		k.add(path, "write the secret's value into it", "%s names an empty file: %s", path, file)
	case path != "auth.private_key_file" && strings.ContainsAny(text, "\r\n"):
		k.add(path, "write the secret's value into it and nothing else", "%s names a file of more than one line: %s", path,
			file)
	}
	k.guarded(path, file, st)
}

// text is what is in a file with a secret or a key; ok is false when it is no text, which
// is said.
func (k *checker) text(path, file string) (text string, ok bool) {
	text, err := auth.SecretFile(file)
	switch {
	case errors.Is(err, auth.ErrUTF16):
		k.add(path, "save it as UTF-8", "%s names a file that is not UTF-8 text: %v", path, err)
	case err != nil:
		k.add(path, "make it readable for the user pullprint runs as", "%s names a file that can't be read: %s: %s", path,
			file, cause(err))
	default:
		return text, true
	}
	return "", false
}

// authority checks a file with certificates of those that are trusted.
func (k *checker) authority(path, file string) {
	if file == "" {
		return
	}
	const hint = "write the certificate of the CA there, in PEM; one in DER is converted with `openssl x509 -inform der`"
	if _, ok := k.stat(path, file, hint); !ok {
		return
	}
	if _, ok := k.text(path, file); !ok {
		return
	}
	if pem, err := auth.PEMFile(file); err != nil || !x509.NewCertPool().AppendCertsFromPEM(pem) {
		k.add(path, hint, "%s holds no certificate: %s", path, file)
	}
}

// pasted adds a problem when a secret stands where the name of its file belongs.
func (k *checker) pasted(path, file string) bool {
	name := file
	if rel, err := filepath.Rel(k.dir, file); err == nil && !strings.HasPrefix(rel, "..") {
		name = rel
	}
	if !secretLike(name) {
		return false
	}
	if _, err := os.Stat(file); err == nil {
		return false
	}
	k.add(path, "write the secret's value into a file, readable by pullprint only (chmod 600), and name that file here",
		"%s holds what looks like the secret itself", path)
	return true
}

// guarded warns of a secret that others can read or its group can write. That
// its group reads it is how systemd and Kubernetes hand secrets out.
func (k *checker) guarded(path, file string, st os.FileInfo) {
	if st.Mode().Perm()&0o027 != 0 {
		k.c.Warnings = append(k.c.Warnings, strictyaml.Problem{
			File: file, Key: path,
			Message: fmt.Sprintf("the secret is open to others (mode %04o)", st.Mode().Perm()), Hint: "chmod 600 " + file,
		})
	}
}

func (k *checker) file(path, file, hint string) {
	if file != "" {
		k.stat(path, file, hint)
	}
}

func (k *checker) stat(path, file, hint string) (os.FileInfo, bool) {
	st, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.add(path, hint, "%s names a file that does not exist: %s", path, file)
	case err != nil:
		k.add(path, "make it readable for the user pullprint runs as", "%s names a file that can't be read: %s: %s", path,
			file, cause(err))
	case st.IsDir():
		k.add(path, "name the file in it", "%s names a folder: %s", path, file)
	case !st.Mode().IsRegular():
		k.add(path, "name a regular file", "%s names a pipe or a device: %s", path, file)
	default:
		if err := readable(file); err != nil {
			k.add(path, "make it readable for the user pullprint runs as", "%s names a file that can't be read: %s: %s", path,
				file, cause(err))
			return nil, false
		}
		return st, true
	}
	return nil, false
}

func readable(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	return f.Close()
}

func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
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
			if _, err := auth.KeyPair(cert, key); err != nil {
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

func (k *checker) queue(at string, q connector.Queue) {
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
		k.oneOf(at+".mode", q.Mode, connector.ModePull, connector.ModeDirect)
	}
	if q.HoldFor < minHold || q.HoldFor > maxHold {
		k.add(at+".hold_for", "write 1m at least and 30d at most; 24h when left out", "%s.hold_for is out of range", at)
	}
}

// shareWith checks who may print to a printer that is to be made.
func (k *checker) shareWith(at string, q connector.Queue) {
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

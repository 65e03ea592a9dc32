package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"pullprint/connector"
	"pullprint/policy/strictyaml"
	"pullprint/trigger/graph"
)

// checker looks at what types can't say.
type checker struct {
	c   *Config
	doc *strictyaml.Document
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// queueName is what a queue may be called: it is a metric label and stands in
// policies and URLs.
var queueName = regexp.MustCompile(`^[\pL\pN][\pL\pN ._-]{0,63}$`)

func (k *checker) all() {
	k.tenant()
	k.auth()
	k.webhook()
	k.queues()
	k.nats()
	k.file("policy.file", k.c.Policy.File, "write the policy there, or leave policy.file out for the built-in one")
	k.listen("metrics.listen", k.c.Metrics.Listen)
	k.oneOf("log.level", k.c.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", k.c.Log.Format, "json", "console")
}

func (k *checker) add(path, hint, format string, args ...any) { k.doc.Add(path, hint, format, args...) }

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
	k.add(path, strictyaml.DidYouMean(value, words), "%s is not one of %s", path, strings.Join(words, ", "))
}

func (k *checker) tenant() {
	if k.need("tenant_id", k.c.TenantID, "the directory (tenant) id is on the overview page of the Entra admin center") && !guid.MatchString(k.c.TenantID) {
		k.add("tenant_id", "it looks like 84bd8158-6d4d-4958-8b9f-9d6445542f95; a domain name won't do", "tenant_id is not a GUID")
	}
	switch strings.ToLower(k.c.Cloud) {
	case "china", "21vianet", "cn", "azurechina":
		k.add("cloud", "there is no way around it: use a tenant of another cloud", "Microsoft Graph in China has no print API")
	default:
		k.oneOf("cloud", k.c.Cloud, "global", "us-l4", "us-l5")
	}
	k.url("endpoints.graph", k.c.Endpoints.Graph)
	k.url("endpoints.authority", k.c.Endpoints.Authority)
}

// url checks an address that the bearer token is sent to.
func (k *checker) url(path, value string) {
	if value == "" {
		return
	}
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		k.add(path, "for example https://graph.microsoft.com/v1.0", "%s is not an http or https URL", path)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		k.add(path, "use https: the token goes there", "%s is plain http to another machine", path)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		k.add(path, "leave out everything after the path", "%s has more than host and path", path)
	}
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

func (k *checker) auth() {
	if k.need("auth.client_id", k.c.Auth.ClientID, "the application (client) id of the app registration") && !guid.MatchString(k.c.Auth.ClientID) {
		k.add("auth.client_id", "copy the application (client) id, not the name", "auth.client_id is not a GUID")
	}
	if k.need("auth.client_secret_file", k.c.Auth.ClientSecretFile, "name the file that holds the client secret's value") {
		k.secret("auth.client_secret_file", k.c.Auth.ClientSecretFile)
	}
}

// secret checks a file that holds a secret; its content is never shown.
func (k *checker) secret(path, file string) {
	st, ok := k.stat(path, file, "write the secret's value into it, readable by pullprint only (chmod 600)")
	if !ok {
		return
	}
	content, err := os.ReadFile(file)
	switch {
	case err != nil:
		k.add(path, "make it readable for the user pullprint runs as", "%s names a file that can't be read: %s", path, cause(err))
	case strings.TrimSpace(string(content)) == "":
		k.add(path, "write the secret's value into it", "%s names an empty file", path)
	}
	if st.Mode().Perm()&0o077 != 0 {
		k.c.Warnings = append(k.c.Warnings, strictyaml.Problem{
			File: file, Key: path,
			Message: fmt.Sprintf("the secret is readable by others (mode %04o)", st.Mode().Perm()), Hint: "chmod 600 " + file,
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
		k.add(path, "make it readable for the user pullprint runs as", "%s names a file that can't be read: %s", path, cause(err))
	case st.IsDir():
		k.add(path, "name a file", "%s names a folder: %s", path, file)
	default:
		return st, true
	}
	return nil, false
}

func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func (k *checker) webhook() {
	w := k.c.Webhook
	k.listen("webhook.listen", w.Listen)
	if k.need("webhook.public_url", w.PublicURL, "the https address at which Microsoft Graph reaches this machine") {
		k.publicURL(w.PublicURL)
	}
	cert, key := w.TLS.CertFile, w.TLS.KeyFile
	switch {
	case cert == "" && key == "":
	case cert == "":
		k.add("webhook.tls.key_file", "name the certificate in webhook.tls.cert_file", "a key without its certificate")
	case key == "":
		k.add("webhook.tls.cert_file", "name the key in webhook.tls.key_file", "a certificate without its key")
	default:
		_, okCert := k.stat("webhook.tls.cert_file", cert, "write the certificate chain there, in PEM")
		_, okKey := k.stat("webhook.tls.key_file", key, "write the key there, in PEM")
		if okCert && okKey {
			if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
				k.add("webhook.tls.cert_file", "both must be PEM, and the key that of the first certificate", "the certificate and its key can't be used together")
			}
		}
	}
}

func (k *checker) publicURL(value string) {
	const path = "webhook.public_url"
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		k.add(path, "for example https://print.example.com", "%s is not an https URL", path)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		k.add(path, "use https; Graph posts to nothing else", "%s is plain http off loopback", path)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		k.add(path, "leave out everything after the path", "%s has more than host and path", path)
	case strings.HasSuffix(u.Path, "/graph/notifications") || strings.HasSuffix(u.Path, "/graph/lifecycle"):
		k.add(path, "leave /graph/… out: it is added", "%s already has the path of the webhook", path)
	}
}

func (k *checker) listen(path, value string) {
	host, port, err := net.SplitHostPort(value)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 || strings.ContainsAny(host, "/ ") {
		k.add(path, "write host:port, as 127.0.0.1:8443 or :8443", "%s is not an address to listen on", path)
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
			k.add(at+".printer_id", fmt.Sprintf("the other is in line %d; Graph allows one trigger per printer", k.doc.At(fmt.Sprintf("queues[%d]", j))), "two queues with one printer")
		} else {
			printers[strings.ToLower(q.PrinterID)] = i
		}
		if j, twice := names[strings.ToLower(q.Name)]; twice && q.Name != "" {
			k.add(at+".name", fmt.Sprintf("the other is in line %d", k.doc.At(fmt.Sprintf("queues[%d]", j))), "two queues with one name")
		} else {
			names[strings.ToLower(q.Name)] = i
		}
	}
}

func (k *checker) queue(at string, q connector.Queue) {
	if k.need(at+".printer_id", q.PrinterID, "the printer's id, from the Universal Print portal or pullprint register") && !graph.ValidID(q.PrinterID) {
		k.add(at+".printer_id", "it looks like c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1", "%s.printer_id is not an id", at)
	}
	if k.need(at+".name", q.Name, "what people and policies call the queue") && !queueName.MatchString(q.Name) {
		k.add(at+".name", "use letters, digits, spaces, dots, dashes; at most 64", "%s.name has characters that a name can't have", at)
	}
	if k.need(at+".mode", q.Mode, "pull (hold until a tap) or direct (decide at once)") {
		k.oneOf(at+".mode", q.Mode, connector.ModePull, connector.ModeDirect)
	}
	if q.HoldFor < minHold || q.HoldFor > maxHold {
		k.add(at+".hold_for", "between 1m and 30d", "%s.hold_for is out of range", at)
	}
}

func (k *checker) nats() {
	n := k.c.NATS
	switch {
	case n.URL != "" && n.Embedded != nil:
		k.add("nats", "keep embedded for one machine, or url for a cluster", "nats has both embedded and url")
		return
	case n.URL != "":
		if u, err := url.Parse(n.URL); err != nil || u.Host == "" {
			k.add("nats.url", "for example nats://nats:4222", "nats.url is not a NATS address")
		}
		k.file("nats.credentials_file", n.CredentialsFile, "name the .creds file of the account")
	}
	if err := n.Validate(); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			path, message, ok := strings.Cut(line, ": ")
			if !ok || !strings.HasPrefix(path, "nats") {
				path, message = "nats", line
			}
			k.add(path, "", "%s: %s", path, message)
		}
	}
}

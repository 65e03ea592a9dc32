package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"pullprint/trigger/graph/graphtest"
)

// trouble is something that goes wrong on the way in.
type trouble struct {
	name    string
	prepare func(n *tenant)
	args    []string // register apply --yes
	want    []string // what happened, and what to do
}

// certified has the app sign in by a certificate that is valid so long from now.
func (n *tenant) certified(key bool, from, to time.Duration) {
	n.t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		n.t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pullprint"}, NotBefore: now.Add(from),
		NotAfter: now.Add(to),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		n.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		n.t.Fatal(err)
	}
	n.write("app.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	n.write("app.key", string(pem.EncodeToMemory(&pem.Block{
		Type:  "RSA PRIVATE KEY",
		Bytes: x509.MarshalPKCS1PrivateKey(private),
	})))
	files := "certificate_file: app.crt"
	if key {
		files += ", private_key_file: app.key"
	}
	n.edit("client_secret_file: secret", files)
	n.sim.AddApp(graphtest.App{ClientID: registerID, Certificates: []*x509.Certificate{cert}})
}

// refused has the device code flow end with a code of Entra.
func refused(code int) func(*tenant) {
	return func(n *tenant) {
		n.answer = func(string) error { return nil }
		n.sim.RefuseDevice(code)
	}
}

var troubles = []trouble{
	{"a user who is no Printer Administrator", func(n *tenant) {
		n.answer = func(code string) error { return n.sim.ApproveDevice(code, n.plain) }
	}, nil, []string{"read the triggers of Follow-Me: not allowed", "sign in as a Printer Administrator"}},
	{"a sign-in that is declined", func(n *tenant) { n.answer = n.sim.DeclineDevice }, nil, []string{
		"the administrator declined the sign-in", "run it again",
	}},
	{"a code that expires", func(n *tenant) {
		n.answer = func(string) error { n.sim.ExpireDeviceCodes(); return nil }
	}, nil, []string{"the code was not entered in time", "run it again, and enter the new one"}},
	{"consent missing", refused(65001), nil, []string{
		"AADSTS65001: consent is missing",
		"grant admin consent to the delegated permissions",
	}},
	{
		"consent that only an administrator can give", refused(90094), nil,
		[]string{"AADSTS90094: consent is missing", "grant admin consent"},
	},
	{"a tenant that blocks the device code flow", refused(53003), nil, []string{
		"AADSTS53003: a Conditional Access policy blocks the device code flow", "have it excepted",
	}},
	{"a tenant whose security policy blocks it", refused(530032), nil, []string{
		"AADSTS530032: a security policy of the tenant blocks", "have it excepted",
	}},
	{"a tenant with security defaults that block it", refused(530035), nil, []string{
		"AADSTS530035: security defaults of the tenant block", "ask who looks after Conditional Access",
	}},
	{"an app that does not allow it", refused(7000218), nil, []string{
		"AADSTS7000218: the app registration does not allow this sign-in", "set Allow public client flows to Yes",
	}},
	{"a user who is not assigned", refused(50105), nil, []string{
		"AADSTS50105: who signs in is not assigned", "assign them under Enterprise applications",
	}},
	{"a wrong secret", func(n *tenant) {
		n.sim.AddApp(graphtest.App{ClientID: registerID, Secret: "another"})
	}, nil, []string{
		"AADSTS7000215: the client secret is wrong",
		"copy the secret's value, not its id, into auth.client_secret_file",
	}},
	{"a secret that has expired", func(n *tenant) {
		n.sim.AddApp(graphtest.App{ClientID: registerID, Secret: "secret", SecretExpired: true})
	}, nil, []string{"AADSTS7000222: the client secret has expired", "make a new one"}},
	{"a wrong tenant", func(n *tenant) {
		n.edit(n.sim.Tenant(), "00000000-1111-4222-8333-444444444444")
	}, nil, []string{"AADSTS90002: there is no such tenant in this cloud", "check tenant_id and cloud"}},
	{"a wrong app", func(n *tenant) { n.edit(registerID, otherApp) }, nil, []string{
		"AADSTS700016: there is no such application in this tenant", "check auth.client_id and tenant_id",
	}},
	{"the cloud of China", func(n *tenant) { n.edit("tenant_id:", "cloud: china\ntenant_id:") }, nil, []string{
		"Microsoft Graph in China has no print API", "use a tenant of another cloud",
	}},
	{"a certificate without its key", func(n *tenant) { n.certified(false, -time.Hour, time.Hour) }, nil, []string{
		"a certificate without its private key", "name the file with the key",
	}},
	{"a certificate that has expired", func(n *tenant) { n.certified(true, -2*time.Hour, -time.Hour) }, nil, []string{
		"the certificate in auth.certificate_file expired on ", "put a new one into the app registration and into the file",
	}},
	{"a certificate of nobody", func(n *tenant) {
		n.certified(true, -time.Hour, time.Hour)
		n.sim.AddApp(graphtest.App{ClientID: registerID, Secret: "secret"})
	}, nil, []string{
		"AADSTS700027: the certificate is not one of the app registration",
		"upload that of auth.certificate_file",
	}},
	{"a clock that is 10 minutes ahead", func(n *tenant) {
		n.certified(true, -time.Hour, time.Hour)
		n.sim.Change(func(k *graphtest.Knobs) { k.ClockAhead = -10 * time.Minute })
	}, nil, []string{"AADSTS700024: the clock of this machine is 10m", " ahead of the authority's", "synchronize it with NTP"}},
	{"a clock that is 11 minutes behind", func(n *tenant) {
		n.certified(true, -time.Hour, time.Hour)
		n.sim.Change(func(k *graphtest.Knobs) { k.ClockAhead = 11 * time.Minute })
	}, nil, []string{"AADSTS700024: the clock of this machine is 1", " behind the authority's", "synchronize it with NTP"}},
	{"an authority that is not there", func(n *tenant) {
		n.edit("endpoints: {", "endpoints: {graph: \"http://127.0.0.1:1/v1.0\", authority: \"http://127.0.0.1:1\"}\n# {")
	}, nil, []string{
		"sign the app in: no token: dial tcp 127.0.0.1:1: connect: connection refused",
		"`pullprint doctor` says what is in the way",
	}},
	{"a printer that is none", func(n *tenant) { n.edit(queueB, "00000000-0000-4000-8000-000000000000") }, nil, []string{
		"there is no such printer", "correct queues[].printer_id", "done    Follow-Me: trigger",
	}},
	{
		"no terminal", func(*tenant) {},
		[]string{"register", "apply"},
		[]string{"there is no terminal to ask at", "give --yes"},
	},
}

// The doctor tells a clock that is wrong, whoever signs in.
func TestDoctorClock(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	n.sim.Change(func(k *graphtest.Knobs) { k.ClockAhead = -10 * time.Minute })
	out, err := n.does("doctor")
	if err == nil {
		t.Error("all is well")
	}
	n.wants(out, "failed   clock          it differs from Graph's by 10m", "let it be set by NTP")
}

// What goes wrong on the way in ends with a sentence that says what happened and one
// that says what to do. The transcript of all of it is testdata/trouble.txt.
func TestRegisterTrouble(t *testing.T) {
	texts := make([]string, len(troubles))
	var wait sync.WaitGroup
	wait.Add(len(troubles))
	for i, c := range troubles {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			defer wait.Done()
			n := newTenant(t)
			c.prepare(n)
			args := c.args
			if args == nil {
				args = []string{"register", "apply", "--yes"}
			}
			out, err := n.does(args...)
			if err == nil {
				t.Fatalf("all is well:\n%s", out)
			}
			text := out + "pullprint: " + err.Error() + "\n"
			for _, w := range c.want {
				if !strings.Contains(text, w) {
					t.Errorf("missing %q in\n%s", w, text)
				}
			}
			var usage usageError
			code := 1
			if errors.As(err, &usage) {
				code = 2
			}
			texts[i] = fmt.Sprintf("# %s\n$ pullprint %s\n%s(exit code %d)\n", c.name, strings.Join(args, " "), masked(n, text),
				code)
		})
	}
	t.Run("transcript", func(t *testing.T) {
		t.Parallel()
		wait.Wait()
		file := filepath.Join("testdata", "trouble.txt")
		got := strings.Join(texts, "\n")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || string(want) != got {
			t.Errorf("%s is not what is printed now; write it anew with -update, and read the difference. %v\n%s", file, err,
				got)
		}
	})
}

var masks = []struct {
	re *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`\(trace id [0-9a-f-]+\)`), "(trace id ...)"},
	{regexp.MustCompile(`(client-)?request-id [0-9a-f-]+`), "request-id ..."},
	{regexp.MustCompile(`127\.0\.0\.1:\d{2,}`), "127.0.0.1:..."},
	{regexp.MustCompile(`\b\d+m\d+s\b`), "...m"},
	{regexp.MustCompile(`\b20\d\d-\d\d-\d\d\b`), "DATE"},
}

// masked is a text without what differs from run to run.
func masked(n *tenant, text string) string {
	text = strings.ReplaceAll(text, filepath.Dir(n.config), "...")
	for _, m := range masks {
		text = m.re.ReplaceAllString(text, m.as)
	}
	return text
}

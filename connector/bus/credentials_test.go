package bus_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

// What a Windows editor puts around credentials is no part of them, and of a file in
// UTF-16 it is said what it is.
func TestCredentialsOfEditors(t *testing.T) {
	t.Parallel()
	dir := bustest.TempDir(t)
	op, ca := bustest.NewOperator(t), bustest.NewCA(t)
	creds := op.User(filepath.Join(dir, "user.creds"), time.Time{})
	nkey := filepath.Join(dir, "user.nk")
	public := bustest.Nkey(t, nkey)
	serverCert, serverKey := ca.Issue(dir, "server")
	caFile := ca.Write(filepath.Join(dir, "ca.pem"))
	cert, key := ca.Issue(dir, "client")
	tls := fmt.Sprintf("tls: {cert_file: %q, key_file: %q, ca_file: %q, verify: true}", serverCert, serverKey,
		ca.Write(filepath.Join(dir, "clients.pem")))
	for name, c := range map[string]struct {
		cfg   bus.Config
		files []string
	}{
		"credentials": {bus.Config{URL: serve(t, "", op.Trust), CredentialsFile: creds}, []string{creds}},
		"nkey":        {bus.Config{URL: serve(t, "authorization: {users: [{nkey: "+public+"}]}"), NkeyFile: nkey}, []string{nkey}},
		"certificates": {
			bus.Config{URL: serve(t, tls), TLS: bus.TLS{CAFile: caFile, CertFile: cert, KeyFile: key}},
			[]string{caFile, cert, key},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, file := range c.files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				put := func(text string) {
					if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				wide := "\xff\xfe"
				for _, b := range text {
					wide += string([]byte{b, 0})
				}
				put(wide)
				refused(t, c.cfg, says("nats.", filepath.Base(file), "UTF-16", "save it as UTF-8"))
				put("\ufeff" + string(text) + "\r\n")
			}
			opens(t, c.cfg, bus.Options{})
		})
	}
}

// A file that holds something else is refused at once, with its key of the configuration
// and its name, instead of after half a minute of trying.
func TestCredentialsOfAnotherKind(t *testing.T) {
	t.Parallel()
	dir := bustest.TempDir(t)
	op, ca := bustest.NewOperator(t), bustest.NewCA(t)
	url := serve(t, "", op.Trust)
	text, err := os.ReadFile(op.User(filepath.Join(dir, "user.creds"), time.Time{}))
	if err != nil {
		t.Fatal(err)
	}
	jwtOnly, _, _ := strings.Cut(string(text), "-----BEGIN USER NKEY SEED")
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	cert, _ := ca.Issue(dir, "client")
	_, otherKey := ca.Issue(dir, "other")
	for name, cfg := range map[string]bus.Config{
		"nats.credentials_file can't be used: the file holds no seed of an nkey: " + dir: {
			CredentialsFile: write("jwt", jwtOnly),
		},
		"nats.credentials_file can't be used: the file holds no JWT of a user: " + dir: {
			CredentialsFile: write("empty", ""),
		},
		"nats.nkey_file":           {NkeyFile: write("nk", "SUNKEY")},
		"nats.tls can't be used: ": {TLS: bus.TLS{CertFile: cert, KeyFile: otherKey}},
		"nats.tls.ca_file can't be used: it holds no certificate": {TLS: bus.TLS{CAFile: write("ca", "none")}},
	} {
		cfg.URL = url
		refused(t, cfg, says(name))
	}
	refused(t, bus.Config{URL: "nats://127.0.0.1:port"}, says("nats.url", "invalid port"))
}

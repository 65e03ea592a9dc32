package bus_test

import (
	"fmt"
	"os"
	"path/filepath"
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

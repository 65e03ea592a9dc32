package graph

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
)

// An authority that only a file names is trusted, by calls and by the doctor.
func TestPrivateCA(t *testing.T) {
	sim := graphtest.New(graphtest.Calm())
	t.Cleanup(sim.Close)
	app := sim.AddApp(graphtest.App{ClientID: testClient, Secret: "secret"})
	server := httptest.NewTLSServer(sim)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	secret, ca, text := filepath.Join(dir, "secret"), filepath.Join(dir, "ca.pem"), filepath.Join(dir, "text")
	write := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(secret, []byte(app.Secret))
	write(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	write(text, []byte("no certificate"))
	for file, want := range map[string]string{
		ca: "", "": "certificate signed by unknown authority",
		text: "endpoints.ca_file holds no certificate in PEM", filepath.Join(dir, "none"): "read endpoints.ca_file",
	} {
		cfg := Config{
			TenantID: sim.Tenant(), Auth: auth.Config{ClientID: testClient, ClientSecretFile: secret},
			Endpoints: Endpoints{Graph: server.URL + "/v1.0", Authority: server.URL, CAFile: file},
		}
		c, err := New(cfg, Options{})
		if err == nil {
			err = c.SignIn(t.Context())
		}
		if (want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", file, err, want)
		}
		hosts, err := Reachable(t.Context(), cfg)
		if fine := err == nil && hosts[0].Step == "" && hosts[1].Step == ""; fine != (want == "") {
			t.Errorf("%q: reached %+v %v", file, hosts, err)
		}
	}
}

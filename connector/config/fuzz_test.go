package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"pullprint/policy/strictyaml"
	"pullprint/trigger/fuzztest"
)

// FuzzLoad: no bytes make parse panic, and what it doesn't accept it explains.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(minimal))
	for _, s := range []string{
		"", "tenant_id: [", "queues:\n  - \n  - {name: a, name: b}\n", "queues: {}", "nats: {url: \"nats://a,b\", embedded: }",
		"log: &a {level: *a}",
		"webhook:\n  public_url: \"http://%zz\"\n  tls: {cert_file: a}\n", "? : -", "a: |\n b\n---\nc: d", "cloud: ${", "cloud: ${}",
		"cloud: $${x}", "auth: {client_secret_file: ./}",
		"\"\": x", "\".\": x", "queues[0]: x", "\ufeffcloud: china", "cloud: \u2028", "<<: {cloud: us-l4}",
		"queues:\n- hold_for: -1d\n- hold_for: 9999999999h\n",
	} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "config.yaml")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "client-secret"), []byte(planted[0]), 0o600); err != nil {
		f.Fatal(err)
	}
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, src []byte) {
		defer watch.Input(t)()
		if len(src) > 4<<10 {
			t.Skip("longer than needed")
		}
		c, err := parse(path, src)
		if err == nil {
			if c.TenantID == "" || len(c.Queues) == 0 || (c.NATS.URL == "") == (c.NATS.Embedded == nil) || c.Queues[0].HoldFor < minHold {
				t.Errorf("accepted what is not complete: %+v", c)
			}
			return
		}
		var ps strictyaml.Problems
		if c == nil || !errors.As(err, &ps) || len(ps) == 0 || err.Error() == "" {
			t.Fatalf("an error without problems: %#v", err)
		}
		for _, p := range ps {
			if p.Message == "" || p.Hint == "" || p.File != path {
				t.Errorf("a problem without words: %#v", p)
			}
		}
	})
}

package main

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pullprint/trigger/graph/graphtest"
)

// tunnel is a proxy that leads every CONNECT to one address, and remembers whom it was
// asked for.
type tunnel struct {
	to string

	mu    sync.Mutex
	asked []string
}

func (p *tunnel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, r.Host)
	p.mu.Unlock()
	far, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", p.to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
	<-done
}

// Where only a proxy leads out and names are resolved by it, all goes through it: the
// environment names it, and a file the private authority that signs what it opens.
// The hosts do not exist, so that nothing can get through another way.
func TestProxy(t *testing.T) {
	t.Parallel()
	sim := graphtest.New(graphtest.Calm())
	t.Cleanup(sim.Close)
	sim.AddApp(graphtest.App{ClientID: registerID, Secret: "secret"})
	for id, name := range map[string]string{queueA: "Follow-Me", queueB: "Poster"} {
		sim.AddPrinter(graphtest.Printer{ID: id, DisplayName: name})
	}
	server := httptest.NewTLSServer(sim)
	t.Cleanup(server.Close)
	way := &tunnel{to: server.Listener.Addr().String()}
	proxy := httptest.NewServer(way)
	t.Cleanup(proxy.Close)
	dir := t.TempDir()
	text := `tenant_id: ` + sim.Tenant() + `
endpoints: {graph: "https://example.com/v1.0", authority: "https://example.com:8443", ca_file: proxy-ca.pem}
auth: {client_id: ` + registerID + `, client_secret_file: secret}
webhook: {public_url: "https://print.contoso.com"}
queues:
  - {printer_id: ` + queueA + `, name: Follow-Me, mode: pull}
  - {printer_id: ` + queueB + `, name: Poster, mode: direct}
nats: {embedded: {store_dir: nats}}
`
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, content := range map[string][]byte{
		"config.yaml": []byte(text), "secret": []byte("secret"),
		"proxy-ca.pem": ca,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	doctor := func(env ...string) (out string, code int) {
		t.Helper()
		env = append(env, "PATH="+os.Getenv("PATH"), "HOME="+dir, "TMPDIR="+dir)
		p, err := startProcess(dir, env, "doctor", "--config", "config.yaml")
		if err != nil {
			t.Fatal(err)
		}
		defer p.kill()
		if code, err = p.code(patience); err != nil {
			t.Fatal(err)
		}
		return p.out.String() + p.err.String(), code
	}
	out, code := doctor("HTTPS_PROXY=http://" + u.Host)
	for _, want := range []string{
		"ok       graph ", "ok       authority ", "certificate by", "ok       sign-in ",
		`ok       queue          Follow-Me: "Follow-Me"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("missing %q, exit %d:\n%s", want, code, out)
		}
	}
	way.mu.Lock()
	asked := slices.Compact(slices.Sorted(slices.Values(way.asked)))
	way.mu.Unlock()
	if !slices.Equal(asked, []string{"example.com:443", "example.com:8443"}) {
		t.Errorf("the proxy was asked for %v", asked)
	}
	if err := os.Remove(filepath.Join(dir, "proxy-ca.pem")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"),
		[]byte(strings.Replace(text, ", ca_file: proxy-ca.pem", "", 1)),
		0o600); err != nil {
		t.Fatal(err)
	}
	if out, code = doctor("HTTPS_PROXY=http://" + u.Host); code == 0 || !strings.Contains(out, "can't be reached (tls)") ||
		!strings.Contains(out, "something between opens the connection") {
		t.Errorf("a certificate that nobody trusts, exit %d:\n%s", code, out)
	}
	proxy.Close()
	if out, code = doctor("HTTPS_PROXY=http://" + u.Host); code == 0 ||
		!strings.Contains(out, "can't be reached (connect)") {
		t.Errorf("a proxy that is gone, exit %d:\n%s", code, out)
	}
}

package main

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"pullprint/trigger/graph/graphtest"
)

// mailbox is a mail server that keeps what it is sent, or refuses the recipient.
type mailbox struct {
	mu      sync.Mutex
	refuses bool
	got     []string
}

func (m *mailbox) Reset()                               {}
func (m *mailbox) Logout() error                        { return nil }
func (m *mailbox) Mail(string, *smtp.MailOptions) error { return nil }

func (m *mailbox) Rcpt(to string, _ *smtp.RcptOptions) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuses {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	m.got = append(m.got, to)
	return nil
}

func (m *mailbox) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = append(m.got, string(text))
	return err
}

// serve starts the mail server and returns its address.
func (m *mailbox) serve(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return m, nil }))
	srv.ErrorLog = log.New(io.Discard, "", 0)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = srv.Serve(ln) }()
	t.Cleanup(func() { _, _ = ln.Close(), srv.Close(); <-ended })
	return ln.Addr().String()
}

// hook takes events.
func hook(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(body), `"type":"pullprint.notices.test"`) {
			t.Errorf("posted %s, %v", body, err)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(s.Close)
	return s
}

// One message is sent, and what the server answered is told; doctor only signs in.
func TestNoticesTest(t *testing.T) {
	n, m := newTenant(t), &mailbox{}
	if _, err := n.does("notices", "test", "student@contoso.com"); err == nil || !strings.Contains(err.Error(), "not configured") {
		t.Errorf("without mail: %v", err)
	}
	n.edit("nats:", "notices: {mail: {from: printing@contoso.com, smtp: {address: '"+m.serve(t)+"', tls: none}}}\nnats:")
	out, err := n.does("notices", "test", "student@contoso.com")
	if err != nil || !strings.Contains(out, "answered: ") || len(m.got) != 2 || m.got[0] != "student@contoso.com" ||
		!strings.Contains(m.got[1], "Test of notices") {
		t.Errorf("%q, %v, %q", out, err, m.got)
	}
	if out, _ := n.does("doctor"); !strings.Contains(out, "mail") || !strings.Contains(out, "lets us in") || len(m.got) != 2 {
		t.Errorf("doctor says %q, %d", out, len(m.got))
	}
	m.refuses = true
	if _, err := n.does("notices", "test", "student@contoso.com"); err == nil || !strings.Contains(err.Error(), "550 5.1.1") {
		t.Errorf("refused: %v", err)
	}
	if _, err := n.does("notices", "test", "nobody@contoso.com"); err == nil || !strings.Contains(err.Error(), "no such user") {
		t.Errorf("nobody: %v", err)
	}
	h := hook(t)
	secret := filepath.Join(filepath.Dir(n.config), "hook-secret")
	if err := os.WriteFile(secret, []byte("whsec_"+strings.Repeat("YWFh", 8)), 0o600); err != nil {
		t.Fatal(err)
	}
	n.edit("notices: {", "notices: {webhooks: [{url: '"+h.URL+"/x', secret_file: hook-secret}], ")
	m.refuses = false
	if out, err := n.does("notices", "test", "student@contoso.com"); err != nil || !strings.Contains(out, "answered 202") {
		t.Errorf("webhook: %q, %v", out, err)
	}
	if out, _ := n.does("doctor"); !strings.Contains(out, "can be connected to") {
		t.Errorf("doctor says %q", out)
	}
	var usage usageError
	if _, err := n.does("notices", "test", "jdoe"); !errors.As(err, &usage) {
		t.Errorf("no name: %v", err)
	}
	n.edit("address: '127.0.0.1:", "address: '127.0.0.1:1")
	if out, _ := n.does("doctor"); !strings.Contains(out, "could not be reached") {
		t.Errorf("doctor says %q", out)
	}
}

// Mail by Graph is tried with the app's own sign-in; doctor says that only a message proves it.
func TestNoticesTestByGraph(t *testing.T) {
	n := newTenant(t)
	n.edit("nats:", "notices: {mail: {from: admin@contoso.com, graph: true}}\nnats:")
	out, err := n.does("notices", "test", "student@contoso.com")
	if got := n.sim.Messages(); err != nil || !strings.Contains(out, "202") || len(got) != 1 || got[0].To != "student@contoso.com" {
		t.Errorf("%q, %v, %+v", out, err, got)
	}
	if out, _ := n.does("doctor"); !strings.Contains(out, "is sent by Microsoft Graph") || len(n.sim.Messages()) != 1 {
		t.Errorf("doctor says %q", out)
	}
}

// A message in Teams is tried with the app's own sign-in, and what Graph means is told; doctor says that only
// that proves it.
func TestNoticesTestInTeams(t *testing.T) {
	n := newTenant(t)
	app := n.sim.AddTeamsApp(graphtest.TeamsApp{ClientID: registerID, Activities: []string{"jobAborted"}, Consent: true})
	if err := os.WriteFile(filepath.Join(filepath.Dir(n.config), "token"), []byte("token-of-the-administrator"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.edit("nats:", "admin: {listen: '127.0.0.1:0', token_file: token}\nsign_in: {public_url: 'http://127.0.0.1:8080'}\n"+
		"notices: {teams: {app_id: "+app.ID+"}}\nnats:")
	_, err := n.does("notices", "test", "student@contoso.com")
	if err == nil || !strings.Contains(err.Error(), "403") || !strings.Contains(err.Error(), "has not installed the Teams app") {
		t.Errorf("without the app: %v", err)
	}
	n.sim.InstallTeamsApp(app.ID, n.plain)
	out, err := n.does("notices", "test", "student@contoso.com")
	if got := n.sim.Messages(); err != nil || !strings.Contains(out, "Sent by teams. It was answered: 204") || len(got) != 1 ||
		got[0].To != "student@contoso.com" || got[0].Subject != "Test of notices about print jobs" {
		t.Errorf("%q, %v, %+v", out, err, got)
	}
	if out, _ := n.does("doctor"); !strings.Contains(out, "teams") || !strings.Contains(out, "consents to TeamsActivity.Send.User") ||
		len(n.sim.Messages()) != 1 {
		t.Errorf("doctor says %q", out)
	}
}

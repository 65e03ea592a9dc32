package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/webhook"
)

// patient is a tenant with an installation for the doctor: a webhook that Graph
// reaches, and free ports.
type patient struct {
	*tenant
	hook                    *httptest.Server
	ahead                   time.Duration // of Graph's clock, against ours
	listen, metrics, origin string
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	n := &patient{tenant: newTenant(t), listen: mustFree(t), metrics: mustFree(t)}
	handler := webhook.New(webhook.Options{
		Store:    nowhere{},
		Verifier: trigger.NewVerifier(trigger.VerifierOptions{TenantID: n.sim.Tenant()}),
	})
	n.hook = httptest.NewServer(handler)
	t.Cleanup(n.hook.Close)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-n.ahead).UTC().Format(http.TimeFormat))
		n.sim.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	n.origin = front.URL
	n.edit("https://print.contoso.com", n.hook.URL)
	n.edit("public_url:", fmt.Sprintf("listen: %q, public_url:", n.listen))
	n.edit("endpoints: {", fmt.Sprintf("endpoints: {graph: \"%s/v1.0\", authority: %[1]q}\n# {", front.URL))
	n.edit("nats:", fmt.Sprintf("metrics: {listen: %q}\nnats:", n.metrics))
	return n
}

func (n *patient) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// needs writes a policy that looks at groups and pages.
func (n *patient) needs() {
	n.edit("nats:", "policy: {file: policy.yaml}\nnats:")
	n.write("policy.yaml",
		"allowances: [{name: all, when: '\"a\" in user.groups', pages: 5, every: week}]\nunmatched: free\n")
}

// job prints one.
func (n *patient) job() {
	user := n.sim.AddUser(graphtest.User{UPN: "anna@contoso.com", Groups: []graphtest.Group{{DisplayName: "a"}}})
	_, err := n.sim.Submit(graphtest.JobSpec{Printer: queueA, User: user.ID})
	n.must(err)
}

func (n *patient) refuse(op string, status int) {
	n.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(name string, _ graphtest.Request) graphtest.Fault {
			if name == op {
				return graphtest.Fault{Refuse: status}
			}
			return graphtest.Fault{}
		}
	})
}

// define makes the task definition, as the daemon does.
func (n *patient) define() *graph.Client {
	n.t.Helper()
	c, err := graph.New(graph.Config{
		TenantID: n.sim.Tenant(), Endpoints: graph.Endpoints{Graph: n.origin + "/v1.0", Authority: n.origin},
		Auth: auth.Config{ClientID: registerID, ClientSecretFile: filepath.Join(filepath.Dir(n.config), "secret")},
	}, graph.Options{})
	n.must(err)
	_, err = c.CreateDefinition(n.t.Context(), "pullprint")
	n.must(err)
	return c
}

// subscribe has Graph make the subscription, as the daemon does.
func (n *patient) subscribe() {
	n.t.Helper()
	c := n.define()
	_, err := c.CreateSubscription(n.t.Context(), graph.NewSubscription{
		Resource: graph.TasksResource(n.sim.Definitions()[0]), NotificationURL: n.hook.URL + trigger.NotificationPath,
		LifecycleNotificationURL: n.hook.URL +
			trigger.LifecyclePath, ClientState: "state", Expires: time.Now().Add(time.Hour),
	})
	n.must(err)
}

// away takes the webhook away: doctor itself has to stand in on webhook.listen.
func (n *patient) away() { n.edit(n.hook.URL, "http://"+n.listen) }

// keeper configures where a sign-in is kept.
func (n *patient) keeper() {
	n.edit("nats:", "administrator: {sign_in_file: kept, key_file: kept-key}\nnats:")
	key := make([]byte, 32)
	n.write("kept-key", base64.StdEncoding.EncodeToString(key))
}

// keep keeps the sign-in of the administrator.
func (n *patient) keep() {
	n.t.Helper()
	n.keeper()
	_, err := n.does("register", "plan", "--keep")
	n.must(err)
}

func (n *patient) apply() {
	n.t.Helper()
	_, err := n.does("register", "apply", "--yes")
	n.must(err)
}

// foreign gives a queue the trigger of another app.
func (n *patient) foreign() {
	n.t.Helper()
	n.sim.AddApp(graphtest.App{ClientID: otherApp})
	_, err := n.sim.AddTrigger(queueA, n.sim.PlantDefinition(otherApp, "theirs"))
	n.must(err)
}

// daemon answers at metrics.listen as one would, and listens at webhook.listen.
func (n *patient) daemon(status int, readiness string) {
	n.t.Helper()
	n.taken()
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, readiness)
	})
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `pullprint_build_info{goversion="go1.0",revision="0123",version="v0.0.1"} 1`)
	})
	ln, err := net.Listen("tcp", n.metrics)
	n.must(err)
	s := &httptest.Server{Listener: ln, Config: &http.Server{Handler: mux}}
	s.Start()
	n.t.Cleanup(s.Close)
}

// taken has somebody listen at webhook.listen.
func (n *patient) taken() {
	n.t.Helper()
	ln, err := net.Listen("tcp", n.listen)
	n.must(err)
	n.t.Cleanup(func() { ln.Close() })
}

func (n *patient) pem(name, kind string, der []byte) {
	n.write(name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

// certificate is that of the webhook.
func (n *patient) certificate(left time.Duration) {
	n.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	n.must(err)
	der, err := x509.MarshalECPrivateKey(key)
	n.must(err)
	n.pem("key.pem", "EC PRIVATE KEY", der)
	n.pem("cert.pem", "CERTIFICATE", bustest.SelfSigned(n.t, "print.contoso.com", left, key, &key.PublicKey).Raw)
	n.edit("public_url:", "tls: {cert_file: cert.pem, key_file: key.pem}, public_url:")
}

// signsWith has the app sign in by a certificate.
func (n *patient) signsWith(left time.Duration) {
	n.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	n.must(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	n.must(err)
	cert := bustest.SelfSigned(n.t, "pullprint", left, key, &key.PublicKey)
	n.pem("app.key", "PRIVATE KEY", der)
	n.pem("app.crt", "CERTIFICATE", cert.Raw)
	n.sim.AddApp(graphtest.App{ClientID: registerID, Certificates: []*x509.Certificate{cert}})
	n.edit("client_secret_file: secret", "certificate_file: app.crt, private_key_file: app.key")
}

// oldNATS speaks as a server of 2023 does, as far as its version.
func oldNATS(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprint(c,
					`INFO {"server_id":"OLD","version":"2.10.7","proto":1,"max_payload":1048576,"headers":true,"jetstream":true}`+"\r\n")
				lines := bufio.NewScanner(c)
				for lines.Scan() {
					if strings.HasPrefix(lines.Text(), "PING") {
						fmt.Fprint(c, "PONG\r\n")
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// nowhere stores nothing.
type nowhere struct{}

func (nowhere) PublishTask(context.Context, string, string, []byte) (bool, error) {
	return false, errors.New("nothing is stored here")
}

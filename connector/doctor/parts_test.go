package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/config"
	"pullprint/connector/store"
	"pullprint/policy/policyfile"
	"pullprint/trigger/webhook"
)

// The way to the public address: each thing that can be wrong there has a line of
// its own; when Graph has been there, none of them is a failure.
func TestPublicURL(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	echo := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, r.URL.Query().Get("validationToken"))
	}
	answer := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); fmt.Fprint(w, text) }
	}
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		of      string // whom the certificate is of
		left    time.Duration
		trusted bool
		handler http.HandlerFunc
		runs    bool
		result  string
		want    string
	}{
		"well":           {"print.contoso.com", 90 * day, true, echo, true, OK, "it answers Graph's question"},
		"ends soon":      {"print.contoso.com", 3 * day, true, echo, true, Warning, "its certificate ends on "},
		"another's name": {"www.contoso.com", 90 * day, true, echo, true, Failed, "the certificate is not of this name: "},
		"expired":        {"print.contoso.com", -time.Hour, true, echo, true, Failed, "the certificate is expired, or not valid yet"},
		"unknown authority": {
			"print.contoso.com", 90 * day, false, echo, true, Failed,
			"the certificate is not of an authority that is known",
		},
		"no TLS":              {"", 0, true, echo, true, Failed, "what answers speaks no TLS"},
		"a proxy alone":       {"print.contoso.com", 90 * day, true, answer(502, ""), true, Failed, "a proxy answers with status 502"},
		"no daemon behind it": {"print.contoso.com", 90 * day, true, answer(502, ""), false, Warning, "a proxy answers with status 502"},
		"something else": {
			"print.contoso.com", 90 * day, true, answer(200, "<html>welcome"), true, Failed,
			"something answers, and does not give Graph's question back",
		},
		"a sign-in page": {
			"print.contoso.com", 90 * day, true, answer(401, ""), true, Failed, "/graph/notifications is answered with status 401",
		},
		"html": {"print.contoso.com", 90 * day, true, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, r.URL.Query().Get("validationToken"))
		}, true, Failed, "something answers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(c.handler)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			roots := x509.NewCertPool()
			if c.of == "" {
				server.Start()
			} else {
				cert := bustest.SelfSigned(t, c.of, c.left, key, &key.PublicKey)
				server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
				server.StartTLS()
				if c.trusted {
					roots.AddCert(cert)
				}
			}
			t.Cleanup(server.Close)
			ds := &diagnostics{
				Options: Options{Config: &config.Config{Webhook: webhook.Config{PublicURL: "https://print.contoso.com/"}}},
				runs:    c.runs, roots: roots,
				dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
				},
			}
			ds.publicURL(t.Context())
			if len(ds.all) == 0 || ds.all[0].Result != c.result || !strings.Contains(ds.all[0].Text, c.want) ||
				(c.result != OK && ds.all[0].Do == "") {
				t.Errorf("%+v", ds.all)
			}
			ds.all, ds.live = nil, time.Now()
			ds.publicURL(t.Context())
			for _, f := range ds.all {
				if f.Result == Failed {
					t.Errorf("Graph has been there: %+v", f)
				}
			}
		})
	}
}

// What a store tells, and what it means.
func TestStore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		replicas int
		in       bus.Inspection
		want     Finding
	}{
		"a full disk": {
			0,
			bus.Inspection{Embedded: true, Free: 1 << 20, Needed: 1 << 30},
			Finding{About: "disk", Result: Failed, Text: "1 MiB are free, and the store may take 1024 MiB more"},
		},
		"one copy": {
			1, bus.Inspection{Version: "2.15.2"}, Finding{About: "fsync", Result: Warning, Text: "NATS does not tell how often it syncs"},
		},
		"three copies": {
			3, bus.Inspection{Version: "2.15.2", Cluster: "c"}, Finding{About: "fsync", Result: OK, Text: "not told by NATS; 3 copies"},
		},
		"fewer copies": {
			3,
			bus.Inspection{Cluster: "c", Streams: []store.StreamState{{Name: "PULLPRINT_TASKS", Replicas: 1, Leader: "a"}}},
			Finding{About: "replicas", Result: Warning, Text: "fewer than nats.replicas (3): PULLPRINT_TASKS"},
		},
		"a server is away": {
			3,
			bus.Inspection{Cluster: "c", Streams: []store.StreamState{{
				Name: "PULLPRINT_TASKS", Replicas: 3,
				Leader: "a", Away: []string{"c"},
			}}},
			Finding{About: "replicas", Result: Warning, Text: "copies are offline or behind: PULLPRINT_TASKS on c"},
		},
		"nobody leads": {
			3,
			bus.Inspection{Cluster: "c", Streams: []store.StreamState{{Name: "PULLPRINT_TASKS", Replicas: 3}}},
			Finding{About: "replicas", Result: Failed, Text: "no server leads PULLPRINT_TASKS"},
		},
		"all are there": {
			3,
			bus.Inspection{Cluster: "c", Streams: []store.StreamState{{Name: "PULLPRINT_TASKS", Replicas: 3, Leader: "a"}}},
			Finding{About: "replicas", Result: OK, Text: "1 stream, all copies are there"},
		},
		"an account's end": {
			1, bus.Inspection{Used: 95 << 20, Limit: 100 << 20}, Finding{
				About: "disk", Result: Warning,
				Text: "the account has 95 MiB of 100 MiB",
			},
		},
		"room in it": {
			1, bus.Inspection{Used: 5 << 20, Limit: 100 << 20}, Finding{
				About: "disk", Result: OK,
				Text: "the account has 5 MiB of 100 MiB",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ds := &diagnostics{Options: Options{Config: &config.Config{NATS: config.NATS{Replicas: c.replicas}}}}
			if c.in.Embedded {
				ds.embedded(t.Context(), c.in)
			} else {
				ds.external(c.in)
			}
			if !slices.ContainsFunc(ds.all, func(f Finding) bool {
				return f.About == c.want.About && f.Result == c.want.Result && strings.HasPrefix(f.Text, c.want.Text) &&
					(f.Result == OK) == (f.Do == "")
			}) {
				t.Errorf("%+v", ds.all)
			}
		})
	}
}

// Allowances that begin at midnight UTC, where people live in another zone.
func TestZone(t *testing.T) {
	t.Parallel()
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	const rest = "allowances: [{name: all, when: 'true', pages: 5, every: week}]\nunmatched: free\n"
	for text, want := range map[string]string{rest: Warning, "zone: Europe/Zurich\n" + rest: OK, "rules: []\n": OK} {
		p, err := policyfile.Load("policy.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		ds := &diagnostics{Options: Options{Policy: p}}
		ds.zone(time.Now().In(zurich))
		if len(ds.all) != 1 || ds.all[0].Result != want || (want == Warning) != strings.Contains(ds.all[0].Do, "zone: Europe/Zurich") {
			t.Errorf("%s: %+v", text, ds.all)
		}
	}
}

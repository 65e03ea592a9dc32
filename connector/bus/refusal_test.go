package bus_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

// serve starts a server with JetStream from the text of a configuration.
func serve(t *testing.T, text string, more ...func(*server.Options)) string {
	t.Helper()
	file := filepath.Join(bustest.TempDir(t), "nats.conf")
	if err := os.WriteFile(file, []byte("jetstream: {sync_interval: always}\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return bustest.FromFile(t, file, append(more, bustest.Port, bustest.Store(t))...)
}

// opens opens a bus that works.
func opens(t *testing.T, cfg bus.Config, o bus.Options) *bus.Bus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	b, err := bus.Open(ctx, cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := b.Canary(ctx); err != nil {
		t.Error(err)
	}
	if _, err := bus.Inspect(ctx, cfg); err != nil {
		t.Errorf("inspect: %v", err)
	}
	return b
}

var (
	seedLike = regexp.MustCompile(`S[A-Z][A-Z2-7]{20,}|eyJ[\w-]{10,}`)
	says     = func(parts ...string) []string { return parts }
)

// refused opens and inspects what must not work, at once and with these words.
func refused(t *testing.T, cfg bus.Config, words []string) {
	t.Helper()
	for what, try := range map[string]func(context.Context) error{
		"open":    func(ctx context.Context) error { b, err := bus.Open(ctx, cfg, bus.Options{}); return closing(b, err) },
		"inspect": func(ctx context.Context) error { _, err := bus.Inspect(ctx, cfg); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		began := time.Now()
		err := try(ctx)
		cancel()
		if err == nil {
			t.Errorf("%s: let in", what)
			continue
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: refused after %s", what, took)
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", what, err, w)
			}
		}
		if seedLike.MatchString(err.Error()) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: a secret, or more than a line: %q", what, err)
		}
	}
}

func closing(b *bus.Bus, err error) error {
	if b != nil {
		_ = b.Close()
	}
	return err
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	dir := bustest.TempDir(t)
	op, stranger := bustest.NewOperator(t), bustest.NewOperator(t)
	url := serve(t, "", op.Trust)
	good := op.User(filepath.Join(dir, "good.creds"), time.Time{})
	opens(t, bus.Config{URL: url, CredentialsFile: good}, bus.Options{})
	expired := op.User(filepath.Join(dir, "expired.creds"), time.Now().Add(-time.Hour))
	refused(t, bus.Config{URL: url, CredentialsFile: expired}, says("has expired on ", "nsc generate creds"))
	wrong := stranger.User(filepath.Join(dir, "wrong.creds"), time.Time{})
	refused(t, bus.Config{URL: url, CredentialsFile: wrong}, says("does not accept the user in nats.credentials_file",
		"have credentials made"))
	refused(t, bus.Config{URL: url}, says("lets nobody in without credentials", "set nats.credentials_file or nats.nkey_file"))
	refused(t, bus.Config{URL: url, CredentialsFile: filepath.Join(dir, "none")}, says("no such file"))
}

// A user that expires while the daemon runs is let in again with the credentials
// that stand in the file by then; meanwhile the log says what to do.
func TestCredentialsRenewed(t *testing.T) {
	t.Parallel()
	op := bustest.NewOperator(t)
	url := serve(t, "", op.Trust)
	file := op.User(filepath.Join(bustest.TempDir(t), "user.creds"), time.Now().Add(3*time.Second))
	core, logs := observer.New(zap.InfoLevel)
	b := opens(t, bus.Config{URL: url, CredentialsFile: file}, bus.Options{Logger: zap.New(core)})
	if logs.FilterMessage("NATS credentials end soon").Len() != 1 {
		t.Error("no warning of the end")
	}
	said := func() bool {
		for _, e := range logs.FilterMessage("connection error").All() {
			if strings.Contains(fmt.Sprint(e.ContextMap()["error"]), "has expired on ") {
				return true
			}
		}
		return false
	}
	within(t, 15*time.Second, "the log says that the user has expired", said)
	if err := b.Canary(t.Context()); err == nil {
		t.Error("an expired user can write")
	}
	<-time.After(2 * time.Second) // refused several times: it must not give up
	op.User(file, time.Time{})
	within(t, 15*time.Second, "it writes again", func() bool { return b.Canary(t.Context()) == nil })
}

// within asks again until ok.
func within(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", d, what)
		}
	}
}

func TestNkey(t *testing.T) {
	t.Parallel()
	dir := bustest.TempDir(t)
	good, wrong := filepath.Join(dir, "good.nk"), filepath.Join(dir, "wrong.nk")
	public := bustest.Nkey(t, good)
	bustest.Nkey(t, wrong)
	url := serve(t, "authorization: {users: [{nkey: "+public+"}]}")
	opens(t, bus.Config{URL: url, NkeyFile: good}, bus.Options{})
	both := filepath.Join(dir, "both.nk") // as nsc prints it
	seed, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(both, append(seed, public+"\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	opens(t, bus.Config{URL: url, NkeyFile: both}, bus.Options{})
	refused(t, bus.Config{URL: url, NkeyFile: wrong}, says("does not know the nkey in nats.nkey_file", "give its public key"))
	if err := os.WriteFile(wrong, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, bus.Config{URL: url, NkeyFile: wrong}, says("nats.nkey_file: the file holds no seed of an nkey"))
}

// A missing permission has no answer from the server: it is told all the same,
// at once and by name.
func TestPermission(t *testing.T) {
	t.Parallel()
	file := filepath.Join(bustest.TempDir(t), "user.nk")
	public := bustest.Nkey(t, file)
	for allowed, words := range map[string][]string{
		`publish: ["pullprint.>"], subscribe: ["_INBOX.>"]`: says("may not publish to $JS.API.INFO"),
		`publish: ["$JS.API.INFO"], subscribe: ["_INBOX.>"]`: says("may not publish to "+
			"$JS.API.STREAM.INFO.PULLPRINT_TASKS", "give it that permission"),
		`publish: ["$JS.API.INFO", "$JS.API.STREAM.>"], subscribe: ["nothing"]`:        says("may not subscribe to _INBOX."),
		`publish: {deny: ["$JS.API.CONSUMER.DURABLE.>", "$JS.API.CONSUMER.CREATE.>"]}`: says("may not publish to $JS.API.CONSUMER."),
	} {
		url := serve(t, fmt.Sprintf("authorization: {users: [{nkey: %s, permissions: {%s}}]}", public, allowed))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		began := time.Now()
		b, err := bus.Open(ctx, bus.Config{URL: url, NkeyFile: file}, bus.Options{})
		cancel()
		if closing(b, err) == nil {
			t.Errorf("%s: opened", allowed)
			continue
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) || time.Since(began) > 6*time.Second {
				t.Errorf("%s: after %s: %q does not say %q", allowed, time.Since(began), err, w)
			}
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := bustest.TempDir(t)
	ca, stranger := bustest.NewCA(t), bustest.NewCA(t)
	cert, key := ca.Issue(dir, "server")
	caFile, wrongCA := ca.Write(filepath.Join(dir, "ca.pem")), stranger.Write(filepath.Join(dir, "wrong-ca.pem"))
	url := serve(t, fmt.Sprintf("tls: {cert_file: %q, key_file: %q, ca_file: %q, verify: true}", cert, key, caFile))
	ours, oursKey := ca.Issue(dir, "client")
	theirs, theirsKey := stranger.Issue(dir, "stranger")
	opens(t, bus.Config{URL: url, TLS: bus.TLS{CAFile: caFile, CertFile: ours, KeyFile: oursKey}}, bus.Options{})
	refused(t, bus.Config{URL: url}, says("of a CA that this machine does not trust", "nats.tls.ca_file"))
	refused(t, bus.Config{URL: url, TLS: bus.TLS{CAFile: wrongCA, CertFile: ours, KeyFile: oursKey}},
		says("not of the CA in nats.tls.ca_file"))
	refused(t, bus.Config{URL: url, TLS: bus.TLS{CAFile: caFile}}, says("asks for a certificate of ours", "nats.tls.cert_file"))
	refused(t, bus.Config{URL: url, TLS: bus.TLS{CAFile: caFile, CertFile: theirs, KeyFile: theirsKey}},
		says("does not take the certificate in nats.tls.cert_file"))
	named := strings.Replace(url, "127.0.0.1", "localhost", 1)
	refused(t, bus.Config{URL: named, TLS: bus.TLS{CAFile: caFile, CertFile: ours, KeyFile: oursKey}},
		says("for other names than the one in nats.url"))
	plain := serve(t, "")
	refused(t, bus.Config{URL: plain, TLS: bus.TLS{CAFile: caFile}}, says("does not speak it", "take nats.tls out"))
}

// The files of nats.tls are read again at every connect: servers may move to
// another CA while the daemon runs.
func TestTLSRenewed(t *testing.T) {
	t.Parallel()
	dir := bustest.TempDir(t)
	at := bustest.FreeAddress(t)
	caFile := filepath.Join(dir, "ca.pem")
	conf := filepath.Join(dir, "nats.conf")
	renew := func() {
		ca := bustest.NewCA(t)
		ca.Write(caFile)
		ca.Issue(dir, "server")
		ca.Issue(dir, "client")
	}
	renew()
	text := fmt.Sprintf("listen: %q\njetstream: {store_dir: %q, sync_interval: always}\ntls: {cert_file: %q, key_file: %q, ca_file: %q, "+
		"verify: true}\n",
		at, filepath.Join(dir, "store"), filepath.Join(dir, "server.pem"), filepath.Join(dir, "server-key.pem"), caFile)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := bustest.Serve(t, conf)
	b := opens(t, bus.Config{
		URL: "nats://" + at,
		TLS: bus.TLS{CAFile: caFile, CertFile: filepath.Join(dir, "client.pem"), KeyFile: filepath.Join(dir, "client-key.pem")},
	}, bus.Options{})
	stop()
	renew()
	bustest.Serve(t, conf)
	within(t, 20*time.Second, "it writes again, with the new certificates", func() bool { return b.Canary(t.Context()) == nil })
}

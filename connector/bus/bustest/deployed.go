package bustest

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"pullprint/connector/bus"
)

// Deployed is a server that was started from the example of deploy/nats, with the
// keys and certificates that it wants.
type Deployed struct {
	URL string
	// Nkeys are the files of the seeds, by the name of the variable.
	Nkeys map[string]string
	// TLS is what a client needs.
	TLS bus.TLS
	// Options are what the server made of the file.
	Options *server.Options
}

// deployedKeys are the variables of the example that are public keys.
var deployedKeys = []string{"NATS_ADMIN_NKEY", "PULLPRINT_NKEY", "BRIDGE_NKEY", "READER_HQ_2_WEST_NKEY"}

// StartDeployed starts a server from the file. Only its addresses are others, its
// store, and it is alone.
func StartDeployed(t *testing.T, file string) *Deployed {
	t.Helper()
	dir := TempDir(t)
	ca := NewCA(t)
	d := &Deployed{Nkeys: map[string]string{}, TLS: bus.TLS{CAFile: ca.Write(filepath.Join(dir, "ca.pem"))}}
	cert, key := ca.Issue(dir, "server")
	d.TLS.CertFile, d.TLS.KeyFile = ca.Issue(dir, "client")
	t.Setenv("NATS_CERT", cert)
	t.Setenv("NATS_KEY", key)
	t.Setenv("NATS_CA", d.TLS.CAFile)
	for _, name := range deployedKeys {
		d.Nkeys[name] = filepath.Join(dir, name+".nk")
		t.Setenv(name, Nkey(t, d.Nkeys[name]))
	}
	d.URL = FromFile(t, file, func(o *server.Options) {
		d.Options = o.Clone()
		o.Cluster, o.Routes = server.ClusterOpts{}, nil
	}, Port, Store(t))
	return d
}

// Connect is a plain client with one of the keys.
func (d *Deployed) Connect(t *testing.T, key string, more ...nats.Option) *nats.Conn {
	t.Helper()
	sign, err := nats.NkeyOptionFromSeed(d.Nkeys[key])
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(d.URL, append(more, sign, nats.RootCAs(d.TLS.CAFile), nats.ClientCert(d.TLS.CertFile,
		d.TLS.KeyFile))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// AsIn is the path of a file of deploy/nats from a package two folders deep.
func AsIn(name string) string {
	return filepath.Join("..", "..", "deploy", "nats", name)
}

// Inbox is the prefix of the answers to a user of the example, by the name of its
// device or its task.
func Inbox(name string) nats.Option { return nats.CustomInboxPrefix("_INBOX." + name) }

// Ask sends a request and returns its answer, trying again while nobody listens.
func Ask(ctx context.Context, nc *nats.Conn, subject string, header map[string]string, body string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	msg := &nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{}}
	for k, v := range header {
		msg.Header.Set(k, v)
	}
	for {
		answer, err := nc.RequestMsgWithContext(ctx, msg)
		if err == nil {
			return answer.Data, nil
		}
		if !errors.Is(err, nats.ErrNoResponders) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

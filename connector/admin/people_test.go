package admin

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/privacy"
	"pullprint/trigger/graph"
)

// pipes is a listener in memory, which virtual time knows.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.done); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.conns <- there
	return here, nil
}

// slowDirectory is a directory that knows nobody, and takes long to say so.
type slowDirectory struct{}

func (slowDirectory) User(context.Context, string) (graph.User, bool, error) {
	time.Sleep(10 * time.Minute) // virtual
	return graph.User{}, false, nil
}

// nothing is a bucket with nothing in it.
type nothing struct{ privacy.KV }

func (nothing) Each(context.Context, string, func(string, []byte, uint64) error) error { return nil }

// acceptingAudit is an audit that takes everything.
type acceptingAudit struct{ Audit }

func (acceptingAudit) PublishAudit(context.Context, string, string, []byte) error { return nil }

// An erasure and an export take as long as they need: thousands of jobs are aborted one after
// the other. Who asked is told what became of it.
func TestLongErasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := NewAPI(Deps{
			Logger: zap.NewNop(), Tokens: newTokens(t), Audit: acceptingAudit{},
			People: &privacy.People{Users: slowDirectory{}, Badges: nothing{}},
		})
		ln := &pipes{make(chan net.Conn), make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		s := &Server{handler: api, log: zap.NewNop()}
		go func() { ended <- s.Serve(ctx, ln) }()
		c := NewClient("http://127.0.0.1:8080", testTokens["admin"])
		tr := &http.Transport{DialContext: ln.dial}
		c.http.Transport = tr
		_, err := c.ErasePerson(t.Context(), "nobody@contoso.com", privacy.Erasure{})
		if err == nil || !strings.Contains(err.Error(), "no badge has it") {
			t.Errorf("erased: %v", err)
		}
		if _, err = c.ExportPerson(t.Context(), "nobody@contoso.com"); err == nil || !strings.Contains(err.Error(), "no badge has it") {
			t.Errorf("exported: %v", err)
		}
		tr.CloseIdleConnections()
		cancel()
		<-ended
	})
}

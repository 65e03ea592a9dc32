package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/privacy"
	"pullprint/connector/store"
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

// withToken sends requests with a token.
type withToken struct {
	over  http.RoundTripper
	token string
}

func (w withToken) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Header.Set("Authorization", "Bearer "+w.token)
	return w.over.RoundTrip(req)
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
		tr := &http.Transport{DialContext: ln.dial}
		c := apiclient.Over(withToken{tr, testTokens["admin"]})
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

// noRecords are streams with nothing in them.
type noRecords struct{ privacy.Records }

func (noRecords) Scan(context.Context, store.Kind, func(store.Record) error) error { return nil }

// awayDirectory is a directory that does not answer.
type awayDirectory struct{}

func (awayDirectory) User(context.Context, string) (graph.User, bool, error) {
	return graph.User{}, false, errors.New("no answer")
}

// While Entra does not answer, sessions are ended by object id, and not by a user name.
func TestEndSessionsWithoutEntra(t *testing.T) {
	a := NewAPI(Deps{Logger: zap.NewNop(), Tokens: newTokens(t), Audit: acceptingAudit{}, People: &privacy.People{
		Users: awayDirectory{}, Records: noRecords{}, Jobs: nothing{}, Badges: nothing{}, State: nothing{}, Quota: nothing{},
	}})
	for user, want := range map[string]int{
		"11111111-2222-4333-8444-555555555555": http.StatusOK, "anna@contoso.com": http.StatusServiceUnavailable,
	} {
		req := httptest.NewRequest(http.MethodPost, "/v1/people/"+user+"/end-sessions", strings.NewReader("{}"))
		req.Header.Set("Authorization", "Bearer "+testTokens["admin"])
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, req)
		if rec.Code != want {
			t.Errorf("%s: %d %s", user, rec.Code, rec.Body)
		}
	}
}

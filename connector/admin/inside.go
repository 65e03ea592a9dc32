package admin

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
)

// insideKey is the key of the caller in the context of a request that a page of ours sends. No request
// from outside has one.
type insideKey struct{}

// ClientFor is a client of the API in the same process, for a page that has found out who asks: what it
// does needs the same role, has the same bounds and is audited as the same request over HTTP.
func (a *API) ClientFor(who access.Caller) *apiclient.Client { return ClientOver(a, who) }

// ClientOver is a client whose requests h answers, in the name of who.
func ClientOver(h http.Handler, who access.Caller) *apiclient.Client {
	return apiclient.Over(inside{h, who})
}

// inside has a handler of the same process answer requests.
type inside struct {
	handler http.Handler
	who     access.Caller
}

// RoundTrip implements http.RoundTripper.
func (t inside) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.WithContext(context.WithValue(req.Context(), insideKey{}, t.who))
	if in.Body == nil {
		in.Body = http.NoBody
	}
	answer := &insideAnswer{status: http.StatusOK, header: http.Header{}}
	t.handler.ServeHTTP(answer, in)
	return &http.Response{
		Status: strconv.Itoa(answer.status), StatusCode: answer.status, Header: answer.header, Request: req,
		Body: io.NopCloser(&answer.body), ContentLength: int64(answer.body.Len()), ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// insideAnswer keeps an answer, which maxAnswer bounds where it is read.
type insideAnswer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *insideAnswer) Header() http.Header         { return a.header }
func (a *insideAnswer) WriteHeader(status int)      { a.status = status }
func (a *insideAnswer) Write(p []byte) (int, error) { return a.body.Write(p) }

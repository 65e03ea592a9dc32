package graphtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Transport serves Graph, the authority and the document host in memory, whatever host a request names. It uses
// no sockets and no goroutines, so it works in virtual time. Lost answers and refused connections are errors; a
// request whose context ends while it waits fails with the context's error.
func (s *Sim) Transport() http.RoundTripper { return memory{s} }

type memory struct{ sim *Sim }

func (m memory) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := drain(req)
	if err != nil {
		return nil, err
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	in := *req // a shallow copy: RoundTrip must not change its request
	in.Body = io.NopCloser(bytes.NewReader(body))
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	rec := recorder{header: make(http.Header, 8)}
	if err := m.sim.serve(&rec, &in); err != nil {
		switch {
		case errors.Is(err, errRefused):
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
		case errors.Is(err, errLost):
			return nil, &net.OpError{Op: "read", Net: "tcp", Err: err}
		}
		return nil, err
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return rec.response(req), nil
}

// drain reads and closes the body, as RoundTrip must always do.
func drain(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(req.Body)
	if cerr := req.Body.Close(); err == nil {
		err = cerr
	}
	return body, err
}

// recorder is a ResponseWriter that keeps what is written.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

func (r *recorder) response(req *http.Request) *http.Response {
	r.WriteHeader(http.StatusOK)
	if r.header["Date"] == nil {
		r.header["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", r.status, http.StatusText(r.status)), StatusCode: r.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.header, Body: io.NopCloser(&r.body), ContentLength: int64(r.body.Len()), Request: req,
	}
}

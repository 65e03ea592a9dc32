package graph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pullprint/trigger/graph/transport"
)

// fetch reads a range. An expired address is renewed, and a lost answer requested again, once
// each.
func (r *DocumentReader) fetch(from, to int64) ([]byte, error) {
	var last *Error
	renewed, retried := false, false
	for {
		if e := r.client.pauses.wait(r.ctx, r.client, &call{op: readDocument, began: time.Now()}); e != nil {
			return nil, e
		}
		data, err := r.exchange(from, to)
		if err == nil {
			return data, nil
		}
		last = err
		switch expired := err.Status == http.StatusForbidden || err.Status == http.StatusUnauthorized; {
		case r.ctx.Err() != nil:
			return nil, last
		case expired && !renewed:
			renewed = true
			if err := r.locate(); err != nil {
				return nil, err
			}
		case !expired && !retried && (err.Status >= 500 || err.Status == http.StatusTooManyRequests || err.fate == lost):
			retried = true
		default:
			return nil, last
		}
	}
}

// exchange requests a range, and compares what the answer says about the document with what is
// known.
func (r *DocumentReader) exchange(from, to int64) ([]byte, *Error) {
	a, err := r.ask(from, to)
	r.read += int64(len(a.data))
	cl := call{op: readDocument}
	switch {
	case err != nil:
		return nil, err
	case a.size != r.size:
		if len(r.blocks) > 0 {
			return nil, cl.failed(garbled, ErrDocumentChanged)
		}
		r.size = a.size // the list of documents said otherwise
		return nil, cl.failed(garbled, errResized)
	}
	if r.etag == "" && !strings.HasPrefix(a.tag, "W/") {
		r.etag = a.tag
	}
	return a.data, nil
}

// partOf is the answer to a request for a range, with the size and the entity tag that the host
// states for the document.
type partOf struct {
	data []byte
	size int64
	tag  string
}

// ask requests a range. It does not change r, so several can run at once.
func (r *DocumentReader) ask(from, to int64) (partOf, *Error) {
	ctx, cancel := context.WithTimeout(r.ctx, blockTimeout)
	defer cancel()
	began := time.Now()
	cl := call{op: readDocument}
	h := http.Header{
		"Range": {fmt.Sprintf("bytes=%d-%d", from, to-1)}, "User-Agent": r.client.agent, "Accept-Encoding": {"identity"},
	}
	if r.etag != "" {
		h["If-Match"] = []string{r.etag}
	}
	req := (&http.Request{
		Method: http.MethodGet, URL: r.url, Host: r.url.Host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	resp, err := r.client.transport.RoundTrip(req)
	if err != nil {
		r.client.metrics.observe(readDocument, label(0, err), began)
		return partOf{}, cl.failed(lost, transport.Error{Cause: err})
	}
	defer resp.Body.Close()
	r.client.metrics.observe(readDocument, label(resp.StatusCode, nil), began)
	a := partOf{tag: resp.Header.Get("ETag")}
	if a.data, a.size, err = r.answer(resp, from, to); err != nil {
		e := cl.failed(garbled, err)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			e.fate = lost
		}
		if e.Status = resp.StatusCode; resp.StatusCode == http.StatusPartialContent {
			e.Status = 0
		}
		e.RetryAfter = transport.RetryAfter(resp.Header, transport.ServerTime(resp.Header))
		r.client.pauses.asked(e, readDocument)
		return a, e
	}
	return a, nil
}

// answer reads the answer to a request for a range, and the size that the host states for the
// document.
func (r *DocumentReader) answer(resp *http.Response, from, to int64) (data []byte, size int64, err error) {
	switch resp.StatusCode {
	case http.StatusPartialContent:
		return r.part(resp, from, to)
	case http.StatusRequestedRangeNotSatisfiable:
		text, ok := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes */")
		if size, err = strconv.ParseInt(text, 10, 64); ok && err == nil && size >= 0 && size != r.size {
			return nil, size, nil
		}
		return nil, 0, errRangeAnswer
	case http.StatusPreconditionFailed:
		return nil, 0, ErrDocumentChanged
	case http.StatusOK:
		return nil, 0, errNoRanges // the host sends the whole document, which is not read
	}
	return nil, 0, errors.New("not read")
}

// part reads an answer that has the requested range, or the beginning of it.
func (r *DocumentReader) part(resp *http.Response, from, to int64) (data []byte, size int64, err error) {
	var first, last int64
	if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size); err != nil ||
		first != from || last < first || last >= to || last >= size {
		return nil, 0, errRangeAnswer
	}
	if tag := resp.Header.Get("ETag"); r.etag != "" && tag != "" && tag != r.etag {
		return nil, 0, ErrDocumentChanged
	}
	data = make([]byte, last-first+1)
	if n, err := io.ReadFull(resp.Body, data); err != nil {
		return data[:n], 0, io.ErrUnexpectedEOF
	}
	if size == r.size && last+1 != min(to, size) {
		return data, 0, errRangeAnswer
	}
	return data, size, nil
}

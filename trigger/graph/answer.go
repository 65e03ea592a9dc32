package graph

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"pullprint/trigger/graph/transport"
)

// Limits of an answer, so that decoding it takes at most 32 MiB.
const (
	// maxAnswer is for one object, in bytes. A job with its tasks and documents, or the
	// capabilities of a printer, have some kB.
	maxAnswer = 1 << 20
	// maxPage is for a page of a list, in bytes: 1,000 entries, the most that Graph puts on a
	// page, of 4 kB each. A job with its tasks has 2 kB.
	maxPage = 4 << 20
	// maxElements is for all lists of an answer together. Decoded, even an element of two
	// bytes, {}, takes some hundred bytes. 1,000 jobs with their tasks have fewer than 10,000
	// elements, and 200 printers with all their capabilities fewer than 50,000.
	maxElements = 50_000
)

// decode reads a successful answer into out.
func (cl *call) decode(resp *http.Response) *Error {
	buf := borrow()
	defer giveBack(buf)
	limit := int64(maxAnswer)
	if cl.list {
		limit = maxPage
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, limit+1))
	e := &Error{Operation: cl.op.name(), Status: resp.StatusCode, write: cl.op.write()}
	switch {
	case err != nil:
		e.fate, e.Err = lost, transport.Error{Cause: err}
	case n > limit || !fewElements(buf.Bytes()):
		e.fate, e.Err = garbled, errTooLarge
	case json.Unmarshal(buf.Bytes(), cl.out) != nil:
		e.fate, e.Err = garbled, transport.ErrNotJSON
	default:
		return nil
	}
	return e
}

// fewElements reports whether the lists of a JSON text have at most maxElements elements
// together. It allocates no more than the text has bytes. Text that is not JSON is left to the
// decoder.
func fewElements(text []byte) bool {
	var open []byte // the brackets that are not closed yet
	elements := 0
	for i := 0; i < len(text); i++ {
		switch b := text[i]; b {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			open = append(open, b)
			if b == '[' {
				elements++
			}
		case ']', '}':
			open = open[:max(len(open)-1, 0)]
		case ',':
			if len(open) > 0 && open[len(open)-1] == '[' {
				elements++
			}
		}
		if elements > maxElements {
			return false
		}
	}
	return true
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// read reads an answer; nil means success.
func (cl *call) read(resp *http.Response) *Error {
	if to := resp.Header.Get("Location"); cl.location != nil && to != "" && resp.StatusCode/100 == 3 {
		*cl.location = to
		return nil
	}
	if resp.StatusCode/100 != 2 {
		return cl.refusal(resp)
	}
	if cl.later != nil {
		*cl.later = resp.Header.Get("Operation-Location")
	}
	if cl.out == nil {
		_, _ = io.CopyN(io.Discard, resp.Body, maxUnread) // so that the connection can be reused
		return nil
	}
	return cl.decode(resp)
}

// borrow returns a buffer for an answer. Return it with giveBack.
func borrow() *bytes.Buffer {
	if buf, ok := buffers.Get().(*bytes.Buffer); ok {
		return buf
	}
	return new(bytes.Buffer)
}

func giveBack(buf *bytes.Buffer) {
	if buf.Cap() <= maxPooled {
		buf.Reset()
		buffers.Put(buf)
	}
}

// refusal makes an Error of an answer that reports a failure.
func (cl *call) refusal(resp *http.Response) *Error {
	e := &Error{
		Operation: cl.op.name(), Status: resp.StatusCode, write: cl.op.write(),
		RetryAfter: transport.RetryAfter(resp.Header, transport.ServerTime(resp.Header)),
	}
	var body struct {
		Error struct {
			Code       string `json:"code"`
			InnerError struct {
				RequestID string `json:"request-id"`
			} `json:"innerError"`
		} `json:"error"`
	}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxUnread)) // what could not be read stays empty
	if json.Unmarshal(raw, &body) == nil {
		e.Code = safeCode(body.Error.Code)
		e.RequestID = safeID(body.Error.InnerError.RequestID)
	}
	return e
}

// safeID returns s if it has the form of an id, else nothing: it is logged.
func safeID(s string) string {
	if ValidID(s) {
		return s
	}
	return ""
}

// safeCode returns s if it is a code and not a sentence, which could quote a user.
func safeCode(s string) string {
	if len(s) > 64 {
		return ""
	}
	for i := range len(s) {
		if !idRune(rune(s[i])) && s[i] != '.' {
			return ""
		}
	}
	return s
}

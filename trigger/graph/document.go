package graph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	// ErrDocumentHost says that Graph sent us to a host that documents may not be
	// read from.
	ErrDocumentHost = errors.New("the document is on a host that is not allowed: look at documents.hosts")
	// ErrDocumentBudget says that more of a document would have to be read than
	// is allowed.
	ErrDocumentBudget = errors.New("more of the document would have to be read than documents.max_bytes")
	// ErrDocumentChanged says that a document changed while it was read.
	ErrDocumentChanged = errors.New("the document changed while it was read")
	errNoRanges        = errors.New("the host of the document has no byte ranges")
	errResized         = errors.New("the document has another size than the list of documents says")
	errRangeAnswer     = errors.New("the host of the document answered with other bytes than were asked for")
)

// DocumentOptions bound the reading of a document.
type DocumentOptions struct {
	// Hosts are those it may be read from: a name, or a suffix that begins with a
	// dot. A loopback host is allowed when Graph itself is one.
	Hosts []string
	// MaxBytes is how much is read at most; 0 is no bound.
	MaxBytes int64
}

// What is read at a time: a block, and up to maxAhead blocks when one follows the
// other; so many blocks are kept.
const (
	blockSize   = 32 << 10
	maxAhead    = 16
	maxBlocks   = 128
	blockWithin = 15 * time.Second
)

// DocumentReader reads parts of a document. It is an io.ReaderAt for one
// goroutine at a time; what was read lately is kept.
type DocumentReader struct {
	client   *Client
	ctx      context.Context //nolint:containedctx // of one reading, bounded by its caller
	ref      JobRef
	document string
	o        DocumentOptions

	mu     sync.Mutex
	url    *url.URL
	etag   string
	size   int64
	read   int64
	next   int64 // the block after the one read last
	ahead  int64
	blocks map[int64][]byte
	order  []int64
}

// OpenDocument asks Graph where the payload of a document is
// (https://learn.microsoft.com/graph/api/printdocument-get-file): an address on
// another host that needs no token, and gets none. The address is a secret and
// nowhere told. ctx is that of all reading.
func (c *Client) OpenDocument(ctx context.Context, ref JobRef, d Document, o DocumentOptions) (*DocumentReader, error) {
	if err := ids(getDocument, ref.Printer, ref.Job, d.ID); err != nil {
		return nil, err
	}
	r := &DocumentReader{client: c, ctx: ctx, ref: ref, document: d.ID, o: o, size: d.Size, ahead: 1, blocks: map[int64][]byte{}}
	if err := r.locate(); err != nil {
		return nil, err
	}
	// The end first: there is where both formats say what is in them, and the
	// answer says how large the document really is.
	_, err := r.block(max(0, d.Size-1) / blockSize)
	if errors.Is(err, errResized) {
		_, err = r.block(max(0, r.size-1) / blockSize)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Size is how large the document is, as its host says.
func (r *DocumentReader) Size() int64 { return r.size }

// BytesRead is how much was read of it so far.
func (r *DocumentReader) BytesRead() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read
}

// locate asks Graph for the address.
func (r *DocumentReader) locate() error {
	path := "/print/printers/" + r.ref.Printer + "/jobs/" + r.ref.Job + "/documents/" + r.document + "/$value"
	var to string
	cl := call{op: getDocument, url: r.client.at(path, ""), location: &to}
	if err := r.client.do(r.ctx, &cl); err != nil {
		return err
	}
	u, err := url.Parse(to)
	if to == "" || err != nil || u.Host == "" || u.User != nil {
		return cl.failed(garbled, errInvalid)
	}
	if !r.allowed(u) {
		return cl.failed(refused, ErrDocumentHost)
	}
	r.url = u
	return nil
}

// allowed reports whether a document may be read from there.
func (r *DocumentReader) allowed(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	base := &r.client.base
	if loopback(base.Hostname()) && loopback(host) {
		return u.Scheme == "https" || u.Scheme == "http"
	}
	if u.Scheme != "https" {
		return false
	}
	for _, h := range r.o.Hosts {
		h = strings.ToLower(h)
		if host == h || (strings.HasPrefix(h, ".") && strings.HasSuffix(host, h)) {
			return true
		}
	}
	return false
}

// ReadAt implements io.ReaderAt. Its errors never tell the address.
func (r *DocumentReader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errInvalid
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(p) && off < r.size {
		b, err := r.block(off / blockSize)
		if err != nil {
			return n, err
		}
		at := int(off % blockSize)
		if at >= len(b) {
			return n, io.ErrUnexpectedEOF
		}
		m := copy(p[n:], b[at:])
		n, off = n+m, off+int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// block is one block, read or kept.
func (r *DocumentReader) block(i int64) ([]byte, error) {
	if b, ok := r.blocks[i]; ok {
		return b, nil
	}
	if i == r.next {
		r.ahead = min(2*r.ahead, maxAhead)
	} else {
		r.ahead = 1
	}
	from := i * blockSize
	to := min(from+r.ahead*blockSize, r.size)
	for j := i + 1; j*blockSize < to; j++ {
		if _, ok := r.blocks[j]; ok {
			to = j * blockSize
		}
	}
	if r.size == 0 { // not known yet
		to = blockSize
	}
	data, err := r.fetch(from, to)
	if err != nil {
		return nil, err
	}
	for at := 0; at < len(data) || at == 0; at += blockSize {
		r.keep(i+int64(at/blockSize), data[at:min(at+blockSize, len(data))])
	}
	r.next = i + int64((len(data)+blockSize-1)/blockSize)
	return r.blocks[i], nil
}

func (r *DocumentReader) keep(i int64, b []byte) {
	if len(r.order) >= maxBlocks {
		delete(r.blocks, r.order[0])
		r.order = r.order[1:]
	}
	r.blocks[i] = b
	r.order = append(r.order, i)
}

// fetch reads a range. An address that is not good any more is asked for anew,
// and an answer that got lost is asked for again, once each.
func (r *DocumentReader) fetch(from, to int64) ([]byte, error) {
	if r.o.MaxBytes > 0 && r.read+(to-from) > r.o.MaxBytes {
		return nil, ErrDocumentBudget
	}
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

// exchange is one request for a range.
func (r *DocumentReader) exchange(from, to int64) ([]byte, *Error) {
	ctx, cancel := context.WithTimeout(r.ctx, blockWithin)
	defer cancel()
	began := time.Now()
	cl := call{op: readDocument}
	h := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, to-1)}, "User-Agent": r.client.agent, "Accept-Encoding": {"identity"}}
	if r.etag != "" {
		h["If-Match"] = []string{r.etag}
	}
	req := (&http.Request{Method: http.MethodGet, URL: r.url, Host: r.url.Host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	resp, err := r.client.wire.RoundTrip(req)
	if err != nil {
		r.client.metrics.observe(readDocument, label(0, err), began)
		return nil, cl.failed(lost, wireError{err})
	}
	defer resp.Body.Close()
	r.client.metrics.observe(readDocument, label(resp.StatusCode, nil), began)
	data, size, err := r.answer(resp, from, to)
	r.read += int64(len(data))
	switch {
	case err != nil:
		e := cl.failed(garbled, err)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			e.fate = lost
		}
		if e.Status = resp.StatusCode; resp.StatusCode == http.StatusPartialContent {
			e.Status = 0
		}
		e.RetryAfter = retryAfter(resp.Header, dateOf(resp.Header))
		r.client.pauses.asked(e, readDocument)
		return nil, e
	case size != r.size:
		if len(r.blocks) > 0 {
			return nil, cl.failed(garbled, ErrDocumentChanged)
		}
		r.size = size // the list of documents said otherwise
		return nil, cl.failed(garbled, errResized)
	}
	if r.etag == "" {
		if tag := resp.Header.Get("ETag"); !strings.HasPrefix(tag, "W/") {
			r.etag = tag
		}
	}
	return data, nil
}

// answer reads what a host answered to a request for a range, and how large it
// says the document is.
func (r *DocumentReader) answer(resp *http.Response, from, to int64) (data []byte, size int64, err error) {
	switch resp.StatusCode {
	case http.StatusPartialContent:
	case http.StatusRequestedRangeNotSatisfiable:
		text, ok := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes */")
		if size, err = strconv.ParseInt(text, 10, 64); ok && err == nil && size >= 0 && size != r.size {
			return nil, size, nil
		}
		return nil, 0, errRangeAnswer
	case http.StatusPreconditionFailed:
		return nil, 0, ErrDocumentChanged
	case http.StatusOK:
		return nil, 0, errNoRanges // all of it is on its way: it is not read
	default:
		return nil, 0, errors.New("not read")
	}
	var first, last int64
	if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size); err != nil || first != from || last < first || last >= to || last >= size {
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

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

	"pullprint/trigger/graph/transport"
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

// What is read at a time: a group of blocks, and up to maxAhead groups when one
// follows the other; single blocks where it is told before what will be read. So
// many blocks are kept, 4 MiB.
const (
	blockSize   = 4 << 10
	groupBlocks = 8
	maxAhead    = 16
	maxBlocks   = 1024
	blockWithin = 15 * time.Second
)

// DocumentReader reads parts of a document. It is an io.ReaderAt for one
// goroutine at a time; what was read lately is kept.
type DocumentReader struct {
	client   *Client
	ctx      context.Context //nolint:containedctx // of one reading, bounded by its caller
	ref      Ref
	document string
	o        DocumentOptions

	mu     sync.Mutex
	url    *url.URL
	etag   string
	size   int64
	read   int64
	used   int64 // of what was read, what was asked for: MaxBytes bounds it
	next   int64 // the group after the one read last
	ahead  int64
	blocks map[int64]*block
	order  []int64
}

type block struct {
	data []byte
	used bool
}

// OpenDocument asks Graph where the payload of a document is
// (https://learn.microsoft.com/graph/api/printdocument-get-file): an address on
// another host that needs no token, and gets none. The address is a secret and
// nowhere told. ctx is that of all reading.
func (c *Client) OpenDocument(ctx context.Context, ref Ref, d Document, o DocumentOptions) (*DocumentReader, error) {
	if err := ids(getDocument, ref.Printer, ref.Job, d.ID); err != nil {
		return nil, err
	}
	r := &DocumentReader{
		client: c, ctx: ctx, ref: ref, document: d.ID, o: o, size: d.Size, ahead: 1, blocks: map[int64]*block{},
	}
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
	b, ok := r.blocks[i]
	if !ok {
		if r.over(blockSize) {
			return nil, ErrDocumentBudget
		}
		if err := r.readAround(i); err != nil {
			return nil, err
		}
		b = r.blocks[i]
	}
	if !b.used {
		if r.over(int64(len(b.data))) {
			return nil, ErrDocumentBudget
		}
		b.used = true
		r.used += int64(len(b.data))
	}
	return b.data, nil
}

// over reports whether so much more is more than may be read.
func (r *DocumentReader) over(n int64) bool {
	return r.o.MaxBytes > 0 && r.used+min(n, r.size) > r.o.MaxBytes
}

// readAround reads the group of a block, and those behind it when the one before
// was read last. What nobody asks for then does not count, but it is never more
// than what does.
func (r *DocumentReader) readAround(i int64) error {
	group := i / groupBlocks
	if r.ahead = min(2*r.ahead, maxAhead); group != r.next || (r.o.MaxBytes > 0 && r.read > 2*r.o.MaxBytes) {
		r.ahead = 1
	}
	first, last := i, (group+r.ahead)*groupBlocks
	for first > group*groupBlocks && r.blocks[first-1] == nil {
		first--
	}
	for j := i + 1; j < last; j++ {
		if r.blocks[j] != nil {
			last = j
		}
	}
	from, to := first*blockSize, min(last*blockSize, r.size)
	if r.size == 0 { // not known yet
		to = blockSize
	}
	data, err := r.fetch(from, to)
	if err != nil {
		return err
	}
	r.keep(first, data)
	r.next = (first + int64((len(data)+blockSize-1)/blockSize) + groupBlocks - 1) / groupBlocks
	return nil
}

// keep keeps what was read from a block on.
func (r *DocumentReader) keep(first int64, data []byte) {
	for at := 0; at < len(data) || at == 0; at += blockSize {
		if len(r.order) >= maxBlocks {
			delete(r.blocks, r.order[0])
			r.order = r.order[1:]
		}
		i := first + int64(at/blockSize)
		r.blocks[i] = &block{data: data[at:min(at+blockSize, len(data))]}
		r.order = append(r.order, i)
	}
}

// fetch reads a range. An address that is not good any more is asked for anew,
// and an answer that got lost is asked for again, once each.
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

// exchange is one request for a range, whose answer tells what the document is.
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

// partOf is what a host answered to a request for a range, how large it says the
// document is, and its entity tag.
type partOf struct {
	data []byte
	size int64
	tag  string
}

// ask is one request for a range. It changes nothing of r, so that several can be
// on their way.
func (r *DocumentReader) ask(from, to int64) (partOf, *Error) {
	ctx, cancel := context.WithTimeout(r.ctx, blockWithin)
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

package graph

import (
	"context"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

var (
	// ErrDocumentHost says that Graph named a host from which documents may not be read.
	ErrDocumentHost = errors.New("the document is on a host that documents.hosts does not allow")
	// ErrDocumentBudget says that reading on would exceed the allowed number of bytes.
	ErrDocumentBudget = errors.New("more of the document would have to be read than documents.max_bytes")
	// ErrDocumentChanged says that a document changed while it was read.
	ErrDocumentChanged = errors.New("the document changed while it was read")
	errNoRanges        = errors.New("the host of the document has no byte ranges")
	errResized         = errors.New("the document has another size than the list of documents says")
	errRangeAnswer     = errors.New("the host of the document answered with other bytes than were asked for")
)

// DocumentOptions limit the reading of a document.
type DocumentOptions struct {
	// Hosts are those that it may be read from: names, or suffixes that begin with a dot.
	// Loopback hosts are allowed if Graph itself is on one.
	Hosts []string
	// MaxBytes is how much may be read; 0 means no limit.
	MaxBytes int64
}

// A request reads a group of blocks, and up to maxAhead groups when the document is read in
// order. Prefetch reads single blocks. At most maxBlocks, 4 MiB, are kept. blockTimeout bounds
// one request.
const (
	blockSize    = 4 << 10
	groupBlocks  = 8
	maxAhead     = 16
	maxBlocks    = 1024
	blockTimeout = 15 * time.Second
)

// DocumentReader reads parts of a document and caches them. It is an io.ReaderAt for one
// goroutine at a time.
type DocumentReader struct {
	client   *Client
	ctx      context.Context //nolint:containedctx // of one reading, bounded by its caller
	ref      Ref
	document string
	o        DocumentOptions

	mu     sync.Mutex // guards all that follows
	url    *url.URL
	etag   string
	size   int64
	read   int64 // bytes received
	used   int64 // bytes of blocks that were asked for, which MaxBytes limits
	next   int64 // the group after the one that was read last
	ahead  int64 // groups to read at once
	blocks map[int64]*block
	order  []int64 // of the keys of blocks, the oldest first
}

type block struct {
	data []byte
	used bool
}

// OpenDocument asks Graph for the address of the content of a document
// (https://learn.microsoft.com/graph/api/printdocument-get-file): it is on another host and
// needs no token, so none is sent. The address is a secret and never logged. ctx applies to all
// reading.
func (c *Client) OpenDocument(ctx context.Context, ref Ref, d Document, o DocumentOptions) (*DocumentReader, error) {
	r := &DocumentReader{
		client: c, ctx: ctx, ref: ref, document: d.ID, o: o, size: d.Size, ahead: 1, blocks: map[int64]*block{},
	}
	if err := r.locate(); err != nil {
		return nil, err
	}
	// The end is read first: both formats have their directory there, and the answer tells
	// the real size of the document.
	_, err := r.block(max(0, d.Size-1) / blockSize)
	if errors.Is(err, errResized) {
		_, err = r.block(max(0, r.size-1) / blockSize)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Size returns the size of the document, as its host says.
func (r *DocumentReader) Size() int64 { return r.size }

// BytesRead returns how many bytes of the document have been received.
func (r *DocumentReader) BytesRead() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read
}

// locate asks Graph for the address.
func (r *DocumentReader) locate() error {
	var to string
	cl := r.client.on(getDocument, r.ref.Printer, r.ref.Job, r.document)
	cl.location = &to
	if err := r.client.do(r.ctx, cl); err != nil {
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

// allowed reports whether the document may be read from u.
func (r *DocumentReader) allowed(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	base := &r.client.base
	if loopback(base.Hostname()) && loopback(host) {
		return u.Scheme == "https" || u.Scheme == "http"
	}
	if u.Scheme != "https" {
		return false
	}
	return slices.ContainsFunc(r.o.Hosts, func(h string) bool {
		h = strings.ToLower(h)
		return host == h || (strings.HasPrefix(h, ".") && strings.HasSuffix(host, h))
	})
}

// ReadAt implements io.ReaderAt. Its errors never contain the address.
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

// block returns a block, from memory or from the host.
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

// over reports whether n more bytes would exceed MaxBytes.
func (r *DocumentReader) over(n int64) bool {
	return r.o.MaxBytes > 0 && r.used+min(n, r.size) > r.o.MaxBytes
}

// readAround reads the group of a block, and groups after it if the group before was read last.
// Blocks read in advance don't count until they are asked for, but they are never more than
// those that do.
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

// keep stores data that was read from the block first on.
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

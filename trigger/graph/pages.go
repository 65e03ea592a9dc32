package graph

import (
	"context"
	"hash/maphash"
	"iter"
	"net/url"
	"strings"
)

const (
	maxPages    = 10_000  // of 20 to 1,000 entries each: more than any tenant has
	maxNextLink = 8 << 10 // bytes; servers commonly refuse longer request lines
)

// page is one page of a list.
type page[T any] struct {
	Value []T    `json:"value"`
	Next  string `json:"@odata.nextLink"`
}

// each calls yield for every entry of a list, page by page
// (https://learn.microsoft.com/graph/paging), until it returns false. Each page has a budget of
// its own.
func each[T any](ctx context.Context, c *Client, cl *call, yield func(T) bool) error {
	cl.list = true
	seed := maphash.MakeSeed()
	seen := map[uint64]bool{}
	for range maxPages {
		var p page[T]
		cl.out = &p
		if err := c.do(ctx, cl); err != nil {
			return err
		}
		if p.Value == nil { // an empty list is [], not absent
			return cl.failed(garbled, errOther)
		}
		for _, v := range p.Value {
			if !yield(v) {
				return nil
			}
		}
		if p.Next == "" {
			return nil
		}
		next, ok := c.nextLink(p.Next)
		if !ok {
			return cl.failed(refused, errNextLink)
		}
		h := maphash.String(seed, p.Next)
		if seen[h] {
			return cl.failed(refused, errPagesLoop)
		}
		seen[h] = true
		cl.url = next
	}
	return cl.failed(refused, errManyPages)
}

// collect reads a whole list.
func collect[W, T any](ctx context.Context, c *Client, cl *call, of func(W) T) ([]T, error) {
	var all []T
	err := each(ctx, c, cl, func(v W) bool { all = append(all, of(v)); return true })
	return all, err
}

// stream reads a list while it is used. An error comes last.
func stream[W, T any](ctx context.Context, c *Client, cl *call, of func(W) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		once := *cl
		if err := each(ctx, c, &once, func(v W) bool { return yield(of(v), nil) }); err != nil {
			yield(*new(T), err)
		}
	}
}

// itself is for entries of a list that are used as they come.
func itself[T any](v T) T { return v }

// nextLink parses the address of a next page. It must be below our base URL, because the
// request carries the token.
func (c *Client) nextLink(s string) (*url.URL, bool) {
	if len(s) > maxNextLink {
		return nil, false
	}
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Opaque != "" || u.Fragment != "" || u.Scheme != c.base.Scheme ||
		!sameHost(u, &c.base) {
		return nil, false
	}
	below, ok := strings.CutPrefix(u.EscapedPath(), c.base.EscapedPath()+"/")
	if !ok {
		return nil, false
	}
	for segment := range strings.SplitSeq(below, "/") {
		if plain, err := url.PathUnescape(segment); err != nil || plain == "." || plain == ".." ||
			strings.ContainsAny(plain, `/\`) {
			return nil, false
		}
	}
	u.Host = c.base.Host // in our spelling, for the connection pool
	return u, true
}

// sameHost compares host and port, of URLs of the same scheme.
func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

package pages

import "fmt"

// The bounds of a page tree. A tree grows deep where a program appends page by
// page; 500 levels are more than any reader follows that recurses.
const maxTree = 500

// together is how many kids are asked of the reader at once: their places are a
// quarter of what graph.DocumentReader keeps.
const together = 128

// countTree counts the leaves of the page tree.
func (f *file) countTree() (int, missing, error) {
	f.b.objects = 0
	w := walk{f: f}
	root, err := f.dictOf(f.trailer["Root"])
	if err != nil {
		return 0, w.lost, err
	}
	tree, err := f.dictOf(root["Pages"])
	if err != nil {
		return 0, w.lost, err
	}
	if r, ok := root["Pages"].(ref); ok {
		if _, err := w.nodes.add(f.b, r.number); err != nil {
			return 0, w.lost, err
		}
	}
	n, err := w.node(tree, 0)
	if err == nil && n == 0 {
		err = errEmpty
	}
	return n, w.lost, err
}

// errEmpty is of a tree that can be read and has no page. It isn't searched for
// the pages that somebody took out.
var errEmpty = fmt.Errorf("%w: it has no page", ErrDamaged)

// errFree is of a page that is free by the cross-reference and is still where its
// entry leads to. A search would find it, also if it was deleted.
var errFree = fmt.Errorf("%w: a page is free and still there", ErrDamaged)

// errLost is of a page that the cross-reference does not lead to, and that is there.
var errLost = fmt.Errorf("%w: a page is there that the cross-reference does not lead to", ErrDamaged)

// walk goes through a page tree. /Count is not looked at: it is what a producer
// says, and the leaves are what prints.
type walk struct {
	f *file
	// nodes are the inner nodes seen: none may stand in the tree twice. leaves are
	// known pages; one that stands there three times prints three times.
	nodes, leaves numbers
	total         int
	lost          missing
}

// node counts the leaves below an inner node.
func (w *walk) node(node dict, depth int) (n int, err error) {
	if depth > maxTree {
		return 0, ErrDamaged
	}
	kids, err := w.f.resolve(node["Kids"])
	if err != nil {
		return 0, err
	}
	list, ok := kids.(array)
	if !ok {
		return 0, ErrDamaged // it has no list of pages
	}
	for i, kid := range list {
		if i%together == 0 {
			if err := w.prefetch(list[i:min(i+together, len(list))]); err != nil {
				return 0, err
			}
		}
		more, err := w.kid(kid, depth)
		if err != nil {
			return 0, err
		}
		n += more
	}
	return n, nil
}

// kid counts the leaves of one kid: itself, or those below it.
func (w *walk) kid(kid any, depth int) (int, error) {
	f := w.f
	r, referred := kid.(ref)
	if referred && w.leaves.has(r.number) {
		return w.leaf()
	}
	mark := f.b.objects
	defer func() { f.b.objects = mark }()
	v, err := f.resolve(kid)
	if err != nil {
		return 0, err
	}
	// Nothing is there, so nothing prints. In a file that was searched for its objects
	// it may be there and not have been found: cut off, or with a damaged heading.
	if v == nil && (!referred || !f.rebuilt) {
		if referred {
			err = w.lost.add(f, r.number)
		}
		return 0, err
	}
	d, ok := v.(dict)
	if !ok {
		return 0, ErrDamaged
	}
	// Readers go by /Kids and take whatever has none for a page, also a font. Where
	// the type says the contrary, they differ.
	_, inner := d["Kids"]
	if (d["Type"] == name("Page") && inner) || (d["Type"] == name("Pages") && !inner) {
		return 0, ErrDamaged
	}
	if !inner {
		if referred {
			if _, err := w.leaves.add(f.b, r.number); err != nil {
				return 0, err
			}
		}
		return w.leaf()
	}
	if referred {
		switch fresh, err := w.nodes.add(f.b, r.number); {
		case err != nil:
			return 0, err
		case !fresh:
			return 0, ErrDamaged // a loop, or a tree with two trunks
		}
	}
	return w.node(d, depth+1)
}

func (w *walk) leaf() (int, error) {
	if w.total++; w.total > Most {
		return 0, ErrTooLarge
	}
	return 1, w.f.b.work(1)
}

// prefetch tells the reader where the kids are that are looked at next.
func (w *walk) prefetch(kids array) error {
	if len(kids) < 2 {
		return nil
	}
	offsets := make([]int64, 0, len(kids))
	for _, kid := range kids {
		r, ok := kid.(ref)
		if !ok || w.leaves.has(r.number) {
			continue
		}
		e, err := w.f.lookup(r.number)
		if err == nil && e.stream != 0 {
			e, err = w.f.lookup(e.stream)
		}
		if isBudget(err) {
			return err
		}
		if err == nil && !e.free && !e.unlisted && e.stream == 0 {
			offsets = append(offsets, e.offset+w.f.shift)
		}
	}
	if p, ok := w.f.r.(prefetcher); ok {
		p.Prefetch(offsets)
	}
	return nil
}

// numbers is a set of object numbers, 64 in a word: they mostly stand together.
type numbers map[int64]uint64

// wordSize is about what an entry of the map costs.
const wordSize = 48

func (s numbers) has(n int64) bool { return s[n>>6]&(1<<(n&63)) != 0 }

// add reports whether a number is new.
func (s *numbers) add(b *budget, n int64) (bool, error) {
	if *s == nil {
		*s = numbers{}
	}
	w, known := (*s)[n>>6]
	if !known {
		if err := b.hold(wordSize); err != nil {
			return false, err
		}
	}
	(*s)[n>>6] = w | 1<<(n&63)
	return w&(1<<(n&63)) == 0, nil
}

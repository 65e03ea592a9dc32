package pdf

import (
	"fmt"

	"pullprint/trigger/pages/document"
)

// maxTree limits the depth of a page tree. A tree grows deep when a program appends page by
// page; readers that recurse follow fewer than 500 levels.
const maxTree = 500

// together is how many kids are prefetched at once: their blocks are a quarter of what
// graph.DocumentReader keeps.
const together = 128

// countTree counts the leaves of the page tree.
func (f *file) countTree() (int, missing, error) {
	f.b.Reset(0)
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

// errEmpty is for an intact tree without pages. The file is not searched for pages that were
// removed.
var errEmpty = fmt.Errorf("%w: it has no page", document.ErrDamaged)

// errFree is for a page that is free according to the cross-reference and still exists where
// its entry points. A search would find it even if it was deleted.
var errFree = fmt.Errorf("%w: a page is free and still there", document.ErrDamaged)

// errLost is for a page that exists but that the cross-reference does not list.
var errLost = fmt.Errorf("%w: a page is there that the cross-reference does not lead to", document.ErrDamaged)

// walk walks a page tree. It ignores /Count, which is what a producer claims; the leaves are
// what prints.
type walk struct {
	f *file
	// nodes are the inner nodes seen: none may be in the tree twice. leaves are known pages;
	// one that is in the tree three times prints three times.
	nodes, leaves numbers
	total         int
	lost          missing
}

// node counts the leaves below an inner node.
func (w *walk) node(node dict, depth int) (n int, err error) {
	if depth > maxTree {
		return 0, document.ErrDamaged
	}
	kids, err := w.f.resolve(node["Kids"])
	if err != nil {
		return 0, err
	}
	list, ok := kids.(array)
	if !ok {
		return 0, document.ErrDamaged // it has no list of pages
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
	mark := f.b.Mark()
	defer func() { f.b.Reset(mark) }()
	v, err := f.resolve(kid)
	if err != nil {
		return 0, err
	}
	// A kid that does not exist prints nothing. But if the file was searched for objects, it may
	// exist without having been found: cut off, or with a damaged heading.
	if v == nil && (!referred || !f.rebuilt) {
		if referred {
			err = w.lost.add(f, r.number)
		}
		return 0, err
	}
	d, ok := v.(dict)
	if !ok {
		return 0, document.ErrDamaged
	}
	// Readers go by /Kids: whatever has none counts as a page, even a font. If the type
	// contradicts that, they differ.
	_, inner := d["Kids"]
	if (d["Type"] == name("Page") && inner) || (d["Type"] == name("Pages") && !inner) {
		return 0, document.ErrDamaged
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
			return 0, document.ErrDamaged // a loop, or a node with two parents
		}
	}
	return w.node(d, depth+1)
}

func (w *walk) leaf() (int, error) {
	if w.total++; w.total > document.Most {
		return 0, document.ErrTooLarge
	}
	return 1, w.f.b.Work(1)
}

// prefetch tells the reader the offsets of the kids that are read next.
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
		if document.IsFinal(err) {
			return err
		}
		if err == nil && !e.free && !e.unlisted && e.stream == 0 {
			offsets = append(offsets, e.offset+w.f.shift)
		}
	}
	w.f.r.Prefetch(offsets)
	return nil
}

// numbers is a set of object numbers, 64 in a word, since they are mostly consecutive.
type numbers map[int64]uint64

// wordSize is about how much memory an entry of the map takes.
const wordSize = 48

func (s numbers) has(n int64) bool { return s[n>>6]&(1<<(n&63)) != 0 }

// add adds a number and reports whether it is new.
func (s *numbers) add(b *document.Budget, n int64) (bool, error) {
	if *s == nil {
		*s = numbers{}
	}
	w, known := (*s)[n>>6]
	if !known {
		if err := b.Hold(wordSize); err != nil {
			return false, err
		}
	}
	(*s)[n>>6] = w | 1<<(n&63)
	return w&(1<<(n&63)) == 0, nil
}

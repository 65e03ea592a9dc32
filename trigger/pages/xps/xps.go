// Package xps counts the pages of an XPS or OXPS file: it follows the references from the root
// of the package to the pages, without reading these. What readers may take for different
// documents, as two zip files in one, is an error. Memory and work are bounded by the
// document.Budget; parts, their tags and pieces by constants.
package xps

import (
	"bufio"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf16"

	"pullprint/trigger/pages/document"
)

// maxTag limits the length of a tag, comment or text in a part: xml.Decoder holds each of them
// as a whole. Producers write tags of some hundred bytes.
const maxTag = 16 << 10

// partSize is the memory for reading a part: for inflating, and for a tag with many attributes.
const partSize = 512 << 10

// maxDocuments limits the documents of a package; producers write one.
const maxDocuments = 10_000

// maxTagDepth limits how deep tags are nested. Those that are read here are nested at most four
// deep, with the links of a page.
const maxTagDepth = 64

// maxAttributes limits those of a tag: what is read here has at most six, with name spaces.
const maxAttributes = 64

// spaces are the name spaces of what is read here: those of XPS and Open XPS, and that of
// relationships (ECMA-376-2).
var spaces = map[string]bool{
	"http://schemas.microsoft.com/xps/2005/06":                     true,
	"http://schemas.openxps.org/oxps/v1.0":                         true,
	"http://schemas.openxmlformats.org/package/2006/relationships": true,
}

// fixedRepresentation follows the name space of XPS or Open XPS in the type of the relationship
// that names the root of a package.
const fixedRepresentation = "/fixedrepresentation"

// Count counts the pages of a package (ECMA-388, Open XML Paper Specification) as its
// documents refer to them: a page without a reference does not print, one with two prints
// twice.
func Count(r *document.Reader, b *document.Budget, size int64) (int, error) {
	z, err := openPack(r, b, size)
	if err != nil {
		return 0, err
	}
	root, err := z.root()
	if err != nil {
		return 0, err
	}
	n, documents := 0, 0
	err = z.references(root, "FixedDocumentSequence", "DocumentReference", func(fixed string) error {
		if documents++; documents > maxDocuments {
			return document.ErrTooLarge
		}
		return z.references(fixed, "FixedDocument", "PageContent", func(page string) error {
			if n++; n > document.Most {
				return document.ErrTooLarge
			}
			if strings.EqualFold(page, fixed) || strings.EqualFold(page, root) {
				return document.ErrDamaged // not a page
			}
			return z.printable(page)
		})
	})
	return n, err
}

// printable refuses a page that can't print, since it is not known what happens to the document
// then. It does not read the page itself.
func (z *pack) printable(page string) error {
	list, size := z.items(page), int64(0)
	if err := z.b.Work(int64(len(list))); err != nil {
		return err
	}
	for _, it := range list {
		if err := it.readable(); err != nil {
			return err
		}
		size += it.size
	}
	if size == 0 { // missing or empty
		return document.ErrDamaged
	}
	return nil
}

// ErrNoPackage is for a zip file that is not a package of pages.
var ErrNoPackage = fmt.Errorf("%w: it has no pages", document.ErrDamaged)

// root returns the sequence of documents at which a package begins.
func (z *pack) root() (string, error) {
	if z.items("_rels/.rels") == nil {
		return "", ErrNoPackage
	}
	root := ""
	err := z.tags("_rels/.rels", func(t tag) error {
		space, ok := strings.CutSuffix(strings.ToLower(t.attr("Type")), fixedRepresentation)
		if t.name != "Relationship" || !t.ours || !ok || !spaces[space] {
			return nil
		}
		target, ok := resolved("", t.attr("Target"))
		if root != "" || !ok || strings.EqualFold(t.attr("TargetMode"), "External") {
			return document.ErrDamaged
		}
		root = target
		return nil
	})
	if err == nil && root == "" {
		err = ErrNoPackage // as a package of another format
	}
	return root, err
}

// references calls do with each part to which a part refers.
func (z *pack) references(part, outer, inner string, do func(part string) error) error {
	depth := 0
	return z.tags(part, func(t tag) error {
		if t.end {
			depth--
			return nil
		}
		depth++
		switch {
		case depth == 1 && (t.name != outer || !t.ours),
			t.name == "AlternateContent": // which alternative prints is not certain
			return document.ErrDamaged
		case t.name != inner:
			return nil
		case depth != 2, !t.ours: // readers differ
			return document.ErrDamaged
		}
		to, ok := resolved(part, t.attr("Source"))
		if !ok || strings.EqualFold(to, contentTypes) {
			return document.ErrDamaged
		}
		return do(to)
	})
}

// contentTypes is an item of a package that is not a part (ECMA-376-2, 7.2.3).
const contentTypes = "[Content_Types].xml"

// resolved returns the part that a reference in a part names.
func resolved(from, to string) (string, bool) {
	to, _, _ = strings.Cut(to, "#")
	to = strings.ReplaceAll(to, `\`, "/")
	if to == "" || strings.Contains(to, "://") {
		return "", false
	}
	if !strings.HasPrefix(to, "/") {
		to = path.Join("/", path.Dir("/"+from), to)
	}
	return strings.TrimPrefix(path.Clean(to), "/"), true
}

// tag is a start or end tag in a part; ours says that its name space is one of spaces.
type tag struct {
	name string
	ours bool
	end  bool
	list []xml.Attr
}

func (t tag) attr(name string) string {
	for _, a := range t.list {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// repeats reports whether an attribute occurs twice, which is not valid XML: readers differ in
// which one they use.
func repeats(list []xml.Attr) bool {
	for i := range list {
		if slices.ContainsFunc(list[:i], func(a xml.Attr) bool { return a.Name == list[i].Name }) {
			return true
		}
	}
	return false
}

// tags calls do with each tag of a part. It never holds more than a stretch of the part.
func (z *pack) tags(part string, do func(tag) error) error {
	src, err := z.open(part)
	if err != nil {
		return err
	}
	if err := z.b.Hold(partSize); err != nil {
		return err
	}
	defer z.b.Free(partSize)
	d := xml.NewDecoder(&stretches{r: utf8Of(newBuffered(src)), left: z.b.Limits.Part})
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	depth, begun := 0, false
	for {
		t, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && begun && depth == 0:
			return nil
		case document.IsFinal(err), errors.Is(err, document.ErrEncrypted):
			return err
		case err != nil:
			return document.ErrDamaged
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth == 0 && begun || depth == maxTagDepth || len(t.Attr) > maxAttributes || repeats(t.Attr) {
				return document.ErrDamaged
			}
			depth, begun = depth+1, true
			err = do(tag{name: t.Name.Local, ours: spaces[t.Name.Space], list: t.Attr})
		case xml.EndElement:
			if depth--; depth < 0 {
				return document.ErrDamaged
			}
			err = do(tag{name: t.Name.Local, end: true})
		case xml.Directive:
			err = document.ErrDamaged // a DTD: ECMA-376-2 forbids it
		}
		if err != nil {
			return err
		}
	}
}

// stretches ends a part that is too long, or that contains a tag, comment or text that is:
// xml.Decoder holds each of them as a whole.
type stretches struct {
	r       io.Reader
	left    int64
	stretch int
	tail    [3]byte // the last bytes
	// until is the end of the current comment, CDATA section or instruction.
	until string
}

// Read implements io.Reader.
func (s *stretches) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.left -= int64(n); s.left < 0 {
		return 0, document.ErrTooLarge
	}
	for _, b := range p[:n] {
		s.tail = [3]byte{s.tail[1], s.tail[2], b}
		tail := string(s.tail[:])
		switch s.stretch++; {
		case s.until != "":
			if strings.HasSuffix(tail, s.until) {
				s.until, s.stretch = "", 0
			}
		case tail == "<!-":
			s.until = "-->"
		case tail == "<![":
			s.until = "]]>"
		case tail[1:] == "<?":
			s.until = "?>"
		case b == '<' || b == '>':
			s.stretch = 0
		}
		if s.stretch > maxTag {
			return 0, document.ErrTooLarge
		}
	}
	return n, err
}

func newBuffered(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 4096) }

// utf8Of converts a part to UTF-8; parts may be in UTF-16.
func utf8Of(r *bufio.Reader) io.Reader {
	head, _ := r.Peek(3)
	switch {
	case len(head) >= 3 && string(head) == "\xef\xbb\xbf":
		_, _ = r.Discard(3)
	case len(head) >= 2 && string(head[:2]) == "\xff\xfe":
		_, _ = r.Discard(2)
		return utf16Reader(r, binary.LittleEndian)
	case len(head) >= 2 && string(head[:2]) == "\xfe\xff":
		_, _ = r.Discard(2)
		return utf16Reader(r, binary.BigEndian)
	}
	return r
}

// utf16Reader converts UTF-16 to UTF-8.
func utf16Reader(r io.Reader, order binary.ByteOrder) io.Reader {
	unit := func() (rune, error) {
		var b [2]byte
		_, err := io.ReadFull(r, b[:])
		return rune(order.Uint16(b[:])), err
	}
	return document.Produced(func() ([]byte, error) {
		c, err := unit()
		if err == nil && utf16.IsSurrogate(c) {
			var low rune
			low, err = unit()
			c = utf16.DecodeRune(c, low)
		}
		if err != nil {
			return nil, err
		}
		return []byte(string(c)), nil
	})
}

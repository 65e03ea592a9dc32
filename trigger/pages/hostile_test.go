package pages_test

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"pullprint/trigger/pages"
	"pullprint/trigger/racetest"
)

// full has the hostile documents be as large as the bounds of a count ask for. By
// default bounds and documents are both a part of that.
var full = flag.Bool("full", false, "hostile documents of full size: minutes with -race")

// part is which part of the full size the hostile documents and the bounds have.
func part() int64 {
	if *full {
		return 1
	}
	return 8
}

// deflated is what a reader holds, as a zlib stream.
func deflated(tb testing.TB, r io.Reader) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, zlib.BestSpeed)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := io.Copy(w, r); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// repeated is a text, again and again.
func repeated(text string, size int64) io.Reader {
	return io.LimitReader(&again{text: strings.Repeat(text, 1+4096/len(text))}, size) // read in long pieces
}

type again struct {
	text string
	at   int
}

func (a *again) Read(p []byte) (int, error) {
	n := copy(p, a.text[a.at:])
	a.at = (a.at + n) % len(a.text)
	return n, nil
}

// writer writes a PDF object by object.
type writer struct {
	bytes.Buffer
	offsets map[int]int
}

func newWriter() *writer {
	w := &writer{offsets: map[int]int{}}
	w.WriteString("%PDF-1.7\n")
	return w
}

func (w *writer) object(number int, format string, args ...any) {
	w.offsets[number] = w.Len()
	fmt.Fprintf(w, "%d 0 obj\n", number)
	fmt.Fprintf(w, format, args...)
	w.WriteString("\nendobj\n")
}

func (w *writer) stream(number int, dict string, data []byte) {
	w.object(number, "<< %s /Length %d >>\nstream\n%s\nendstream", dict, len(data), data)
}

// pages writes a root and a tree of two pages, as objects 1 to 4.
func (w *writer) pages() {
	w.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	w.object(2, "<< /Type /Pages /Count 2 /Kids [3 0 R 4 0 R] >>")
	w.object(3, "<< /Type /Page /Parent 2 0 R >>")
	w.object(4, "<< /Type /Page /Parent 2 0 R >>")
}

// table ends the file with a table of the objects up to a number.
func (w *writer) table(most int, trailer string) []byte {
	at := w.Len()
	fmt.Fprintf(w, "xref\n0 %d\n0000000000 65535 f \n", most+1)
	for i := 1; i <= most; i++ {
		if off, ok := w.offsets[i]; ok {
			fmt.Fprintf(w, "%010d 00000 n \n", off)
		} else {
			w.WriteString("0000000000 00000 f \n")
		}
	}
	fmt.Fprintf(w, "trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", most+1, trailer, at)
	return w.Bytes()
}

// rows is a cross-reference stream of /W [1 4 2] for objects at offsets and in
// object streams, and the end of the file.
func (w *writer) rows(number int, packed map[int]int) []byte {
	var b bytes.Buffer
	at := w.Len()
	w.offsets[number] = at
	for i := 0; i <= number; i++ {
		kind, place := byte(0), uint32(0)
		if off, ok := w.offsets[i]; ok {
			kind, place = 1, uint32(off)
		} else if in, ok := packed[i]; ok {
			kind, place = 2, uint32(in)
		}
		b.WriteByte(kind)
		_ = binary.Write(&b, binary.BigEndian, place)
		b.Write([]byte{0, 0})
	}
	w.stream(number, fmt.Sprintf("/Type /XRef /W [1 4 2] /Size %d /Root 1 0 R", number+1), b.Bytes())
	fmt.Fprintf(w, "startxref\n%d\n%%%%EOF\n", at)
	return w.Bytes()
}

// sections is a file of n cross-reference streams with rows of so many bytes.
func sections(tb testing.TB, n int, size int64, index string) []byte {
	z := deflated(tb, repeated("\x00", size))
	w := newWriter()
	w.pages()
	at := w.Len()
	fmt.Fprintf(w, "xref\n0 5\n0000000000 65535 f \n")
	for i := 1; i <= 4; i++ {
		fmt.Fprintf(w, "%010d 00000 n \n", w.offsets[i])
	}
	fmt.Fprintf(w, "trailer\n<< /Size 5 /Root 1 0 R >>\n")
	for i := range n {
		prev := at
		at = w.Len()
		w.stream(100+i, fmt.Sprintf("/Type /XRef /W [1 3 1] %s /Size 9000000 /Root 1 0 R /Filter /FlateDecode /Prev %d", index, prev), z)
	}
	fmt.Fprintf(w, "startxref\n%d\n%%%%EOF\n", at)
	return w.Bytes()
}

// packed is a file whose page tree is in n object streams of 5 MiB each.
func packed(tb testing.TB, n int) []byte {
	w := newWriter()
	in := map[int]int{}
	kids := ""
	w.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	for i := range n {
		page, stream := 1000+i, 100+i
		head := fmt.Sprintf("%d 0 ", page)
		body := io.MultiReader(strings.NewReader(head+"<< /Type /Page >> "), repeated(" ", 5<<20/part()))
		w.stream(stream, fmt.Sprintf("/Type /ObjStm /N 1 /First %d /Filter /FlateDecode", len(head)), deflated(tb, body))
		in[page] = stream
		kids += fmt.Sprintf("%d 0 R ", page)
	}
	w.object(2, "<< /Type /Pages /Kids [%s] >>", kids)
	return w.rows(1000+n, in)
}

// inStream is a file whose page tree is one object in an object stream.
func inStream(tb testing.TB, tree io.Reader) []byte {
	w := newWriter()
	w.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	w.stream(5, "/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode", deflated(tb, io.MultiReader(strings.NewReader("2 0 "), tree)))
	w.object(3, "<< /Type /Page >>")
	return w.rows(6, map[int]int{2: 5})
}

func zipOf(tb testing.TB, parts func(z *zip.Writer) error) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if err := parts(z); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// packageOf is a package whose document is what a reader holds.
func packageOf(tb testing.TB, document io.Reader) []byte {
	return zipOf(tb, func(z *zip.Writer) error {
		for _, p := range []struct {
			name string
			r    io.Reader
		}{
			{"_rels/.rels", strings.NewReader(
				`<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Type="http://schemas.openxps.org/oxps/v1.0/fixedrepresentation" Target="/s"/></Relationships>`)},
			{"s", strings.NewReader(
				`<FixedDocumentSequence xmlns="http://schemas.openxps.org/oxps/v1.0"><DocumentReference Source="d"/></FixedDocumentSequence>`)},
			{"d", document},
			{"p", strings.NewReader("<FixedPage/>")},
		} {
			w, err := z.Create(p.name)
			if err == nil {
				_, err = io.Copy(w, p.r)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func document(r ...io.Reader) io.Reader {
	return io.MultiReader(append([]io.Reader{strings.NewReader(`<FixedDocument xmlns="http://schemas.openxps.org/oxps/v1.0">`)}, r...)...)
}

// hostile are documents that claim much more than they are; right is how many
// pages they have, where that can be told within the bounds.
func hostile(tb testing.TB) map[string]struct {
	src   []byte
	right int
} {
	type doc = struct {
		src   []byte
		right int
	}
	size := part()
	mb := 1 << 20 / size
	deep := newWriter()
	deep.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	deep.object(2, "<< /Type /Pages /Kids %s 3 0 R >>", strings.Repeat("[", int(5*mb)))
	chain := newWriter()
	chain.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	most := 50_000 / int(size)
	for i := 2; i < most; i++ {
		chain.object(i, "<< /Type /Pages /Kids [%d 0 R] >>", i+1)
	}
	chain.object(most, "<< /Type /Page >>")
	subs := newWriter()
	subs.pages()
	at := subs.Len()
	subs.WriteString("xref\n0 5\n0000000000 65535 f \n")
	for i := 1; i <= 4; i++ {
		fmt.Fprintf(subs, "%010d 00000 n \n", subs.offsets[i])
	}
	for i := range 300_000 / size {
		fmt.Fprintf(subs, "%d 1\n0000000000 65535 f \n", 10+2*i)
	}
	fmt.Fprintf(subs, "trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", at)
	updates := newWriter()
	updates.pages()
	at = updates.Len()
	updates.table(4, "")
	for range 10_100 { // more than maxSections
		prev := at
		at = updates.Len()
		fmt.Fprintf(updates, "xref\n0 0\ntrailer\n<< /Size 5 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n", prev, at)
	}
	const page = `<PageContent Source="p"/>`
	objects := newWriter()
	objects.WriteString(strings.Repeat("7 0 obj 1 endobj\n", 1_500_000/int(size)))
	return map[string]doc{
		"rows behind the index":     {sections(tb, 40, 30*mb, "/Index [900000 1]"), 2},
		"rows of all":               {sections(tb, 40, 30*mb, fmt.Sprintf("/Index [0 %d]", 6_000_000/size)), 0},
		"many subsections of a row": {sections(tb, 10, 30*mb, "/Index ["+strings.Repeat("9 1 ", 400_000/int(size))+"]"), 0},
		"object streams":            {packed(tb, 15), 15},
		"too many object streams":   {packed(tb, 100), 0},
		"an object stream of 40 MB": {
			inStream(tb, io.MultiReader(strings.NewReader("<< /Type /Pages /Kids [3 0 R] >>"), repeated(" ", 40*mb))), 0,
		},
		"millions of kids": {inStream(tb, io.MultiReader(strings.NewReader("<< /Type /Pages /Kids ["), repeated("3 0 R ", 5*mb),
			strings.NewReader("] >>"))), 0},
		"a string of 5 MB": {
			inStream(tb, io.MultiReader(strings.NewReader("<< /Type /Pages /X ("), repeated("x", 5*mb),
				strings.NewReader(") /Kids [3 0 R] >>"))), 1,
		},
		"a dictionary of 5 MB": {inStream(tb, io.MultiReader(strings.NewReader("<< /Type /Pages /X <<"), repeated("/A 1 /B [] ", 5*mb),
			strings.NewReader(">> /Kids [3 0 R] >>"))), 1},
		"a kept dictionary of 5 MB": {inStream(tb, io.MultiReader(strings.NewReader("<< /Type /Pages /W <<"), repeated("/A 1 /B [] ", 5*mb),
			strings.NewReader(">> /Kids [3 0 R] >>"))), 0},
		"deep":                {deep.table(2, ""), 0},
		"a chain of nodes":    {chain.table(most, ""), 0},
		"300,000 subsections": {subs.Bytes(), 2},
		"10,100 updates":      {updates.Bytes(), 0},
		"a million objects":   {objects.Bytes(), 0},
		"a document of 40 MB": {packageOf(tb, document(repeated(page, 9*mb/int64(len(page))*int64(len(page))),
			strings.NewReader("</FixedDocument>"))), 0}, // more than maxPart, and otherwise right
		"a tag of 40 MB":     {packageOf(tb, document(strings.NewReader("<PageContent "), repeated(`a="b" `, 40*mb))), 0},
		"a comment of 40 MB": {packageOf(tb, document(strings.NewReader("<!--"), repeated(`<a> ->`, 40*mb))), 0},
		"deep tags":          {packageOf(tb, document(repeated(`<a>`, 40*mb))), 0},
		"600,000 parts": {zipOf(tb, func(z *zip.Writer) error {
			for i := range 600_000 / size {
				if _, err := z.CreateRaw(&zip.FileHeader{Name: fmt.Sprint(i)}); err != nil {
					return err
				}
			}
			return nil
		}), 0},
	}
}

// mostHeld is what one count may add to the heap: its budget, and half as much for
// what lives too shortly to be counted, and for what is allocated while the
// collector looks at the heap.
const mostHeld = 32 << 20

// spareHeld is for what does not depend on the bounds.
const spareHeld = 2 << 20

// pause is how long the collector rests at least before it looks again. It rests as
// long as it looked, too, so that a test takes no more than twice as long for it.
const pause = 5 * time.Millisecond

// peak is how much was held at most while do ran: what the collector found to be in
// use, again and again. Garbage does not count, however late it is freed. It is 0 with
// the race detector, with which it can't be told.
func peak(do func()) uint64 {
	if racetest.Enabled {
		do()
		return 0
	}
	runtime.GC()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	base := live[0].Value.Uint64()
	most := base
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		rest := time.NewTimer(pause)
		defer rest.Stop()
		for {
			select {
			case <-done:
				return
			case <-rest.C:
				began := time.Now()
				runtime.GC()
				rest.Reset(max(pause, time.Since(began)))
				metrics.Read(live)
				most = max(most, live[0].Value.Uint64())
			}
		}
	}()
	do()
	close(done)
	<-stopped
	return most - base
}

// Whatever a document claims, its count ends soon and holds no more than its
// budget; and what can be told is told.
func TestHostile(t *testing.T) {
	racetest.Skip(t, "one document after the other")
	for name, c := range hostile(t) {
		kind := "application/pdf"
		if bytes.HasPrefix(c.src, []byte("PK")) {
			kind = "application/oxps"
		}
		began := time.Now()
		var n int
		var err error
		held := peak(func() {
			n, err = pages.CountScaled(t.Context(), bytes.NewReader(c.src), int64(len(c.src)), kind, part())
		})
		took := time.Since(began)
		t.Logf("%-28s %4d kB, %d pages, %v: %d MiB in %s", name, len(c.src)>>10, n, err, held>>20, took)
		if held > mostHeld/uint64(part())+spareHeld {
			t.Errorf("%s: %d MiB are held", name, held>>20)
		}
		if n != c.right || (c.right == 0 && !errors.Is(err, pages.ErrUncountable)) {
			t.Errorf("%s: %d, %v; want %d", name, n, err, c.right)
		}
	}
}

// Any number of counts hold no more than a few do, and one that waits for its
// turn waits no longer than it may.
func TestTogether(t *testing.T) {
	rows := 3_000_000 / part()
	src := sections(t, 3, rows*5, fmt.Sprintf("/Index [0 %d]", rows))
	held := peak(func() {
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				if _, err := pages.CountScaled(t.Context(), bytes.NewReader(src), int64(len(src)), "application/pdf",
					part()); !errors.Is(err,
					pages.ErrTooLarge) {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
	if !racetest.Enabled && held > 3*(mostHeld/uint64(part())+spareHeld) {
		t.Errorf("%d MiB are held", held>>20)
	}
	hold := stuck{make(chan struct{}), make(chan struct{})}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { _, _ = pages.Count(t.Context(), hold, 1000, "application/pdf") })
		<-hold.begun
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := pages.Count(ctx, bytes.NewReader(src), int64(len(src)), "application/pdf"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a fourth count beside three: %v", err)
	}
	close(hold.end)
	all.Wait()
}

// stuck is a reader that tells of its first read and waits.
type stuck struct{ begun, end chan struct{} }

func (s stuck) ReadAt([]byte, int64) (int, error) {
	select {
	case s.begun <- struct{}{}:
	case <-s.end:
	}
	<-s.end
	return 0, io.EOF
}

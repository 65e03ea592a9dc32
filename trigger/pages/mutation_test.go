package pages_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pullprint/trigger/pages"
)

// mutations has each bit of each byte of the documents altered, also of what says
// which pages there are; other programs judge then what is right.
var mutations = flag.Bool("mutations", false, "alter each bit of small documents, and ask other programs: minutes")

// structure is a small document of one kind of structure.
type structure struct {
	name, kind string
	src        []byte
	right      int
}

// packedIn is an object stream, deflated.
func (w *writer) packedIn(tb testing.TB, number int, objects map[int]string, order ...int) {
	tb.Helper()
	var head, body strings.Builder
	for _, n := range order {
		fmt.Fprintf(&head, "%d %d ", n, body.Len())
		body.WriteString(objects[n] + " ")
	}
	w.offsets[number] = w.Len()
	w.stream(number, fmt.Sprintf("/Type /ObjStm /N %d /First %d /Filter /FlateDecode", len(order), head.Len()),
		deflated(tb, strings.NewReader(head.String()+body.String())))
}

// section is a cross-reference stream of rows {type, place}, and the end of the file
// unless dict says XRefStm.
func (w *writer) section(tb testing.TB, number int, dict string, rows func(at int) [][2]int) (at int) {
	tb.Helper()
	at = w.Len()
	var b bytes.Buffer
	for _, row := range rows(at) {
		b.WriteByte(byte(row[0]))
		_ = binary.Write(&b, binary.BigEndian, uint32(row[1]))
	}
	w.stream(number, "/Type /XRef /W [1 4 0] /Filter /FlateDecode "+dict, deflated(tb, &b))
	return at
}

func (w *writer) finish(at int) []byte {
	fmt.Fprintf(w, "startxref\n%d\n%%%%EOF\n", at)
	return bytes.Clone(w.Bytes())
}

const (
	mutantRoot = "<< /Type /Catalog /Pages 2 0 R >>"
	mutantPage = "<< /Type /Page /Parent 2 0 R >>"
	mutantTwo  = "<< /Type /Pages /Count 2 /Kids [3 0 R 4 0 R] >>"
	mutantFour = "<< /Type /Pages /Count 3 /Kids [3 0 R 4 0 R 5 0 R] >>"
)

// tables is a file with a table, and one with an update to three pages.
func tables() (plain, updated []byte) {
	w := newWriter()
	w.pages()
	at := w.Len()
	plain = bytes.Clone(w.table(4, ""))
	w.object(2, mutantFour)
	w.object(5, mutantPage)
	start := w.Len()
	fmt.Fprintf(w, "xref\n2 1\n%010d 00000 n \n5 1\n%010d 00000 n \n", w.offsets[2], w.offsets[5])
	fmt.Fprintf(w, "trailer\n<< /Size 6 /Root 1 0 R /Prev %d >>\n", at)
	return plain, w.finish(start)
}

// streams is a file with its tree in an object stream, and one with an update.
func streams(tb testing.TB) (plain, updated []byte) {
	w := newWriter()
	w.packedIn(tb, 10, map[int]string{1: mutantRoot, 2: mutantTwo, 3: mutantPage, 4: mutantPage}, 1, 2, 3, 4)
	at := w.section(tb, 11, "/Size 12 /Root 1 0 R /Index [1 4 10 2]", func(at int) [][2]int {
		return [][2]int{{2, 10}, {2, 10}, {2, 10}, {2, 10}, {1, w.offsets[10]}, {1, at}}
	})
	plain = w.finish(at)
	w.packedIn(tb, 20, map[int]string{2: mutantFour, 5: mutantPage}, 2, 5)
	start := w.section(tb, 21, fmt.Sprintf("/Size 22 /Root 1 0 R /Index [2 1 5 1 20 2] /Prev %d", at), func(at int) [][2]int {
		return [][2]int{{2, 20}, {2, 20}, {1, w.offsets[20]}, {1, at}}
	})
	return plain, w.finish(start)
}

// hybrid is a file that hides two of its three pages from readers of PDF 1.4.
func hybrid(tb testing.TB) []byte {
	w := newWriter()
	w.object(1, mutantRoot)
	w.object(2, mutantFour)
	w.object(3, mutantPage)
	w.packedIn(tb, 6, map[int]string{4: mutantPage, 5: mutantPage}, 4, 5)
	hidden := w.section(tb, 7, "/Size 8 /Index [4 4]", func(at int) [][2]int {
		return [][2]int{{2, 6}, {2, 6}, {1, w.offsets[6]}, {1, at}}
	})
	at := w.Len()
	fmt.Fprintf(w, "xref\n0 8\n0000000004 65535 f \n")
	for i := 1; i <= 3; i++ {
		fmt.Fprintf(w, "%010d 00000 n \n", w.offsets[i])
	}
	w.WriteString("0000000005 00000 f \n0000000006 00000 f \n0000000007 00000 f \n0000000000 00000 f \n")
	fmt.Fprintf(w, "trailer\n<< /Size 8 /Root 1 0 R /XRefStm %d >>\n", hidden)
	return w.finish(at)
}

// xps is a package of three pages, deflated.
func xps(tb testing.TB, space string) []byte {
	return zipOf(tb, func(z *zip.Writer) error {
		for _, p := range [][2]string{
			{
				"_rels/.rels",
				`<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Type="` + space +
					`/fixedrepresentation" Target="/s"/></Relationships>`,
			},
			{"s", `<FixedDocumentSequence xmlns="` + space + `"><DocumentReference Source="d"/></FixedDocumentSequence>`},
			{"d", `<FixedDocument xmlns="` + space + `">` + strings.Repeat(`<PageContent Source="p"/>`, 3) + `</FixedDocument>`},
			{"p", `<FixedPage xmlns="` + space + `"/>`},
		} {
			w, err := z.Create(p[0])
			if err == nil {
				_, err = io.WriteString(w, p[1])
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func structures(tb testing.TB) []structure {
	table, tableUpdated := tables()
	stream, streamUpdated := streams(tb)
	const pdf, oxps = "application/pdf", "application/oxps"
	return []structure{
		{"table", pdf, table, 2},
		{"table, updated", pdf, tableUpdated, 3},
		{"streams", pdf, stream, 2},
		{"streams, updated", pdf, streamUpdated, 3},
		{"hybrid", pdf, hybrid(tb), 3},
		{"Open XPS", oxps, xps(tb, "http://schemas.openxps.org/oxps/v1.0"), 3},
		{"XPS", oxps, xps(tb, "http://schemas.microsoft.com/xps/2005/06"), 3},
	}
}

// says is what tells which pages there are, and nothing proves.
var says = regexp.MustCompile(`(?s)<< /Type /(Catalog|Pages|Page).*?>>`)

// kids are references to pages. One to nothing is counted as nothing, by a case of
// testdata/cases.tsv; others take it for a page, or stop there.
var kids = regexp.MustCompile(`\d 0 R( \d 0 R)*\]`)

// A small document in which a bit was altered has as many pages as before, or the
// number is unknown. Where the bit is in what says which pages there are, and where
// the end is cut off, other programs judge.
func TestMutations(t *testing.T) {
	for _, s := range structures(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if n, err := pages.Count(t.Context(), bytes.NewReader(s.src), int64(len(s.src)), s.kind); n != s.right {
				t.Fatalf("undamaged: %d, %v; want %d", n, err, s.right)
			}
			judged, left := make([]bool, len(s.src)), make([]bool, len(s.src))
			for _, at := range says.FindAllIndex(s.src, -1) {
				for i := at[0]; i < at[1]; i++ {
					judged[i] = true
				}
			}
			for _, at := range kids.FindAllIndex(s.src, -1) {
				for i := at[0]; i < at[1]-1; i++ {
					left[i] = true
				}
			}
			for i := range s.src {
				if left[i] {
					continue
				}
				for bit := range 8 {
					if !*mutations && (judged[i] || (i+bit)%4 != 0) {
						continue
					}
					damaged := bytes.Clone(s.src)
					damaged[i] ^= 1 << bit
					s.check(t, damaged, judged[i], fmt.Sprintf("byte %d, bit %d", i, bit))
				}
			}
			for i := 0; *mutations && i < len(s.src); i++ {
				s.check(t, s.src[:i], true, fmt.Sprintf("cut off at %d", i))
				s.check(t, append(bytes.Clone(s.src), s.src[i:]...), true, fmt.Sprintf("written twice from %d", i))
			}
		})
	}
}

func (s structure) check(t *testing.T, src []byte, judged bool, what string) {
	t.Helper()
	n, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), s.kind)
	if n == s.right || errors.Is(err, pages.ErrUncountable) {
		return
	}
	if judged && s.kind == "application/pdf" {
		others := judges(t, src)
		agree, differ := 0, 0
		for _, o := range others {
			switch o {
			case 0: // it refuses the document
			case n:
				agree++
			default:
				differ++
			}
		}
		if (agree > 0 && agree >= differ) || others["gs"] == n { // what prints
			return
		}
		what += fmt.Sprintf(", others say %v", others)
	}
	t.Errorf("%s: %d, %v; want %d, or unknown", what, n, err, s.right)
}

var pagesLine = regexp.MustCompile(`(?m)^Pages:\s+(\d+)`)

// judges are how many pages other programs find, as far as they are installed.
func judges(t *testing.T, src []byte) map[string]int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "damaged.pdf")
	if err := os.WriteFile(path, src, 0o600); err != nil {
		t.Fatal(err)
	}
	say := map[string]int{}
	for name, args := range map[string][]string{
		"qpdf": {"--json", "--json-key=pages"}, "mutool": {"info"}, "pdfinfo": nil,
		"gs": {"-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-sDEVICE=bbox"},
	} {
		if _, err := exec.LookPath(name); err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, name, append(args, path)...)
		var b bytes.Buffer
		if cmd.Stdout = &b; name == "gs" { // its device writes there
			cmd.Stderr = &b
		}
		_ = cmd.Run()
		out := b.Bytes()
		cancel()
		say[name] = 0
		if m := pagesLine.FindSubmatch(out); m != nil {
			say[name], _ = strconv.Atoi(string(m[1]))
		}
		if name == "gs" { // a line for each page that it prints
			say[name] = bytes.Count(out, []byte("%%BoundingBox"))
		}
		var tree struct{ Pages []any }
		if name == "qpdf" && json.Unmarshal(out, &tree) == nil {
			say[name] = len(tree.Pages)
		}
	}
	return say
}

// What another name space calls a page is none of XPS, and readers differ in it; so
// they do in an update whose trailer names no root.
func TestForeign(t *testing.T) {
	const space = "http://schemas.openxps.org/oxps/v1.0"
	page := `<PageContent Source="p"/>`
	for name, c := range map[string]struct {
		document io.Reader
		right    int
	}{
		"its own":           {document(strings.NewReader(page + page + "</FixedDocument>")), 2},
		"with a prefix":     {document(strings.NewReader(`<x:PageContent xmlns:x="` + space + `" Source="p"/></FixedDocument>`)), 1},
		"of another":        {document(strings.NewReader(page + `<PageContent xmlns="urn:other" Source="p"/></FixedDocument>`)), 0},
		"of another prefix": {document(strings.NewReader(page + `<x:PageContent xmlns:x="urn:other" Source="p"/></FixedDocument>`)), 0},
		"all of another":    {strings.NewReader(`<FixedDocument xmlns="urn:other">` + page + `</FixedDocument>`), 0},
	} {
		src := packageOf(t, c.document)
		n, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), "application/oxps")
		if n != c.right || (c.right == 0) != errors.Is(err, pages.ErrUncountable) {
			t.Errorf("a page %s: %d, %v; want %d", name, n, err, c.right)
		}
	}
	w := newWriter()
	w.pages()
	at := w.Len()
	w.table(4, "")
	w.object(5, "<< /Type /Catalog /Pages 6 0 R >>")
	w.object(6, "<< /Type /Pages /Kids [3 0 R] >>")
	start := w.Len()
	fmt.Fprintf(w, "xref\n5 2\n%010d 00000 n \n%010d 00000 n \n", w.offsets[5], w.offsets[6])
	fmt.Fprintf(w, "trailer\n<< /Size 7 /Prev %d >>\n", at)
	src := w.finish(start)
	n, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), "application/pdf")
	if !errors.Is(err, pages.ErrUncountable) {
		t.Errorf("two catalogs, and no root: %d, %v; want unknown", n, err)
	}
	only, _ := tables()
	only = bytes.Replace(only, []byte("/Root 1 0 R"), []byte("/Rood 1 0 R"), 1)
	if n, err := pages.Count(t.Context(), bytes.NewReader(only), int64(len(only)), "application/pdf"); n != 2 {
		t.Errorf("one catalog, and no root: %d, %v; want 2, as others read it", n, err)
	}
}

// A document of another type, and one without a byte, are called so.
func TestOtherTypes(t *testing.T) {
	docx := zipOf(t, func(z *zip.Writer) error {
		w, err := z.Create("_rels/.rels")
		if err == nil {
			_, err = io.WriteString(w, `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`+
				`<Relationship Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`)
		}
		return err
	})
	plain := zipOf(t, func(z *zip.Writer) error { _, err := z.Create("a.txt"); return err })
	for name, c := range map[string]struct {
		src  []byte
		want error
	}{
		"an Office document": {docx, pages.ErrType}, "a zip": {plain, pages.ErrType},
		"a text": {[]byte("hello"), pages.ErrType}, "nothing": {nil, pages.ErrEmpty},
	} {
		n, err := pages.Count(t.Context(), bytes.NewReader(c.src), int64(len(c.src)), "")
		if !errors.Is(err, c.want) || errors.Is(err, pages.ErrDamaged) {
			t.Errorf("%s: %d, %v; want %v", name, n, err, c.want)
		}
	}
}

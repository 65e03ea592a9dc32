package pages_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pullprint/trigger/pages"
)

// corpus are the documents of testdata/make.sh, with how many pages they have;
// 0 is none that can be told.
var corpus = map[string]int{
	"cairo-4.pdf": 4, "ghostscript-120.pdf": 120, "ghostscript-3.pdf": 3, "ghostscript-old-3.pdf": 3, "ghostscript-5.xps": 5,
	"junk-before-3.pdf": 3, "junk-behind-3.pdf": 3, "qpdf-encrypted-3.pdf": 3, "qpdf-encrypted-streams-3.pdf": 0,
	"qpdf-linearized-120.pdf": 120, "qpdf-linearized-streams-120.pdf": 120, "qpdf-merged-16.pdf": 16, "qpdf-object-streams-120.pdf": 120,
	"qpdf-owner-3.pdf": 3, "qpdf-uncompressed-3.pdf": 3, "updated-4.pdf": 4, "tex-6.pdf": 6, "libreoffice-2.pdf": 2,
}

func documents(t testing.TB) []string {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) == 0 {
		t.Fatal("no documents", err)
	}
	var list []string
	for _, f := range files {
		if ext := filepath.Ext(f); ext == ".pdf" || ext == ".xps" || ext == ".oxps" {
			list = append(list, f)
		}
	}
	return list
}

func TestCorpus(t *testing.T) {
	for _, path := range documents(t) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, ok := corpus[filepath.Base(path)]
		if !ok {
			t.Errorf("nobody says how many pages %s has", path)
		}
		for _, kind := range []string{
			"application/octet-stream", map[string]string{".pdf": "application/pdf", ".xps": "application/oxps"}[filepath.Ext(path)],
		} {
			if kind == "application/octet-stream" && strings.Contains(path, "junk-before") {
				continue // nothing says that it is a PDF
			}
			n, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), kind)
			switch {
			case want == 0 && !errors.Is(err, pages.ErrEncrypted):
				t.Errorf("%s: %d, %v; want encrypted", path, n, err)
			case want > 0 && (n != want || err != nil):
				t.Errorf("%s as %s: %d, %v; want %d", path, kind, n, err, want)
			}
		}
	}
}

// Other programs count the same.
func TestOthersAgree(t *testing.T) {
	count := regexp.MustCompile(`(?m)^(?:Pages:\s+)?(\d+)$`)
	for _, cmd := range [][]string{{"qpdf", "--show-npages"}, {"pdfinfo"}} {
		if _, err := exec.LookPath(cmd[0]); err != nil {
			t.Logf("%s is not installed: not compared with it", cmd[0])
			continue
		}
		for _, path := range documents(t) {
			out, _ := exec.Command(cmd[0], append(cmd[1:], path)...).Output()
			m := count.FindStringSubmatch(string(out))
			if m == nil {
				continue // it wants a password, or reads no XPS
			}
			if n, err := strconv.Atoi(m[1]); err != nil || n != corpus[filepath.Base(path)] {
				t.Errorf("%s says %d pages of %s", cmd[0], n, path)
			}
		}
	}
}

// What breaks the rules is damaged, never a number out of thin air, an endless
// loop, or a panic.
func TestDamaged(t *testing.T) {
	pdf := func(objects, trailer string) string {
		var b strings.Builder
		b.WriteString("%PDF-1.4\n")
		var offsets []int
		for _, o := range strings.Split(objects, "|") {
			offsets = append(offsets, b.Len())
			fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", len(offsets), o)
		}
		at := b.Len()
		fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
		for _, o := range offsets {
			fmt.Fprintf(&b, "%010d 00000 n \n", o)
		}
		fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF", len(offsets)+1, trailer, at)
		return b.String()
	}
	const catalog = "<< /Type /Catalog /Pages 2 0 R >>|"
	for name, c := range map[string]struct {
		src  string
		want int
	}{
		"a page":   {pdf(catalog+"<< /Type /Pages /Count 1 /Kids [3 0 R] >>|<< /Type /Page >>", ""), 1},
		"no count": {pdf(catalog+"<< /Type /Pages /Kids [3 0 R 3 0 R] >>|<< /Type /Page >>", ""), 2},
		"a count to be found": {
			pdf(catalog+"<< /Type /Pages /Kids [3 0 R 4 0 R] >>|<< /Type /Page >>|<< /Type /Pages /Kids [5 0 R] >>|<< /Type /Page >>",
				""), 2,
		},
		"a count behind a number":  {pdf(catalog+"<< /Type /Pages /Count 4 0 R /Kids [3 0 R] >>|<< /Type /Page >>|7", ""), 1},
		"a negative count":         {pdf(catalog+"<< /Type /Pages /Count -1 /Kids [3 0 R] >>|<< /Type /Page >>", ""), 1},
		"a count of nothing":       {pdf(catalog+"<< /Type /Pages /Count 0 /Kids [3 0 R] >>|<< /Type /Page >>", ""), 1},
		"a count that's too large": {pdf(catalog+"<< /Type /Pages /Count 99999999 /Kids [3 0 R] >>|<< /Type /Page >>", ""), 1},
		"no pages":                 {pdf(catalog+"<< /Type /Pages /Count 0 /Kids [] >>", ""), 0},
		"a tree in itself":         {pdf(catalog+"<< /Type /Pages /Kids [2 0 R] >>", ""), 0},
		"a root in itself":         {pdf("1 0 R|<< >>", ""), 0},
		"no root":                  {pdf("null|<< >>", ""), 0},
		"no update there":          {pdf(catalog+"<< /Type /Pages /Count 3 /Kids [3 0 R] >>|<< /Type /Page >>", "/Prev 9"), 1},
		"odd spaces": {strings.ReplaceAll(pdf(catalog+"<</Type/Pages/Count 1/Kids[3 0 R]/X(a\\)(b))/Y<41>>>|<< /Type /Page >>",
			"/ID[<a><b>]"), "endobj\n", "endobj "), 1},
		"only a head":            {"%PDF-1.7\n", 0},
		"a start beyond the end": {"%PDF-1.7\nstartxref\n99999\n%%EOF", 0},
		"a start at itself":      {"%PDF-1.7\nstartxref\n9\n%%EOF", 0},
		"deep":                   {"%PDF-1.7\nxref\n0 0\ntrailer\n" + strings.Repeat("[", 5000) + "\nstartxref\n9\n%%EOF", 0},
		"a huge table":           {"%PDF-1.7\nxref\n0 9223372036854775807\ntrailer\n<<>>\nstartxref\n9\n%%EOF", 0},
	} {
		n, err := pages.Count(t.Context(), strings.NewReader(c.src), int64(len(c.src)), "application/pdf")
		if n != c.want || (c.want == 0) != errors.Is(err, pages.ErrDamaged) {
			t.Errorf("%s: %d, %v; want %d", name, n, err, c.want)
		}
	}
	for name, src := range map[string]string{"no zip": "PK\x03\x04 and no more", "an empty zip": "PK\x05\x06" + strings.Repeat("\x00",
		18), "a text": "hello, world"} {
		if n, err := pages.Count(t.Context(), strings.NewReader(src), int64(len(src)),
			"application/oxps"); !errors.Is(err, pages.ErrDamaged) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		if n, err := pages.Count(t.Context(), strings.NewReader(src), int64(len(src)), "text/plain"); !errors.Is(err,
			pages.ErrUncountable) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

type broken struct{ err error }

func (b broken) ReadAt([]byte, int64) (int, error) { return 0, b.err }

// What the reader fails with is told as it is: it is no fault of the document.
func TestReaderFails(t *testing.T) {
	want := errors.New("out of reach")
	for _, kind := range []string{"application/pdf", "application/oxps", "other"} {
		if _, err := pages.Count(t.Context(), broken{want}, 1000, kind); !errors.Is(err, want) || errors.Is(err, pages.ErrUncountable) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pages.Count(ctx, broken{io.EOF}, 1000, "application/pdf"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

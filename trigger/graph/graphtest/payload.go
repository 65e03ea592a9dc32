package graphtest

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// smallest is a size that is enough for a document of so many pages in either format.
func smallest(pages int) int64 { return 4096 + 1024*int64(pages) }

// payload is a document: a head, filler that is not kept in memory, and a tail.
type payload struct {
	head, tail []byte
	filler     int64
}

const fillerByte = ' '

// ReadAt implements io.ReaderAt.
func (p *payload) ReadAt(b []byte, off int64) (int, error) {
	h, end := int64(len(p.head)), int64(len(p.head))+p.filler
	n := 0
	for n < len(b) {
		switch at := off + int64(n); {
		case at < h:
			n += copy(b[n:], p.head[at:])
		case at < end:
			m := min(int64(len(b)-n), end-at)
			for i := range b[n : n+int(m)] {
				b[n+i] = fillerByte
			}
			n += int(m)
		case at < end+int64(len(p.tail)):
			n += copy(b[n:], p.tail[at-end:])
		default:
			return n, io.EOF
		}
	}
	return n, nil
}

// content makes a document that has the pages and the size of the job.
func (d document) content() (io.ReadSeeker, error) {
	var p *payload
	if d.contentType == typePDF {
		p = pdf(d.pages, d.size)
	} else {
		var err error
		if p, err = oxps(d.pages, d.size); err != nil {
			return nil, err
		}
	}
	return io.NewSectionReader(p, 0, int64(len(p.head)+len(p.tail))+p.filler), nil
}

// pdf puts the filler into a comment; the page tree and the cross-reference table follow it.
func pdf(pages int, size int64) *payload {
	head := []byte("%PDF-1.7\n%")
	p := &payload{head: head}
	for range 3 { // offsets have fixed width, so the second round already fits; the third proves it
		p.tail = pdfTail(pages, int64(len(head))+p.filler)
		p.filler = max(size-int64(len(head)+len(p.tail)), 0)
	}
	return p
}

func pdfTail(pages int, at int64) []byte {
	var b bytes.Buffer
	b.WriteString("\n")
	offsets := make([]int64, 0, pages+2)
	object := func(format string, args ...any) {
		offsets = append(offsets, at+int64(b.Len()))
		fmt.Fprintf(&b, "%d 0 obj\n", len(offsets))
		fmt.Fprintf(&b, format, args...)
		b.WriteString("\nendobj\n")
	}
	object("<< /Type /Catalog /Pages 2 0 R >>")
	var kids bytes.Buffer
	for i := range pages {
		fmt.Fprintf(&kids, "%d 0 R ", i+3)
	}
	object("<< /Type /Pages /Count %d /Kids [ %s] >>", pages, kids.String())
	for range pages {
		object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << >> >>")
	}
	xref := at + int64(b.Len())
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%010d\n%%%%EOF\n", len(offsets)+1, xref)
	return b.Bytes()
}

// oxps puts the filler into a stored resource; the pages and the central directory follow it.
func oxps(pages int, size int64) (*payload, error) {
	p, err := zipped(pages, 0)
	if err != nil {
		return nil, err
	}
	return zipped(pages, max(size-int64(len(p.head)+len(p.tail)), 0))
}

func zipped(pages int, filler int64) (*payload, error) {
	sink := &split{}
	z := zip.NewWriter(sink)
	crc := uint32(0)
	blank := bytes.Repeat([]byte{fillerByte}, 1<<16)
	for left := filler; left > 0; left -= int64(len(blank)) {
		crc = crc32.Update(crc, crc32.IEEETable, blank[:min(left, int64(len(blank)))])
	}
	size := uint64(filler) //nolint:gosec // never negative
	w, err := z.CreateRaw(&zip.FileHeader{
		Name: "Resources/filler.bin", Method: zip.Store, CRC32: crc, CompressedSize64: size, UncompressedSize64: size,
	})
	if err != nil {
		return nil, err
	}
	if err := z.Flush(); err != nil {
		return nil, err
	}
	sink.skipping = true
	for left := filler; left > 0; left -= int64(len(blank)) {
		if _, err := w.Write(blank[:min(left, int64(len(blank)))]); err != nil {
			return nil, err
		}
	}
	if err := z.Flush(); err != nil {
		return nil, err
	}
	sink.skipping, sink.inTail = false, true
	if err := parts(z, pages); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return &payload{head: sink.head.Bytes(), tail: sink.tail.Bytes(), filler: filler}, nil
}

// oxpsSpace is the name space of Open XPS (ECMA-388).
const oxpsSpace = "http://schemas.openxps.org/oxps/v1.0"

// parts writes the pages and what leads to them.
func parts(z *zip.Writer, pages int) error {
	add := func(name, content string) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = io.WriteString(f, content)
		}
		return err
	}
	var list strings.Builder
	for i := range pages {
		fmt.Fprintf(&list, `<PageContent Source="Pages/%d.fpage"/>`, i+1)
		if err := add(fmt.Sprintf("Documents/1/Pages/%d.fpage", i+1),
			`<FixedPage Width="793" Height="1122" xmlns="`+oxpsSpace+`"/>`); err != nil {
			return err
		}
	}
	for _, p := range [][2]string{
		{"Documents/1/FixedDocument.fdoc", `<FixedDocument xmlns="` + oxpsSpace + `">` + list.String() + `</FixedDocument>`},
		{"FixedDocumentSequence.fdseq", `<FixedDocumentSequence xmlns="` + oxpsSpace +
			`"><DocumentReference Source="/Documents/1/FixedDocument.fdoc"/></FixedDocumentSequence>`},
		{"_rels/.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
			`<Relationship Id="R0" Type="` + oxpsSpace +
			`/fixedrepresentation" Target="/FixedDocumentSequence.fdseq"/></Relationships>`},
		{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Default Extension="fdseq" ContentType="application/vnd.ms-package.xps-fixeddocumentsequence+xml"/>` +
			`<Default Extension="fdoc" ContentType="application/vnd.ms-package.xps-fixeddocument+xml"/>` +
			`<Default Extension="fpage" ContentType="application/vnd.ms-package.xps-fixedpage+xml"/></Types>`},
	} {
		if err := add(p[0], p[1]); err != nil {
			return err
		}
	}
	return nil
}

// split is a writer that keeps what is written before and after a part that it drops.
type split struct {
	head, tail       bytes.Buffer
	skipping, inTail bool
}

func (s *split) Write(p []byte) (int, error) {
	switch {
	case s.skipping:
		return len(p), nil
	case s.inTail:
		return s.tail.Write(p)
	}
	return s.head.Write(p)
}

package pages_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"pullprint/trigger/pages"
)

// wide has the long record and its locator before the end of a zip (PKWARE APPNOTE, 4.3.14),
// which says that there are count entries; all fits into the short one, too.
func wide(src []byte, count int) []byte {
	at := bytes.LastIndex(src, []byte("PK\x05\x06"))
	end, le := src[at:], binary.LittleEndian
	b := bytes.NewBuffer(bytes.Clone(src[:at]))
	b.WriteString("PK\x06\x06")
	for _, v := range []any{
		uint64(44), uint16(45), uint16(45), uint32(0), uint32(0), uint64(count), uint64(count),
		uint64(le.Uint32(end[12:])), uint64(le.Uint32(end[16:])),
	} {
		_ = binary.Write(b, le, v)
	}
	b.WriteString("PK\x06\x07")
	for _, v := range []any{uint32(0), uint64(at), uint32(1)} {
		_ = binary.Write(b, le, v)
	}
	b.Write(end)
	return b.Bytes()
}

// marked is a zip with a field of the directory set for an entry.
func marked(src []byte, name string, field int, value uint16) []byte {
	src = bytes.Clone(src)
	at := bytes.LastIndex(src, []byte(name)) - 46
	binary.LittleEndian.PutUint16(src[at+field:], value)
	return src
}

// What the pages and the directory of a package may be besides what programs usually write.
func TestPackages(t *testing.T) {
	const space = "http://schemas.microsoft.com/xps/2005/06"
	ordinary := map[string]string{
		"_rels/.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Type="` + space +
			`/fixedrepresentation" Target="/s.fdseq"/></Relationships>`,
		"s.fdseq": `<FixedDocumentSequence xmlns="` + space + `"><DocumentReference Source="d.fdoc"/></FixedDocumentSequence>`,
		"d.fdoc":  `<FixedDocument xmlns="` + space + `"><PageContent Source="1.fpage"/><PageContent Source="2.fpage"/></FixedDocument>`,
		"1.fpage": `<FixedPage/>`, "2.fpage": `<FixedPage/>`,
	}
	with := func(part, old, now string) []byte {
		return zipOf(t, func(z *zip.Writer) error {
			for _, name := range []string{"_rels/.rels", "s.fdseq", "d.fdoc", "1.fpage", "2.fpage"} {
				w, err := z.Create(name)
				if err != nil {
					return err
				}
				text := ordinary[name]
				if name == part {
					text = strings.Replace(text, old, now, 1)
				}
				if _, err := io.WriteString(w, text); err != nil {
					return err
				}
			}
			return nil
		})
	}
	two := with("", "", "")
	for name, c := range map[string]struct {
		src  []byte
		want int
		why  error
	}{
		"ordinary":                          {two, 2, nil},
		"a long record that is not needed":  {wide(two, 5), 2, nil},
		"records that differ":               {wide(two, 4), 0, pages.ErrDamaged},
		"a page is encrypted":               {marked(two, "2.fpage", 8, 1), 0, pages.ErrEncrypted},
		"a page is encrypted by AES":        {marked(two, "2.fpage", 10, 99), 0, pages.ErrDamaged},
		"a page is empty":                   {with("2.fpage", "<FixedPage/>", ""), 0, pages.ErrDamaged},
		"a page is its own document":        {with("d.fdoc", "2.fpage", "D.fdoc"), 0, pages.ErrDamaged},
		"a page is the sequence":            {with("d.fdoc", "2.fpage", "/s.fdseq"), 0, pages.ErrDamaged},
		"a relationship of another program": {with("_rels/.rels", space, "http://contoso.com"), 0, pages.ErrDamaged},
	} {
		n, err := pages.Count(t.Context(), bytes.NewReader(c.src), int64(len(c.src)), "application/oxps")
		if n != c.want || !errors.Is(err, c.why) {
			t.Errorf("%s: %d, %v; want %d, %v", name, n, err, c.want, c.why)
		}
	}
}

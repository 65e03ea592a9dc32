package badge

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
)

// Numbers whose characters were lost are refused: else several would be one.
func TestLostCharacters(t *testing.T) {
	for _, steps := range [][]string{nil, DefaultNormalise, {"digits"}, {"hex", "upper"}} {
		kv := newMemory()
		b := newRegistry(t, kv, keyLine('a'))
		chain, err := ParseChain(steps)
		if err != nil {
			t.Fatal(err)
		}
		b.chain = chain
		for _, read := range []string{"\xe0\xe9123456", "123456\xff", "\ufffd\ufffd123456", "1234\xc3", "\xed\xa0\x80123456"} {
			if _, err := b.Enrol(t.Context(), read, enrolment(ada)); !errors.Is(err, ErrNumber) || !strings.Contains(err.Error(), "UTF-8") {
				t.Errorf("%q after %v: %v", read, steps, err)
			}
			if _, err := b.Resolve(t.Context(), read, now); !errors.Is(err, ErrUnknown) {
				t.Errorf("%q shown after %v: %v", read, steps, err)
			}
		}
		if len(kv.data) != 0 {
			t.Errorf("after %v: %d stored", steps, len(kv.data))
		}
	}
}

// A file in another encoding is refused with the line, and one that is no text at all in
// one sentence.
func TestFileEncodings(t *testing.T) {
	rows := "badge,owner,user_principal_name\n" + number + "\u00e9," + ada + ",\n"
	workbook := "PK\x03\x04\x14\x00\x06\x00\x08\x00" + strings.Repeat("[Content_Types].xml,\xff\x00\r\n", 50)
	long := "badge,owner\n"
	for i := range 900 {
		long += fmt.Sprintf("%020d,%s\n", i+1, ada)
	}
	units := utf16.Encode([]rune(rows))
	var wide bytes.Buffer
	for _, u := range units {
		wide.Write([]byte{byte(u), byte(u >> 8)})
	}
	for name, c := range map[string]struct {
		file, want string
		line       int
	}{
		"windows-1252": {"badge,owner\n04A2\xe0\xe9," + ada + "\n04A2\xe8\xe7," + ada + "\n", "CSV UTF-8", 2},
		"in a name": {"badge,owner,user_principal_name\n04A21BC3," + ada + ",\n04A21BC4," + ada +
			",j\xfcrg@contoso.com\n", "CSV UTF-8", 3},
		"in the names":    {"badge,owner,\xfcser\n", "CSV UTF-8", 1},
		"behind a quote":  {"badge,owner\n=\"0001\"\xe9," + ada + "\n04A21BC3," + ada + "\n", "CSV UTF-8", 2},
		"far behind":      {long + "\xe9\xe9\xe9\xe9," + ada + "\n", "CSV UTF-8", 902},
		"with its lines":  {"sep=,\nbadge,owner\n04A2\xe0\xe9," + ada + "\n", "CSV UTF-8", 3},
		"cut in the last": {"badge,owner\n04A2\xc3", "CSV UTF-8", 2},
		"xlsx":            {workbook, "not a CSV file", 1},
		"xls":             {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00,", 600), "not a CSV file", 1},
		"png":             {"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR,,,,,,,,", "not a CSV file", 1},
	} {
		kv := newMemory()
		b := newRegistry(t, kv, keyLine('a'))
		_, err := b.Import(t.Context(), iotest.OneByteReader(strings.NewReader(c.file)), enrolment(""))
		var wrong ImportError
		if !errors.As(err, &wrong) || len(wrong) != 1 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if wrong[0].Line != c.line || !strings.Contains(wrong[0].Message, c.want) || len(kv.data) != 0 {
			t.Errorf("%s: %v, %d stored", name, err, len(kv.data))
		}
	}
	for name, file := range map[string]string{
		"UTF-8": rows, "with a mark": "\ufeff" + rows, "UTF-16": wide.String(), "UTF-16 with a mark": "\xff\xfe" + wide.String(),
	} {
		n, err := newRegistry(t, newMemory(), keyLine('a')).Import(t.Context(), strings.NewReader(file), enrolment(""))
		if n != 1 || err != nil {
			t.Errorf("%s: %d %v", name, n, err)
		}
	}
}

// A file whose lines end with CR alone is read, and its mistakes stand in their lines; a CR
// within a line of another file is no end of one.
func TestLinesThatEndWithCR(t *testing.T) {
	_, err := newRegistry(t, newMemory(), keyLine('a')).Import(t.Context(),
		strings.NewReader("badge,owner\r04A21BC3,"+ada+"\r04A21BC4,nobody\r"), enrolment(""))
	var wrong ImportError
	if !errors.As(err, &wrong) || len(wrong) != 1 || wrong[0].Line != 3 || wrong[0].Column != "owner" {
		t.Errorf("%v", err)
	}
	n, err := newRegistry(t, newMemory(), keyLine('a')).Import(t.Context(),
		strings.NewReader("badge,owner\n04A21BC3\r,"+ada+"\n04A21BC4,"+grace+"\n"), enrolment(""))
	if n != 2 || err != nil {
		t.Errorf("a card number as a reader sends it: %d %v", n, err)
	}
}

// What a spreadsheet leaves in a file that was edited, empty columns and emptied rows, is no
// mistake; a value without a column name is one.
func TestEmptiedCells(t *testing.T) {
	for file, want := range map[string]string{
		"badge;owner;;\n04A21BC3;" + ada + ";;\n;;;\n04A21BC4;" + grace + "\n ; \n": "",
		"badge;owner;;\n04A21BC3;" + ada + ";;spare\n04A21BC4;" + grace + "\n":      "line 2: 4 fields, and 2 columns",
		"badge;;owner\n04A21BC3;;" + ada + "\n":                                     "column 2 has an unknown name",
		";;\n04A21BC3;" + ada + "\n":                                                "line 1, badge: the column is missing",
		"badge;owner\n;\n;\n":                                                       "there is no badge after",
		"badge;owner\n;" + ada + "\n":                                               "line 2, badge: ",
	} {
		n, err := newRegistry(t, newMemory(), keyLine('a')).Import(t.Context(), strings.NewReader(file), enrolment(""))
		if want == "" && (n != 2 || err != nil) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %d %v, want %q", file, n, err, want)
		}
	}
}

// A number with separators of thousands is another than its digits, and no card has it.
func TestSeparatorsOfThousands(t *testing.T) {
	for _, shown := range []string{"1.234.567", "1,234,567", "1'234'567", "1\u2019234\u2019567", "1\u202f234\u202f567"} {
		file := "badge;owner\n" + shown + ";" + ada + "\n"
		for _, c := range []struct {
			steps []string
			asIs  bool
			n     int
		}{{[]string{"trim"}, false, 0}, {[]string{"trim"}, true, 1}, {[]string{"digits"}, false, 1}} {
			b := newRegistry(t, newMemory(), keyLine('a'))
			b.chain = mustChain(t, c.steps...)
			e := enrolment("")
			e.AsIs = c.asIs
			n, err := b.Import(t.Context(), strings.NewReader(file), e)
			if n != c.n || (err == nil) != (c.n == 1) || err != nil && !strings.Contains(err.Error(), "groups of three digits") {
				t.Errorf("%q after %v, as is %v: %d %v", shown, c.steps, c.asIs, n, err)
			}
		}
	}
}

package badge

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// openCSV reads what spreadsheets write as CSV: UTF-8 with or without a byte order
// mark, UTF-16, commas, semicolons or tabs, and a first line that names the separator.
// skipped is how many lines are before the one with the names.
func openCSV(r io.Reader) (c *csv.Reader, skipped int, err error) {
	in, err := decoded(r)
	if err != nil {
		return nil, 0, err
	}
	head, err := in.Peek(256)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, 0, fmt.Errorf("read CSV: %w", err)
	}
	c = csv.NewReader(in)
	c.FieldsPerRecord, c.ReuseRecord = -1, true
	first, _, whole := strings.Cut(string(head), "\n")
	if named, ok := strings.CutPrefix(strings.TrimRight(first, "\r"), "sep="); ok && whole && len(named) == 1 {
		_, _ = in.Discard(len(first) + 1)
		if strings.Contains(",;\t|", named) {
			c.Comma = rune(named[0])
		}
		return c, 1, nil
	}
	for _, other := range ";\t" {
		if strings.Count(first, string(other)) > strings.Count(first, string(c.Comma)) {
			c.Comma = other
		}
	}
	return c, 0, nil
}

// decoded is a file as UTF-8 without a byte order mark.
func decoded(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReader(r)
	start, err := in.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read CSV: %w", err)
	}
	mark := string(start)
	order, wide := utf16Order(mark)
	switch {
	case binary(mark):
		return nil, notCSV
	case strings.HasPrefix(mark, "\ufeff"):
		_, _ = in.Discard(3)
	case wide:
		in = bufio.NewReader(transform.NewReader(in, unicode.UTF16(order, unicode.UseBOM).NewDecoder()))
	}
	return bufio.NewReader(&onlyText{in: in, line: 1}), nil
}

// utf16Order is the order of bytes in a file that begins as UTF-16, with or without its mark.
func utf16Order(start string) (order unicode.Endianness, wide bool) {
	switch {
	case strings.HasPrefix(start, "\xff\xfe"), len(start) > 1 && start[0] != 0 && start[1] == 0:
		return unicode.LittleEndian, true
	case strings.HasPrefix(start, "\xfe\xff"), len(start) > 1 && start[0] == 0 && start[1] != 0:
		return unicode.BigEndian, true
	}
	return unicode.LittleEndian, false
}

// filled is a row without what spreadsheets add to it: empty cells behind the columns, and
// all cells of a row that was emptied.
func filled(fields []string, columns int) []string {
	n := len(fields)
	for n > 0 && strings.TrimSpace(fields[n-1]) == "" {
		n--
	}
	if n == 0 {
		return nil
	}
	return fields[:max(n, min(columns, len(fields)))]
}

// notCSV says that a file is a spreadsheet's own, a picture or something else that has no
// lines.
var notCSV = ImportError{{1, "", "this is not a CSV file; save or export it as CSV UTF-8, and import that"}}

// binary reports whether the beginning of a file shows that it is no text: a workbook, old
// or new (which is a zip), another known kind, or NUL among what is no UTF-8.
func binary(start string) bool {
	for _, magic := range []string{"PK\x03\x04", "\xd0\xcf\x11\xe0", "%PDF-", "\x1f\x8b"} {
		if strings.HasPrefix(start, magic) {
			return true
		}
	}
	_, wide := utf16Order(start)
	body := start[:max(0, len(start)-utf8.UTFMax)] // the last character may be cut off
	return !wide && strings.ContainsRune(body, 0) && !utf8.ValidString(body)
}

// onlyText passes UTF-8 on and ends at the first character that is none: as U+FFFD, in
// whose place it would be read, different numbers would be one. Where the first line ends
// with CR alone, as in what spreadsheets write for old Macs, each CR is the end of a line.
type onlyText struct {
	in   *bufio.Reader
	line int
	cr   bool   // CR alone ends a line
	text []byte // not yet read
	err  error  // once there was one, it stays
}

// Read implements io.Reader.
func (o *onlyText) Read(p []byte) (n int, err error) {
	for {
		m := copy(p[n:], o.text)
		n, o.text = n+m, o.text[m:]
		switch {
		case n == len(p) || n > 0 && o.in.Buffered() == 0:
			return n, nil
		case o.err != nil:
			return n, o.err
		}
		o.next()
	}
}

func (o *onlyText) next() {
	r, size, err := o.in.ReadRune()
	switch {
	case err != nil:
		o.err = err
		return
	case r == utf8.RuneError && size == 1:
		o.err = ImportError{{
			o.line, "", "there is a character that is neither UTF-8 nor UTF-16: the file was saved in another encoding, as " +
				"Windows-1252, in which Excel writes \"CSV\"; save it as \"CSV UTF-8\", and import that",
		}}
		return
	case r == '\r' && o.endsLine():
		r = '\n'
	}
	if r == '\n' {
		o.line++
	}
	o.text = utf8.AppendRune(o.text[:0], r)
}

// endsLine reports whether the CR that was just read is an end of a line by itself.
func (o *onlyText) endsLine() bool {
	if !o.cr && o.line > 1 {
		return false
	}
	next, err := o.in.Peek(1)
	alone := err != nil || next[0] != '\n' && next[0] != '\r'
	o.cr = o.cr || alone
	return alone
}

var (
	// rounded is a number as spreadsheets show large ones: 2.74815E+15. A hexadecimal
	// number has no sign and no point.
	rounded = regexp.MustCompile(`(?i)^[0-9]+([.,][0-9]+)?E[+-][0-9]+$|^[0-9]+[.,][0-9]+E[0-9]+$`)
	// grouped is a number as a spreadsheet shows it with separators of thousands.
	grouped = regexp.MustCompile(`^[0-9]{1,3}([.,'\x{2019}\x{00a0}\x{202f} ][0-9]{3})+$`)
	// fraction is a whole number as a column of decimals has it.
	fraction = regexp.MustCompile(`^[0-9]+[.,]0+$`)
)

// spreadsheet says what a spreadsheet has made of a number, or nothing. It never quotes
// it.
func spreadsheet(number string) string {
	const again = "; format the column as text, enter the numbers again, and export it once more"
	number = visible(number)
	switch number = strings.TrimSpace(number); {
	case number == "":
	case rounded.MatchString(number):
		return "a spreadsheet has written it in scientific notation, and its last digits are lost" + again
	case fraction.MatchString(number):
		return "a spreadsheet has written it as a decimal fraction" + again
	case strings.ContainsRune("=+@'", rune(number[0])) && len(number) > 1 &&
		strings.Trim(number[1:], `"0123456789abcdefABCDEF`) == "", number[0] == '=':
		return "it is a formula or a text mark of a spreadsheet and no number; format the column as text, and export the " +
			"numbers themselves"
	case number[0] == '#':
		return "a spreadsheet could not show it: it is an error, or the column is too narrow" + again
	}
	return ""
}

// exact is how many digits of a number a spreadsheet keeps.
const exact = 15

// changed are the rows whose numbers a spreadsheet seems to have changed; only the whole
// column shows that. asIs takes them all.
func (reg *Registry) changed(rows []row, asIs bool) (wrong ImportError) {
	if asIs || len(rows) == 0 {
		return nil
	}
	width := reg.width(rows)
	for _, r := range rows {
		switch {
		case reg.groups(r.number):
			wrong = append(wrong, &RowError{
				r.line, "badge", "a separator stands between groups of three digits, as a spreadsheet shows large numbers; " +
					"format the column as text, enter the numbers again, and export it once more, or import with --as-is if " +
					"readers tell it so",
			})
		case decimal(r.number) && len(r.number) < width && r.number[0] != '0':
			wrong = append(wrong, &RowError{
				r.line, "badge", fmt.Sprintf("it is shorter than the others, which have %d digits: a spreadsheet may have "+
					"dropped its leading zeros; format the column as text and enter it again, add pad:%d to badges.normalise, or "+
					"import with --as-is if readers tell it so", width, width),
			})
		}
	}
	wrong = append(wrong, cutOff(rows)...)
	return wrong[:min(len(wrong), rows[0].mistakes())]
}

// cutOff are the rows with long numbers when all of these, and there are several, end in zeros.
func cutOff(rows []row) (wrong ImportError) {
	long := 0
	for _, r := range rows {
		if !decimal(r.number) || len(r.number) <= exact {
			continue
		}
		if long++; strings.Trim(r.number[exact:], "0") == "" {
			wrong = append(wrong, &RowError{
				r.line, "badge", "all digits after the 15th are zeros, as in every long number of this file: a spreadsheet has " +
					"rounded it; format the column as text, enter the numbers again, and export it once more",
			})
		}
	}
	if long < 2 || long > len(wrong) {
		return nil
	}
	return wrong
}

// groups reports whether a number has separators of thousands that count: another number
// than its digits alone.
func (reg *Registry) groups(number string) bool {
	if !grouped.MatchString(number) {
		return false
	}
	same, ok := reg.sameCard(number, strings.Map(only("0123456789"), number))
	return ok && !same
}

// sameCard reports whether two numbers are of the same card; ok is false when one can't be used.
func (reg *Registry) sameCard(a, b string) (same, ok bool) {
	x, err := reg.chain.Apply(a)
	y, err2 := reg.chain.Apply(b)
	return x == y, err == nil && err2 == nil
}

func decimal(number string) bool {
	return number != "" && strings.Trim(number, "0123456789") == ""
}

// How a column with numbers of one width is told: so many rows, of which so many of a
// hundred are as wide, and that wide at least. Of all numbers of 4 bytes 77 % have ten digits
// ((2^32-10^9)/2^32), of 5 bytes 82 % have twelve, of 7 bytes 86 % have seventeen; of a short
// file it may be fewer.
const (
	minWide   = 5
	mostWide  = 60
	leastWide = 6
)

// width is how many digits the numbers of a column have when all should have as many; 0
// when they need not, or when the chain makes no difference of leading zeros.
func (reg *Registry) width(rows []row) int {
	count, led := map[int]int{}, map[int]int{}
	n, all := 0, 0
	for _, r := range rows {
		if !decimal(r.number) {
			continue
		}
		all++
		count[len(r.number)]++
		if r.number[0] == '0' {
			led[len(r.number)]++
		}
		if count[len(r.number)] > count[n] {
			n = len(r.number)
		}
		if same, ok := reg.sameCard("0"+r.number, r.number); same && ok {
			return 0
		}
	}
	switch {
	case len(led) == 1:
		for width := range led {
			return width
		}
	case len(led) == 0 && all >= minWide && n >= leastWide && count[n]*100 >= all*mostWide:
		return n
	}
	return 0
}

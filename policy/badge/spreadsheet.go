package badge

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// openCSV reads what spreadsheets write as CSV: UTF-8 with or without a byte order
// mark, UTF-16, commas, semicolons or tabs, and a first line that names the separator.
// skipped is how many lines are before the one with the names.
func openCSV(r io.Reader) (c *csv.Reader, skipped int, err error) {
	in := bufio.NewReader(r)
	start, err := in.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, fmt.Errorf("read CSV: %w", err)
	}
	switch mark := string(start); {
	case binary(mark):
		return nil, 0, notCSV
	case strings.HasPrefix(mark, "\ufeff"):
		_, _ = in.Discard(3)
	case strings.HasPrefix(mark, "\xff\xfe"), len(mark) > 1 && mark[0] != 0 && mark[1] == 0:
		in = bufio.NewReader(&fromUTF16{in: in})
	case strings.HasPrefix(mark, "\xfe\xff"), len(mark) > 1 && mark[0] == 0 && mark[1] != 0:
		in = bufio.NewReader(&fromUTF16{in: in, big: true})
	}
	in = bufio.NewReader(&onlyText{in: in, line: 1})
	head, err := in.Peek(256)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, 0, fmt.Errorf("read CSV: %w", err)
	}
	first, _, whole := strings.Cut(string(head), "\n")
	comma := ','
	if named, ok := strings.CutPrefix(strings.TrimRight(first, "\r"), "sep="); ok && whole && len(named) == 1 {
		_, _ = in.Discard(len(first) + 1)
		comma, skipped = rune(named[0]), 1
	} else {
		for _, other := range ";\t" {
			if strings.Count(first, string(other)) > strings.Count(first, string(comma)) {
				comma = other
			}
		}
	}
	c = csv.NewReader(in)
	c.FieldsPerRecord, c.ReuseRecord = -1, true
	switch comma {
	case ',', ';', '\t', '|':
		c.Comma = comma
	}
	return c, skipped, nil
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
	wide := len(start) > 1 && (start[0] == 0) != (start[1] == 0) || strings.HasPrefix(start, "\xff\xfe") ||
		strings.HasPrefix(start, "\xfe\xff") // UTF-16, with or without its mark
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

// fromUTF16 makes UTF-8 of UTF-16, without a byte order mark at its beginning.
type fromUTF16 struct {
	in    *bufio.Reader
	big   bool
	begun bool
	text  []byte // not yet read
}

// Read implements io.Reader.
func (u *fromUTF16) Read(p []byte) (int, error) {
	for len(u.text) == 0 {
		r, err := u.next()
		if err != nil {
			return 0, err
		}
		if !u.begun && r == 0xfeff {
			u.begun = true
			continue
		}
		u.begun = true
		u.text = utf8.AppendRune(u.text[:0], r)
	}
	n := copy(p, u.text)
	u.text = u.text[n:]
	return n, nil
}

func (u *fromUTF16) unit() (rune, error) {
	var b [2]byte
	_, err := io.ReadFull(u.in, b[:])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF // half a character at the end is none
	}
	if err != nil {
		return 0, err
	}
	if u.big {
		b[0], b[1] = b[1], b[0]
	}
	return rune(b[0]) | rune(b[1])<<8, nil
}

func (u *fromUTF16) next() (rune, error) {
	r, err := u.unit()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	low, err := u.unit()
	if err != nil {
		return utf8.RuneError, nil //nolint:nilerr // told by the next read
	}
	return utf16.DecodeRune(r, low), nil
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
	if asIs {
		return nil
	}
	width := reg.width(rows)
	long, cut := 0, ImportError{}
	for _, r := range rows {
		if reg.groups(r.number) {
			wrong = append(wrong, &RowError{
				r.line, "badge", "a separator stands between groups of three digits, as a spreadsheet shows large numbers; " +
					"format the column as text, enter the numbers again, and export it once more, or import with --as-is if " +
					"readers tell it so",
			})
		}
		if !decimal(r.number) {
			continue
		}
		if len(r.number) > exact {
			long++
			if strings.Trim(r.number[exact:], "0") == "" {
				cut = append(cut, &RowError{
					r.line, "badge", "all digits after the 15th are zeros, as in every long number of this file: a spreadsheet has " +
						"rounded it; format the column as text, enter the numbers again, and export it once more",
				})
			}
		}
		if len(r.number) < width && r.number[0] != '0' {
			wrong = append(wrong, &RowError{
				r.line, "badge", fmt.Sprintf("it is shorter than the others, which have %d digits: a spreadsheet may have "+
					"dropped its leading zeros; format the column as text and enter it again, add pad:%d to badges.normalise, or "+
					"import with --as-is if readers tell it so", width, width),
			})
		}
	}
	if long > 1 && long == len(cut) {
		wrong = append(wrong, cut...)
	}
	if len(wrong) == 0 {
		return nil
	}
	return wrong[:min(len(wrong), rows[0].mistakes())]
}

// groups reports whether a number has separators of thousands that count: another number
// than its digits alone.
func (reg *Registry) groups(number string) bool {
	if !grouped.MatchString(number) {
		return false
	}
	with, err := reg.chain.Apply(number)
	if err != nil {
		return false
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
	without, err := reg.chain.Apply(digits)
	return err == nil && with != without
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
		with, err := reg.chain.Apply("0" + r.number)
		if without, err2 := reg.chain.Apply(r.number); err == nil && err2 == nil && with == without {
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

// enrollable reports what is wrong with a number as a reader would tell it.
func (reg *Registry) enrollable(number string) error {
	canonical, err := reg.chain.Apply(number)
	if err != nil {
		return err
	}
	return enrollable(canonical)
}

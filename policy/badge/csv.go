package badge

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	// maxRows bounds one import: as many rows of 160 bytes are in the 16 MiB that the API takes.
	maxRows = 100_000
	// maxMistakes is how many mistakes an import that stores nothing tells: more than anybody
	// corrects before the next try.
	maxMistakes = 100
	// maxWarnings bounds what an answer of the API tells of rows that were left or are odd: each
	// takes some 200 bytes.
	maxWarnings = 1000
)

// columns of a CSV file; the last two may be missing.
var columns = []string{"badge", "owner", "user_principal_name", "expires"}

// RowError is a mistake in a CSV file. It quotes no card number.
type RowError struct {
	Line    int    `json:"line"`
	Column  string `json:"column,omitempty"`
	Message string `json:"message"`
}

// Error implements error.
func (e *RowError) Error() string {
	if e.Column != "" {
		return fmt.Sprintf("line %d, %s: %s", e.Line, e.Column, e.Message)
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// ImportError is everything that is wrong with a CSV file; none of it was
// stored.
type ImportError []*RowError

// Error lists the mistakes, one a line.
func (e ImportError) Error() string {
	lines := make([]string, len(e))
	for i, r := range e {
		lines[i] = r.Error()
	}
	return strings.Join(lines, "\n")
}

// bounded sorts the mistakes and says when there may be more of them.
func (e ImportError) bounded() ImportError {
	slices.SortStableFunc(e, func(a, b *RowError) int { return a.Line - b.Line })
	if len(e) < maxMistakes {
		return e
	}
	e = e[:maxMistakes]
	return append(e, &RowError{
		e[maxMistakes-1].Line, "", "there may be more mistakes after this one; correct these first",
	})
}

// row is one line of a file, checked.
type row struct {
	line      int
	number    string
	canonical string // empty when the number can't be used
	dated     bool   // its end is a date alone
	again     int    // the last line with the same badge; 0 when there is none
	Enrolment
}

// parse reads the rows of a file and looks for mistakes that the file itself tells.
func (reg *Registry) parse(r io.Reader, e Enrolment) (rows []row, wrong ImportError, err error) {
	c, skipped, err := openCSV(r)
	if err != nil {
		return nil, nil, err
	}
	at, wrongHead, err := header(c)
	if err != nil || wrongHead != nil {
		return nil, wrongHead, err
	}
	seen := map[string]int{} // rows by their badge
	for len(wrong) < e.mistakes() {
		fields, err := c.Read()
		var bad *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			if len(rows)+len(wrong) == 0 {
				wrong = append(wrong, &RowError{1, "", "there is no badge after the line of column names"})
			}
			return rows, append(wrong, reg.changed(rows, e.AsIs)...), nil
		case errors.Is(err, csv.ErrBareQuote) && errors.As(err, &bad): // the next line can be read
			wrong = append(wrong, &RowError{bad.Line + skipped, "", bad.Err.Error() + formula})
			continue
		case errors.As(err, &bad):
			return nil, append(wrong, &RowError{bad.Line + skipped, "", bad.Err.Error()}), nil
		case err != nil:
			return nil, nil, fmt.Errorf("read CSV: %w", err)
		}
		line, _ := c.FieldPos(0)
		if line += skipped; len(rows) >= maxRows {
			return nil, append(wrong, &RowError{line, "", fmt.Sprintf("more than %d rows; split the file", maxRows)}), nil
		}
		if fields = filled(fields, len(at)); len(fields) == 0 {
			continue
		}
		row, mistakes := reg.row(fields, at, line, e)
		if first, twice := seen[row.canonical]; twice && row.canonical != "" {
			mistakes = append(mistakes, &RowError{line, "badge", fmt.Sprintf("the same badge is in line %d", rows[first].line)})
			rows[first].again = line
		}
		seen[row.canonical] = len(rows)
		rows, wrong = append(rows, row), append(wrong, mistakes...)
	}
	return rows, wrong, nil
}

// formula is what to do about a quote in the middle of a cell.
const formula = `: a formula of a spreadsheet, as ="0001234", is no number; format the column as text, ` +
	`and export the numbers themselves`

// header finds the columns by their names.
func header(c *csv.Reader) (at map[string]int, wrong ImportError, err error) {
	fields, err := c.Read()
	var bad *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return nil, ImportError{{1, "", "the file is empty; its first line is " + strings.Join(columns, ",")}}, nil
	case errors.As(err, &bad):
		return nil, ImportError{{bad.Line, "", bad.Err.Error()}}, nil
	case err != nil:
		return nil, nil, fmt.Errorf("read CSV: %w", err)
	}
	at = map[string]int{}
	for i, name := range filled(fields, 0) {
		name = strings.ToLower(strings.TrimSpace(name))
		switch _, twice := at[name]; {
		case !slices.Contains(columns, name): // not quoted: it may be a card number of a file without names
			wrong = append(wrong, &RowError{1, "", fmt.Sprintf("column %d has an unknown name; the first line is %s", i+1,
				strings.Join(columns, ","))})
		case twice:
			wrong = append(wrong, &RowError{1, name, "there are two such columns"})
		}
		at[name] = i
	}
	for _, name := range columns[:2] {
		if _, ok := at[name]; !ok {
			wrong = append(wrong, &RowError{1, name, "the column is missing"})
		}
	}
	return at, wrong, nil
}

// someOwner stands for an owner that is looked up later.
const someOwner = "00000000-0000-0000-0000-000000000000"

// endOfDay is the last second of a date: whoever writes the last day of a badge means that
// it is valid on that day. A list of badges shows the day so, and not the one after.
func endOfDay(date string, zone *time.Location) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return time.Time{}, err
	}
	y, m, d := day.Date()
	return time.Date(y, m, d, 23, 59, 59, 0, cmp.Or(zone, time.UTC)).UTC(), nil
}

func (reg *Registry) row(fields []string, at map[string]int, line int, e Enrolment) (row, ImportError) {
	get := func(name string) string {
		if i, ok := at[name]; ok && i < len(fields) {
			return strings.TrimSpace(fields[i])
		}
		return ""
	}
	r := row{line: line, number: strings.Clone(get("badge")), Enrolment: e}
	r.Owner, r.UserPrincipalName = canonicalOwner(strings.Clone(get("owner"))), strings.Clone(get("user_principal_name"))
	var wrong ImportError
	add := func(column, message string) { wrong = append(wrong, &RowError{line, column, message}) }
	if len(fields) > len(at) {
		add("", fmt.Sprintf("%d fields, and %d columns", len(fields), len(at)))
	}
	var err error
	r.canonical, err = reg.chain.Apply(r.number)
	if err == nil {
		err = enrollable(r.canonical)
	}
	if why := spreadsheet(r.number); why != "" {
		add("badge", why)
	} else if err != nil {
		add("badge", err.Error())
	}
	if text := get("expires"); text != "" {
		if r.Expires, err = time.Parse(time.RFC3339, text); err != nil {
			r.Expires, err = endOfDay(text, e.Zone)
			r.dated = err == nil
		}
		if err != nil {
			add("expires", "not a time as 2026-12-24T12:00:00Z or a date as 2026-12-24")
		}
	}
	check := r.Enrolment
	if reg.byName(r.Owner) {
		check.Owner = someOwner
	}
	if column, err := check.wrong(); err != nil {
		add(column, strings.TrimPrefix(err.Error(), ErrEnrolment.Error()+": "))
	}
	return r, wrong
}

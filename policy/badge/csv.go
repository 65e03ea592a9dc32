package badge

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How much one import may hold, and how many mistakes and odd numbers it tells of.
const (
	maxRows     = 100_000
	maxMistakes = 100
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

// told sorts the mistakes and says when there may be more of them.
func (e ImportError) told() ImportError {
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
	line   int
	number string
	dated  bool // its end is a date alone
	again  int  // the last line with the same badge; 0 when there is none
	Enrolment
}

// Import enrols the badges of a CSV file whose first line names the columns
// badge, owner, user_principal_name and expires (RFC 3339 or a date), in any
// order, separated by commas, semicolons or tabs, in UTF-8 or UTF-16. All rows are checked, also against
// the badges that are stored, before any is: an ImportError means that nothing
// was. Any other error tells after how many badges it happened; doing the import
// again goes on.
func (reg *Registry) Import(ctx context.Context, r io.Reader, e Enrolment) (enrolled int, err error) {
	rows, wrong, err := reg.parse(r, e)
	if err != nil {
		return 0, err
	}
	if e.Begin != nil && len(rows) > 0 {
		if err := e.Begin(len(rows)); err != nil {
			return 0, err
		}
	}
	var odd ImportError
	unknown, warning, err := reg.unknownRows(ctx, rows)
	if err != nil {
		return 0, err
	}
	if warning != nil {
		odd = append(odd, warning)
	}
	wrong = append(wrong, unknown...)
	if unknown, err = reg.resolveOwners(ctx, rows); err != nil {
		return 0, err
	}
	assigned, err := reg.assignedRows(ctx, rows)
	if err != nil {
		return 0, err
	}
	wrong = append(append(wrong, unknown...), assigned...)
	var mu sync.Mutex
	_, err = parallelRows(ctx, rows, func(ctx context.Context, row row) error {
		taken, err := reg.taken(ctx, row)
		if taken {
			mu.Lock()
			defer mu.Unlock()
			wrong = append(wrong, &RowError{row.line, "badge", ErrTaken.Error()})
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	rows, left, ok := right(rows, wrong, e.SkipInvalid)
	if !ok {
		return 0, wrong.told()
	}
	skipped := len(left)
	if e.Dated != nil && slices.ContainsFunc(rows, func(r row) bool { return r.dated }) {
		e.Dated()
	}
	enrolled, err = parallelRows(ctx, rows, func(ctx context.Context, row row) error {
		row.KeepRevoked = true
		canonical, err := reg.chain.Apply(row.number)
		if err != nil {
			return fmt.Errorf("line %d: %w", row.line, err)
		}
		enrolled, err := reg.enrol(ctx, row.number, canonical, row.Enrolment)
		if errors.Is(err, ErrRevoked) {
			mu.Lock()
			defer mu.Unlock()
			left = append(left, &RowError{row.line, "badge", leftRevoked})
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", row.line, err)
		}
		if enrolled.Warning != "" {
			mu.Lock()
			defer mu.Unlock()
			odd = append(odd, &RowError{row.line, "badge", enrolled.Warning})
		}
		return nil
	})
	revoked := len(left) - skipped
	enrolled -= revoked
	if e.Left != nil && len(left) > 0 {
		slices.SortFunc(left, func(a, b *RowError) int { return a.Line - b.Line })
		e.Left(left[:min(len(left), maxWarnings)], skipped, revoked)
	}
	if e.Warned != nil && len(odd) > 0 {
		slices.SortFunc(odd, func(a, b *RowError) int { return a.Line - b.Line })
		e.Warned(odd[:min(len(odd), maxWarnings)])
	}
	if err != nil {
		return enrolled, fmt.Errorf("after %s stored: %w", badges(enrolled), err)
	}
	return enrolled, nil
}

// leftRevoked says of a row that its badge stays revoked.
const leftRevoked = "the badge was revoked and stays so; enrol it by `pullprint badge enrol`, or import with --replace"

// right are the rows without a mistake, and left one mistake of each other line. ok is false
// when nothing may be stored: a row is wrong and skip is not set, or an owner was not looked
// up, as of a file with too many names.
func right(rows []row, wrong ImportError, skip bool) (good []row, left ImportError, ok bool) {
	if len(wrong) == 0 {
		return rows, nil, true
	}
	bad := map[int]bool{}
	for _, w := range wrong {
		if !bad[w.Line] {
			bad[w.Line] = true
			left = append(left, w)
		}
	}
	for _, r := range rows { // whose badge it is by now the file does not say
		if r.again != 0 && !bad[r.line] {
			bad[r.line] = true
			left = append(left, &RowError{r.line, "badge", fmt.Sprintf("the same badge is in line %d", r.again)})
		}
	}
	good = slices.DeleteFunc(rows, func(r row) bool { return bad[r.line] })
	looked := !slices.ContainsFunc(good, func(r row) bool { return !guid.MatchString(r.Owner) })
	return good, left, skip && len(good) > 0 && looked
}

// taken reports whether a row would take a badge away from somebody.
func (reg *Registry) taken(ctx context.Context, row row) (bool, error) {
	canonical, err := reg.chain.Apply(row.number)
	if err != nil {
		return false, nil //nolint:nilerr // it is among the mistakes already
	}
	old, _, err := reg.findNumber(ctx, row.number, canonical)
	if errors.Is(err, ErrUnknown) {
		return false, nil
	}
	return err == nil && old.Owner != row.Owner && old.valid(row.Now) == nil && !row.Replace, err
}

// parallelLimit is how many rows are in progress at once: the store writes together
// what comes together.
const parallelLimit = 64

// parallelRows calls fn with every row, many at once, until one fails, and tells how many
// succeeded and what failed first.
func parallelRows(ctx context.Context, rows []row, fn func(context.Context, row) error) (done int, err error) {
	return parallel(ctx, parallelLimit, rows, fn)
}

// parallel is parallelRows for items of any type, n at once.
func parallel[T any](ctx context.Context, n int, items []T, fn func(context.Context, T) error) (done int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, succeeded atomic.Int64
	var wg sync.WaitGroup
	for range min(n, len(items)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(items) {
					return
				}
				if err := survive(func() error { return fn(ctx, items[i]) }); err != nil {
					cancel(err) // the first one counts
					return
				}
				succeeded.Add(1)
			}
		})
	}
	wg.Wait()
	return int(succeeded.Load()), context.Cause(ctx)
}

// survive makes an error of a panic: it costs the import, and not the process.
func survive(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic (%T)", p)
		}
	}()
	return fn()
}

func (reg *Registry) parse(r io.Reader, e Enrolment) (rows []row, wrong ImportError, err error) {
	c, skipped, err := openCSV(r)
	if err != nil {
		return nil, nil, err
	}
	at, wrongHead, err := header(c)
	if err != nil || wrongHead != nil {
		return nil, wrongHead, err
	}
	seen := map[string]int{}
	for len(wrong) < e.mistakes() {
		fields, err := c.Read()
		line := 0
		if len(fields) > 0 {
			line, _ = c.FieldPos(0)
			line += skipped
		}
		var bad *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			if len(rows)+len(wrong) == 0 {
				wrong = append(wrong, &RowError{1, "", "there is no badge after the line of column names"})
			}
			return rows, append(wrong, reg.changed(rows, e.AsIs)...), nil
		case errors.Is(err, csv.ErrBareQuote) && errors.As(err, &bad): // the next line can be read
			wrong = append(wrong, &RowError{
				bad.Line + skipped, "", bad.Err.Error() +
					`: a formula of a spreadsheet, as ="0001234", is no number; format the column as text, ` +
					`and export the numbers themselves`,
			})
			continue
		case errors.As(err, &bad):
			return nil, append(wrong, &RowError{bad.Line + skipped, "", bad.Err.Error()}), nil
		case err != nil:
			return nil, nil, fmt.Errorf("read CSV: %w", err)
		case len(rows) >= maxRows:
			return nil, append(wrong, &RowError{line, "", fmt.Sprintf("more than %d rows; split the file", maxRows)}), nil
		}
		if fields = filled(fields, len(at)); len(fields) == 0 {
			continue
		}
		row, mistakes := reg.row(fields, at, line, e)
		if canonical, err := reg.chain.Apply(row.number); err == nil {
			if first, twice := seen[canonical]; twice {
				mistakes = append(mistakes, &RowError{line, "badge", fmt.Sprintf("the same badge is in line %d", rows[first].line)})
				rows[first].again = line
			}
			seen[canonical] = len(rows)
		}
		rows, wrong = append(rows, row), append(wrong, mistakes...)
	}
	return rows, wrong, nil
}

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
	if zone == nil {
		zone = time.UTC
	}
	y, m, d := day.Date()
	return time.Date(y, m, d, 23, 59, 59, 0, zone).UTC(), nil
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
	if len(fields) > len(at) {
		wrong = append(wrong, &RowError{line, "", fmt.Sprintf("%d fields, and %d columns", len(fields), len(at))})
	}
	if why := spreadsheet(r.number); why != "" {
		wrong = append(wrong, &RowError{line, "badge", why})
	} else if err := reg.enrollable(r.number); err != nil {
		wrong = append(wrong, &RowError{line, "badge", err.Error()})
	}
	if text := get("expires"); text != "" {
		var err error
		if r.Expires, err = time.Parse(time.RFC3339, text); err != nil {
			if r.Expires, err = endOfDay(text, e.Zone); err != nil {
				wrong = append(wrong, &RowError{line, "expires", "not a time as 2026-12-24T12:00:00Z or a date as 2026-12-24"})
			}
			r.dated = err == nil
		}
	}
	check := r.Enrolment
	if reg.byName(r.Owner) {
		check.Owner = someOwner
	}
	if column, err := check.wrong(); err != nil {
		wrong = append(wrong, &RowError{line, column, strings.TrimPrefix(err.Error(), ErrEnrolment.Error()+": ")})
	}
	return r, wrong
}

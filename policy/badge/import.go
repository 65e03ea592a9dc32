package badge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
)

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
	i := importing{reg: reg, wrong: wrong}
	if err := i.check(ctx, rows); err != nil {
		return 0, err
	}
	rows, left, ok := right(rows, i.wrong, e.SkipInvalid)
	if !ok {
		return 0, i.wrong.bounded()
	}
	if e.Dated != nil && slices.ContainsFunc(rows, func(r row) bool { return r.dated }) {
		e.Dated()
	}
	enrolled, err = parallel(ctx, parallelLimit, rows, i.enrol)
	enrolled -= len(i.revoked)
	if left = append(left, i.revoked...); e.Left != nil && len(left) > 0 {
		e.Left(firstLines(left), len(left)-len(i.revoked), len(i.revoked))
	}
	if e.Warned != nil && len(i.odd) > 0 {
		e.Warned(firstLines(i.odd))
	}
	if err != nil {
		return enrolled, fmt.Errorf("after %s stored: %w", badges(enrolled), err)
	}
	return enrolled, nil
}

// firstLines are those of the first lines, as many as are told.
func firstLines(list ImportError) ImportError {
	slices.SortFunc(list, func(a, b *RowError) int { return a.Line - b.Line })
	return list[:min(len(list), maxWarnings)]
}

// importing is one import. Its rows are checked and enrolled by several goroutines.
type importing struct {
	reg *Registry

	mu      sync.Mutex  // guards the rest
	wrong   ImportError // mistakes
	odd     ImportError // warnings
	revoked ImportError // rows that were left, since their badge stays revoked
}

// check looks for mistakes that only the directory and the stored badges tell.
func (i *importing) check(ctx context.Context, rows []row) error {
	unknown, warning, err := i.reg.unknownRows(ctx, rows)
	if err != nil {
		return err
	}
	if warning != nil {
		i.odd = append(i.odd, warning)
	}
	ownerless, err := i.reg.resolveOwners(ctx, rows)
	if err != nil {
		return err
	}
	assigned, err := i.reg.assignedRows(ctx, rows)
	if err != nil {
		return err
	}
	i.wrong = slices.Concat(i.wrong, unknown, ownerless, assigned)
	_, err = parallel(ctx, parallelLimit, rows, func(ctx context.Context, row row) error {
		taken, err := i.reg.taken(ctx, row)
		if taken {
			i.add(&i.wrong, row, ErrTaken.Error())
		}
		return err
	})
	return err
}

// enrol stores the badge of one row.
func (i *importing) enrol(ctx context.Context, row row) error {
	row.KeepRevoked = true
	enrolled, err := i.reg.enrol(ctx, row.number, row.canonical, row.Enrolment)
	switch {
	case errors.Is(err, ErrRevoked):
		i.add(&i.revoked, row, leftRevoked)
	case err != nil:
		return fmt.Errorf("line %d: %w", row.line, err)
	case enrolled.Warning != "":
		i.add(&i.odd, row, enrolled.Warning)
	}
	return nil
}

// add notes something about the badge of a row.
func (i *importing) add(list *ImportError, row row, message string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	*list = append(*list, &RowError{row.line, "badge", message})
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
	if row.canonical == "" {
		return false, nil // it is among the mistakes already
	}
	old, _, err := reg.findNumber(ctx, row.number, row.canonical)
	if errors.Is(err, ErrUnknown) {
		return false, nil
	}
	return err == nil && old.Owner != row.Owner && old.valid(row.Now) == nil && !row.Replace, err
}

// parallelLimit is how many rows are in progress at once: the store writes together
// what comes together.
const parallelLimit = 64

// parallel calls fn with every item, n at once, until one fails, and tells how many succeeded
// and what failed first.
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

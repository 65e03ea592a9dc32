package policy

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// PageRange is a part of a document, as Graph's integerRange has it: both ends
// are printed, and pages count from 1.
type PageRange struct{ From, To int64 }

// The bounds within which pages and copies are counted. A job beyond them has no
// number of pages.
const (
	maxPages = 10_000_000
	maxJob   = math.MaxInt32 // copies
)

var errPaper = errors.New("the job has more pages or copies than can be counted")

// Paper is what a job puts on paper, all copies together.
type Paper struct {
	// Sides are the printed sides, each with PagesPerSheet pages of the document.
	Sides int64
	// Sheets are sheets of paper.
	Sheets int64
	// Paired are the sides that share a sheet with another.
	Paired int64
}

// Paper works out what a job of known length prints at most. What a printer may
// ignore does not make it less: a number of pages on a side that no printer has
// counts as one, and a list of ranges with one that is not valid, or with no page
// of the document in it, as all pages.
func (j *Job) Paper() (Paper, error) {
	if j.Pages < 0 || j.Pages > maxPages || j.Copies < 0 || j.Copies > maxJob || j.PagesPerSheet < 0 {
		return Paper{}, errPaper
	}
	up := int64(1)
	if PerSheet(j.PagesPerSheet) {
		up = int64(j.PagesPerSheet)
	}
	copies := int64(max(j.Copies, 1))
	sides := (j.selected() + up - 1) / up
	sheets, paired := sides, int64(0)
	if j.Duplex && !j.OneSided {
		sheets, paired = (sides+1)/2, sides/2*2
	}
	return Paper{Sides: sides * copies, Sheets: sheets * copies, Paired: paired * copies}, nil
}

// selected is how many pages of the document are printed. Ranges may overlap,
// stand in any order and reach beyond the document: each page is printed once, as
// RFC 8011, 5.2.7 has it.
func (j *Job) selected() int64 {
	all := int64(j.Pages)
	ranges := slices.Clone(j.Ranges)
	slices.SortFunc(ranges, func(a, b PageRange) int { return cmp.Compare(a.From, b.From) })
	selected, done := int64(0), int64(0)
	for _, r := range ranges {
		if r.From < 1 || r.To < r.From {
			return all
		}
		from, to := max(r.From, done+1), min(r.To, all)
		if from <= to {
			selected, done = selected+to-from+1, to
		}
	}
	if selected == 0 {
		return all
	}
	return selected
}

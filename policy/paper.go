package policy

import (
	"errors"
	"math"
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

// Paper works out what a job of known length prints. Ranges may overlap, stand
// in any order and reach beyond the document: a page that is named twice is
// printed twice, one that does not exist is not printed.
func (j *Job) Paper() (Paper, error) {
	if j.Pages < 0 || j.Pages > maxPages || j.Copies < 0 || j.Copies > maxJob || j.PagesPerSheet < 0 || j.PagesPerSheet > maxPages {
		return Paper{}, errPaper
	}
	selected := int64(j.Pages)
	if len(j.Ranges) > 0 {
		selected = 0
		for _, r := range j.Ranges {
			from, to := max(r.From, 1), min(r.To, int64(j.Pages))
			if from <= to {
				selected += to - from + 1
			}
			if selected > maxPages {
				return Paper{}, errPaper
			}
		}
	}
	up, copies := int64(max(j.PagesPerSheet, 1)), int64(max(j.Copies, 1))
	sides := (selected + up - 1) / up
	sheets, paired := sides, int64(0)
	if j.Duplex {
		sheets, paired = (sides+1)/2, sides/2*2
	}
	return Paper{Sides: sides * copies, Sheets: sheets * copies, Paired: paired * copies}, nil
}

package register

import (
	"slices"
	"strconv"
	"strings"

	"pullprint/trigger/graph"
)

// lists are the capabilities that are lists of words, with Graph's names.
var lists = []struct {
	name string
	of   func(*graph.Capabilities) *[]string
}{
	{"contentTypes", func(c *graph.Capabilities) *[]string { return &c.ContentTypes }},
	{"colorModes", func(c *graph.Capabilities) *[]string { return &c.ColorModes }},
	{"duplexModes", func(c *graph.Capabilities) *[]string { return &c.DuplexModes }},
	{"mediaSizes", func(c *graph.Capabilities) *[]string { return &c.MediaSizes }},
	{"mediaTypes", func(c *graph.Capabilities) *[]string { return &c.MediaTypes }},
	{"orientations", func(c *graph.Capabilities) *[]string { return &c.Orientations }},
	{"qualities", func(c *graph.Capabilities) *[]string { return &c.Qualities }},
	{"finishings", func(c *graph.Capabilities) *[]string { return &c.Finishings }},
	{"multipageLayouts", func(c *graph.Capabilities) *[]string { return &c.MultipageLayouts }},
	{"scalings", func(c *graph.Capabilities) *[]string { return &c.Scalings }},
}

// numbers are those that are lists of numbers.
var numbers = []struct {
	name string
	of   func(*graph.Capabilities) *[]int
}{
	{"dpis", func(c *graph.Capabilities) *[]int { return &c.DPIs }},
	{"pagesPerSheet", func(c *graph.Capabilities) *[]int { return &c.PagesPerSheet }},
}

// switches are those that are true, false or not given.
var switches = []struct {
	name string
	of   func(*graph.Capabilities) **bool
}{
	{"isColorPrintingSupported", func(c *graph.Capabilities) **bool { return &c.Color }},
	{"isPageRangeSupported", func(c *graph.Capabilities) **bool { return &c.PageRange }},
	{"collation", func(c *graph.Capabilities) **bool { return &c.Collation }},
	{"supportsFitPdfToPage", func(c *graph.Capabilities) **bool { return &c.FitPDFToPage }},
}

// defaultCapabilities is what a queue offers unless its devices report something else.
func defaultCapabilities() graph.Capabilities {
	yes := true
	return graph.Capabilities{
		ContentTypes: []string{"application/oxps", "application/pdf"},
		ColorModes:   []string{"blackAndWhite", "color", "auto"},
		DuplexModes:  []string{"oneSided", "flipOnLongEdge", "flipOnShortEdge"},
		MediaSizes:   []string{"A4", "North America Letter"}, MediaTypes: []string{"stationery"},
		Orientations: []string{"portrait", "landscape"}, Qualities: []string{"medium"}, Finishings: []string{"none"},
		DPIs: []int{600}, PagesPerSheet: []int{1, 2, 4}, CopiesPerJob: &graph.Span{Start: 1, End: 99},
		Color: &yes, PageRange: &yes,
	}
}

// combine returns what a queue offers whose jobs these devices release: what any of them can
// do. Documents are not converted, so of content types only those that every device accepts.
// Trays are left out: a tray of one device means nothing on another.
func combine(devices []graph.Capabilities) graph.Capabilities {
	var all graph.Capabilities
	for i := range devices {
		d := devices[i]
		types := d.ContentTypes
		d.ContentTypes = nil
		merge(&all, &d)
		switch {
		case len(types) == 0: // not reported
		case all.ContentTypes == nil:
			all.ContentTypes = slices.Clone(types)
		default:
			all.ContentTypes = slices.DeleteFunc(all.ContentTypes, func(t string) bool { return !slices.Contains(types, t) })
		}
	}
	return all
}

// merge adds to c the capabilities of more.
func merge(c, more *graph.Capabilities) {
	for _, l := range lists {
		to := l.of(c)
		*to = union(*to, *l.of(more))
	}
	for _, n := range numbers {
		to := n.of(c)
		*to = union(*to, *n.of(more))
	}
	for _, s := range switches {
		if to, from := s.of(c), *s.of(more); from != nil && (*to == nil || *from) {
			yes := *from
			*to = &yes
		}
	}
	if from := more.CopiesPerJob; from != nil && (c.CopiesPerJob == nil || c.CopiesPerJob.End < from.End) {
		c.CopiesPerJob = &graph.Span{Start: 1, End: from.End}
	}
}

// fillMissing sets the capabilities that c does not tell.
func fillMissing(c, from *graph.Capabilities) {
	for _, l := range lists {
		if to := l.of(c); len(*to) == 0 {
			*to = *l.of(from)
		}
	}
	for _, n := range numbers {
		if to := n.of(c); len(*to) == 0 {
			*to = *n.of(from)
		}
	}
	for _, s := range switches {
		if to := s.of(c); *to == nil {
			*to = *s.of(from)
		}
	}
	if c.CopiesPerJob == nil {
		c.CopiesPerJob = from.CopiesPerJob
	}
}

// missingFrom returns the capabilities of want that have lacks, in Graph's names.
func missingFrom(have, want graph.Capabilities) []string {
	var all []string
	note := func(name string, has int, missing []string) {
		switch {
		case len(missing) == 0:
		case has == 0:
			all = append(all, name)
		default:
			all = append(all, name+" "+strings.Join(missing, ", "))
		}
	}
	for _, l := range lists {
		note(l.name, len(*l.of(&have)), without(*l.of(&want), *l.of(&have)))
	}
	for _, n := range numbers {
		var missing []string
		for _, v := range without(*n.of(&want), *n.of(&have)) {
			missing = append(missing, strconv.Itoa(v))
		}
		note(n.name, len(*n.of(&have)), missing)
	}
	for _, s := range switches {
		if w, h := *s.of(&want), *s.of(&have); w != nil && *w && (h == nil || !*h) {
			all = append(all, s.name)
		}
	}
	if want.CopiesPerJob != nil && (have.CopiesPerJob == nil || have.CopiesPerJob.End < want.CopiesPerJob.End) {
		all = append(all, "copiesPerJob")
	}
	return all
}

// defaults returns the defaults that a queue does not have yet; it keeps those that it has.
func defaults(can graph.Capabilities, there graph.Defaults) graph.Defaults {
	var d graph.Defaults
	for _, w := range []struct {
		to, there *string
		from      []string
		like      string
	}{
		{&d.ContentType, &there.ContentType, can.ContentTypes, "application/oxps"},
		{&d.ColorMode, &there.ColorMode, can.ColorModes, "auto"},
		{&d.DuplexMode, &there.DuplexMode, can.DuplexModes, "oneSided"},
		{&d.MediaSize, &there.MediaSize, can.MediaSizes, "A4"},
		{&d.MediaType, &there.MediaType, can.MediaTypes, "stationery"},
		{&d.Orientation, &there.Orientation, can.Orientations, "portrait"},
		{&d.Quality, &there.Quality, can.Qualities, "medium"},
	} {
		switch {
		case *w.there != "", len(w.from) == 0:
		case slices.Contains(w.from, w.like):
			*w.to = w.like
		default:
			*w.to = w.from[0]
		}
	}
	if len(there.Finishings) == 0 && slices.Contains(can.Finishings, "none") {
		d.Finishings = []string{"none"}
	}
	if there.Copies == 0 {
		d.Copies = 1
	}
	if there.PagesPerSheet == 0 {
		d.PagesPerSheet = 1
	}
	if there.DPI == 0 && len(can.DPIs) > 0 {
		d.DPI = slices.Max(can.DPIs)
	}
	return d
}

// union returns the values of a, then those that only b has, in a new slice.
func union[T comparable](a, b []T) []T {
	return append(slices.Clone(a), without(b, a)...)
}

// without returns the values of a that are not in b, each once.
func without[T comparable](a, b []T) []T {
	var out []T
	for _, v := range a {
		if !slices.Contains(b, v) && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

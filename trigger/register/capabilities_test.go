package register

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pullprint/trigger/graph"
)

// A queue offers what any of its devices can do, but only document types that all of them accept.
// It lacks what a device offers and the queue does not.
func TestCombinedCapabilities(t *testing.T) {
	yes, no := true, false
	west := graph.Capabilities{
		ContentTypes: []string{"application/pdf", "application/oxps"}, MediaSizes: []string{"A4", "A3"}, DPIs: []int{600}, Color: &no,
		CopiesPerJob: &graph.Span{Start: 1, End: 10},
	}
	east := graph.Capabilities{
		ContentTypes: []string{"image/urf", "application/pdf"}, MediaSizes: []string{"A4", "A5"}, DPIs: []int{600, 1200}, Color: &yes,
		Finishings:   []string{"staple"},
		CopiesPerJob: &graph.Span{Start: 1, End: 99},
	}
	got := combine([]graph.Capabilities{west, {}, east})
	want := graph.Capabilities{
		ContentTypes: []string{"application/pdf"}, MediaSizes: []string{"A4", "A3", "A5"}, DPIs: []int{600, 1200}, Color: &yes,
		Finishings:   []string{"staple"},
		CopiesPerJob: &graph.Span{Start: 1, End: 99},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if l := missingFrom(got, got); len(l) != 0 {
		t.Errorf("lacks %v of itself", l)
	}
	if l, want := missingFrom(west, got), []string{
		"mediaSizes A5", "finishings", "dpis 1200", "isColorPrintingSupported", "copiesPerJob",
	}; !slices.Equal(l, want) {
		t.Errorf("lacks %q, want %q", l, want)
	}
	if west.MediaSizes[1] != "A3" || len(west.MediaSizes) != 2 || *west.Color {
		t.Errorf("a device was changed: %+v", west)
	}
	base := defaultCapabilities()
	fillMissing(&got, &base)
	if !slices.Equal(got.ContentTypes, []string{"application/pdf"}) || !slices.Equal(got.Qualities, base.Qualities) {
		t.Errorf("filled: %+v", got)
	}
	d := defaults(got, graph.Defaults{MediaSize: "A3"})
	if d.ContentType != "application/pdf" || d.MediaSize != "" || d.DuplexMode != "oneSided" || d.DPI != 1200 || d.Copies != 1 {
		t.Errorf("defaults %+v", d)
	}
}

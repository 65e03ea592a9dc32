package view

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pullprint/connector/decision"
	"pullprint/connector/release"
	"pullprint/policy/reasons"

	"go.uber.org/zap"
)

func newSite(t *testing.T) *Site {
	t.Helper()
	s, err := New(Options{DefaultZone: func() *time.Location { return time.UTC }, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Durations and variants of jobs in words.
func TestTexts(t *testing.T) {
	in := newSite(t).Words("en")
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 61 * time.Minute: "1 h 1 min",
		47*time.Hour + 59*time.Minute: "47 h 59 min", 48 * time.Hour: "2 days",
	} {
		if got := in.Span(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	for want, ago := range map[string]time.Duration{
		"vor 0 s": -time.Hour, "vor 2 h 5 min": 125 * time.Minute, "vor 3 Tagen": 75 * time.Hour,
	} {
		de := newSite(t).Words("de")
		if got := de.Ago(de.now.Add(-ago)); got != want {
			t.Errorf("%s ago: %q, want %q", ago, got, want)
		}
	}
	for want, s := range map[string]decision.Settings{
		"Print": {}, "Print one copy": {Copies: 1}, "Print in black and white": {ColorMode: "grayscale"},
		"Print one copy in black and white, on both sides": {Copies: 1, ColorMode: "grayscale", DuplexMode: "flipOnLongEdge"},
	} {
		if got := in.Print(s); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}

// What is not in the catalog is told in general, but in English.
func TestMessageInAnotherLanguage(t *testing.T) {
	s := newSite(t)
	if got := s.Words("de").Message("Too strange. 100 %d."); !strings.HasPrefix(got, "Das geht im Moment nicht.") {
		t.Error(got)
	}
	if got := s.Words("en").Message("Too strange. 100 %d."); got != "Too strange. 100 %d." {
		t.Error(got)
	}
	r := s.Words("de").Reason(release.Reason{
		Code: reasons.DeviceUnavailable, Text: "This printer can't print at the moment: paper jam, unheard of.",
		Remedy: "Go to Canteen (west), east or north: your job is still waiting.",
	})
	if r.Text != "Dieser Drucker kann im Moment nicht drucken: Papierstau." ||
		r.Remedy != "Gehen Sie zu Canteen (west), east oder north: Ihr Auftrag wartet weiter." {
		t.Errorf("%+v", r)
	}
	if got := s.Words("fr", "de").Until(time.Now()); !strings.HasPrefix(got, "aujourd’hui ") {
		t.Error(got)
	}
}

// deadlines is a writer that has deadlines.
type deadlines struct {
	http.ResponseWriter
	set time.Time
}

func (d *deadlines) SetWriteDeadline(at time.Time) error { d.set = at; return nil }

// Behind Speak an answer still gets the time that it needs.
func TestSpeakKeepsDeadlines(t *testing.T) {
	w, at := &deadlines{}, time.Now()
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	if err := http.NewResponseController(Speak(w, req)).SetWriteDeadline(at); err != nil || !w.set.Equal(at) {
		t.Errorf("deadline %v: %v", w.set, err)
	}
}

package view

import (
	"cmp"
	"strings"
	"time"

	"pullprint/connector/admin/apiclient"
)

// Moment is a time on a page: At for programs, Text for who reads it.
type Moment struct {
	At   time.Time
	Text string
}

// Moment is a time to the second, as steps of a job are seconds apart, with its zone.
func (w Words) Moment(t time.Time) Moment { return Moment{t, w.Language.Moment(t.In(w.zone))} }

// Ends is a time to come.
func (w Words) Ends(t time.Time) Moment { return Moment{t, w.Until(t)} }

// Span is a duration.
func (w Words) Span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return w.Text("%d s", int(d.Seconds()))
	case d < time.Hour:
		return w.Text("%d min", int(d.Minutes()))
	case d < inDays:
		return w.Text("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return w.Text("%d days", int(d.Hours()/24))
}

// inDays is the duration from which on days are counted.
const inDays = 48 * time.Hour

// Ago is how long ago a time is.
func (w Words) Ago(t time.Time) string {
	d := w.now.Sub(t)
	if d >= inDays {
		return w.Text("%d days ago", int(d.Hours()/24))
	}
	return w.Text("%s ago", w.Span(d))
}

// Asked is what asked for a decision, by the names of people.
func (w Words) Asked(e apiclient.Event, names Names) string {
	who := cmp.Or(names[e.Actor], e.Actor)
	if e.Actor = ""; who != "" {
		e.Actor = "%s"
	}
	why := e.Why()
	if strings.Contains(why, "%s") {
		return w.Text(why, who)
	}
	return w.Text(why)
}

// Told is an error as the API tells it. What the catalog lacks of its detail stays English.
func (w Words) Told(pr *apiclient.Problem) (title, detail, english string) {
	switch {
	case w.Code() == "en":
		return pr.Title, pr.Detail, ""
	case w.Has(pr.Title):
		title = w.Text(pr.Title)
	default:
		title = w.Text("It did not work")
	}
	if w.Has(pr.Detail) {
		return title, w.Text(pr.Detail), ""
	}
	return title, "", pr.Detail
}

package view

import (
	"fmt"
	"html/template"
	"time"
)

// functions are those of the templates that need no configuration.
var functions = template.FuncMap{
	"ago":    func(now, t time.Time) string { return Span(now.Sub(t)) + " ago" },
	"left":   func(now, t time.Time) string { return Span(t.Sub(now)) },
	"stamp":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"ispast": func(now, t time.Time) bool { return !t.After(now) },
}

// times are the functions of the templates for times.
func (s *Site) times() template.FuncMap {
	in := func(layout string) func(t time.Time) string {
		return func(t time.Time) string { return t.In(s.in()).Format(layout) }
	}
	return template.FuncMap{
		"clock": in("Mon 15:04 MST"), "date": in("Mon 2 Jan 15:04 MST"),
		"moment": in("Mon 2 Jan 15:04:05 MST"), // steps of a job are seconds apart
		"until": func(now, t time.Time) string {
			return s.catalog.Choose().Until(now.In(s.in()), t.In(s.in()))
		},
	}
}

// in is the zone in which times are shown.
func (s *Site) in() *time.Location {
	if s.zone != nil {
		return s.zone
	}
	return s.o.DefaultZone()
}

// Span is a duration in words.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "no time"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

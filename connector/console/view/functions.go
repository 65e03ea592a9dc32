package view

import (
	"html/template"
	"time"
)

// functions are those of the templates that need no configuration.
var functions = template.FuncMap{
	"stamp":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"ispast": func(now, t time.Time) bool { return !t.After(now) },
}

// in is the zone in which times are shown.
func (s *Site) in() *time.Location {
	if s.zone != nil {
		return s.zone
	}
	return s.o.DefaultZone()
}

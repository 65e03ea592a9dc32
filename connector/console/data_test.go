package console

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"pullprint/connector/console/own"
	"pullprint/connector/privacy"
)

// tooMuch are people about whom more is stored than an export may have.
type tooMuch struct{ own.Self }

func (tooMuch) ExportOwn(context.Context, string, int) (privacy.Person, error) {
	return privacy.Person{}, privacy.ErrTooLarge
}

// Who gets no export is told what to do: ask the help desk when it would be too large, or again in a minute.
func TestNoOwnData(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		v := s.browser()
		v.signIn(carlaID, "/me/data")
		time.Sleep(time.Minute)
		rec := ask(s.pages, "GET", "/me/data", "same-origin", v.cookies())
		if rec.Code != http.StatusConflict || !strings.Contains(rec.Body.String(), "Ask your help desk") ||
			rec.Header().Get("Content-Disposition") != "" {
			t.Errorf("too large: %d %s", rec.Code, rec.Body)
		}
		rec = ask(s.pages, "GET", "/me/data", "same-origin", v.cookies())
		if rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), "Try again in a minute") ||
			rec.Header().Get("Retry-After") != "60" {
			t.Errorf("at once again: %d, Retry-After %q: %s", rec.Code, rec.Header().Get("Retry-After"), rec.Body)
		}
	})
}

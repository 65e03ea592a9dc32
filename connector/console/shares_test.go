package console

import (
	"net/http"
	"strings"
	"testing"
)

// A person who loads many pages at once is told to wait, and others are not; a page that has ended makes room.
func TestPagesAtOnce(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		carla, dora := s.browser(), s.browser()
		carla.signIn(carlaID, "/me/lend")
		dora.signIn(doraID, "/me/lend")
		load := func(v *browser, path string, want int) {
			t.Helper()
			rec := ask(s.pages, "GET", path, "same-origin", v.cookies())
			if rec.Code != want || want == http.StatusTooManyRequests &&
				(rec.Header().Get("Retry-After") != "1" || !strings.Contains(rec.Body.String(), "try again in a few seconds")) {
				t.Errorf("%s: %d, want %d: %s", path, rec.Code, want, rec.Body)
			}
		}
		for range 2 * personPages {
			load(carla, "/me/lend", http.StatusOK)
		}
		for range personPages {
			free, ok := s.pages.loading.Take(carlaID, personPages)
			if !ok {
				t.Fatal("a page that has ended still counts")
			}
			defer free()
		}
		load(carla, "/me/lend", http.StatusTooManyRequests)
		load(carla, "/at/west?k=x", http.StatusTooManyRequests)
		load(dora, "/me/lend", http.StatusOK)
	})
}

package station

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// What is in the two fields for a badge is one badge, or nobody's.
func TestShownBadge(t *testing.T) {
	for _, c := range []struct {
		fields []string
		number string
		one    bool
	}{
		{nil, "", true},
		{[]string{"", ""}, "", true},
		{[]string{" 4711\r", ""}, "4711", true},
		{[]string{"", "4711"}, "4711", true},
		{[]string{"4711", "4711 "}, "4711", true},
		{[]string{"4711", "4712"}, "", false},
		{[]string{"4711", "", "4712"}, "", false},
	} {
		body := url.Values{"badge": c.fields}.Encode()
		req := httptest.NewRequest(http.MethodPost, "/station/west/jobs", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if number, one := shownBadge(req); number != c.number || one != c.one {
			t.Errorf("%q: %q, %t", c.fields, number, one)
		}
	}
}

// The address of a page says a message of the list or none, whatever its author wrote; each
// message that a card can get leads to an address that says it.
func TestMessagesInAddresses(t *testing.T) {
	at := func(target string) (int, string) { return said(httptest.NewRequest(http.MethodGet, target, nil)) }
	for _, n := range []string{"", "?said=", "?said=-1", "?said=1e9", "?said=99999999999999999999", "?said=Pay+here"} {
		if status, text := at("/station/west" + n); status != http.StatusOK || text != "" {
			t.Errorf("%s: %d %q", n, status, text)
		}
	}
	for _, m := range messages {
		rec := httptest.NewRecorder()
		form := httptest.NewRequest(http.MethodPost, "/station/west/jobs", nil)
		byAddress{rec, form}.lead("station", stationPage{Device: "west"}, m.text)
		if status, text := at(rec.Header().Get("Location")); status != m.status || text != m.text {
			t.Errorf("%q leads to %s: %d %q", m.text, rec.Header().Get("Location"), status, text)
		}
	}
	rec := httptest.NewRecorder()
	byAddress{rec, httptest.NewRequest(http.MethodPost, "/", nil)}.lead("station", stationPage{Device: "a/b?c"}, "PLANTED")
	if to := rec.Header().Get("Location"); to != "/station/a%2Fb%3Fc?said=0" {
		t.Errorf("an error that is not listed leads to %s", to)
	}
	rec = httptest.NewRecorder()
	byAddress{rec, httptest.NewRequest(http.MethodPost, "/", nil)}.lead("jobs", stationPage{Device: "west", Ticket: "t"}, "")
	if to := rec.Header().Get("Location"); to != "/station/west/jobs?visit=t" {
		t.Errorf("the first page of a visit is at %s", to)
	}
}

// Of those who send the form of one ticket the first carries it out; another ticket, or
// another device, is carried out anew.
func TestFormResults(t *testing.T) {
	var r formResults
	first, ok := r.join("west", "ticket")
	if !ok || first.page.Device != "west" {
		t.Fatal("the first does not carry it out")
	}
	if again, ok := r.join("west", "ticket"); ok || again != first {
		t.Error("carried out twice")
	}
	if other, ok := r.join("east", "ticket"); !ok || other == first {
		t.Error("another device has the result of the first")
	}
	if next, ok := r.join("west", "next"); !ok || next == first {
		t.Error("another ticket has the result of the first")
	}
}

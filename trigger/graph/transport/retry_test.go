package transport

import (
	"net/http"
	"testing"
	"time"

	"pullprint/trigger/fuzztest"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "7s": 0, "7.5": 8 * time.Second, "2.128": 3 * time.Second,
		"2.000": 2 * time.Second, "0.0": 0, "0.01": time.Second,
		"300.5": 5 * time.Minute, "1e3": 0, "inf": 0, "NaN": 0, "0x10": 0, "1.2.3": 0, ".5": 0, "5.": 0, "+5": 0, "-2.5": 0, "soon": 0,
		"300": 5 * time.Minute, "301": 5 * time.Minute, "99999999999999999999": 5 * time.Minute,
		"Sun, 01 Mar 2026 12:00:09 GMT":  9 * time.Second,
		"Sun, 01 Mar 2026 11:59:00 GMT":  0,
		"Sun, 01 Mar 2026 18:00:00 GMT":  5 * time.Minute,
		"Sunday, 01-Mar-26 12:00:09 GMT": 9 * time.Second, // RFC 850
		"Sun Mar  1 12:00:09 2026":       9 * time.Second, // asctime
	} {
		if got := RetryAfter(http.Header{"Retry-After": {v}}, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{
		"", "0", "120", "-1", "300", "1e3", "99999999999999999999", "Sun, 01 Mar 2026 12:00:09 GMT", "Sunday, 01-Mar-26 12:00:09 GMT",
		"Sun Mar  1 12:00:09 2026", "Sun, 31 Feb 2026 12:00:09 GMT", "\x00", "１２",
	} {
		f.Add(v)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, v string) {
		defer watch.Input(t)()
		got := RetryAfter(http.Header{"Retry-After": {v}}, now)
		if got < 0 || got > MaxRetryAfter {
			t.Errorf("%q: %v is out of bounds", v, got)
		}
		if later := RetryAfter(http.Header{"Retry-After": {v}}, now.Add(time.Second)); later > got {
			t.Errorf("%q: %v a second later, before %v", v, later, got)
		}
		if w := Backoff(3, got); w < got || w > max(got+got/10, backoff.Max) {
			t.Errorf("%v asked for, but a pause of %v", got, w)
		}
	})
}

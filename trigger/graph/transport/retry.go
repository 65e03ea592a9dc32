package transport

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pullprint/trigger/wait"
)

const (
	// TryTimeout bounds one request with its answer: half of the budget of a call, so that
	// there is time for a second.
	TryTimeout = 10 * time.Second
	// MaxRetryAfter is the longest wait that a server can ask for by Retry-After.
	MaxRetryAfter = 5 * time.Minute
)

// backoff spaces the tries of one call: it has 20 s for all of them, so a longer pause than
// 5 s would leave too few.
var backoff = wait.Backoff{First: 100 * time.Millisecond, Max: 5 * time.Second}

// RetryAfter returns the value of Retry-After, in seconds or as a date, at most 5 minutes
// (https://learn.microsoft.com/graph/throttling). Fractions of a second are rounded up. A value
// that is absent, past, negative or malformed is 0. now is the time at the server, because a
// date is by its clock.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" || len(v) > 64 {
		return 0
	}
	if whole, fraction, ok := seconds(v); ok {
		n, err := strconv.ParseInt(whole, 10, 32)
		if err == nil && strings.Trim(fraction, "0") != "" {
			n++
		}
		if err != nil || n > int64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter // so many digits that it overflows
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

// seconds splits a number of seconds, as 7 or 2.128.
func seconds(v string) (whole, fraction string, ok bool) {
	whole, fraction, dot := strings.Cut(v, ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return whole, fraction, digits(whole) && (!dot || digits(fraction))
}

// ServerTime returns the time at the server according to its answer, else this machine's.
func ServerTime(h http.Header) time.Time {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		return at
	}
	return time.Now()
}

// Backoff returns the pause after the n-th failed try, counted from 0. It is never shorter
// than what the server asked for.
func Backoff(n int, asked time.Duration) time.Duration {
	d := backoff.Pause(n + 1)
	if asked > 0 {
		return max(d, wait.Jitter(asked))
	}
	return d
}

// Fits reports whether ctx lasts longer than d.
func Fits(ctx context.Context, d time.Duration) bool {
	end, ok := ctx.Deadline()
	return !ok || time.Until(end) > d
}

// Skew returns how far this machine's clock is ahead of the server's; told is false if the
// answer has no time.
func Skew(h http.Header) (ahead time.Duration, told bool) {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0, false
	}
	return time.Since(at).Truncate(time.Second), true
}

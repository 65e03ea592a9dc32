package graph

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	budget        = 20 * time.Second // of a call, all tries and waits together
	tryTimeout    = 10 * time.Second // of one try
	leastTry      = time.Second      // of a try at the end of the budget
	maxRetryAfter = 5 * time.Minute
	firstBackoff  = 100 * time.Millisecond
	lastBackoff   = 5 * time.Second
)

// retryAfter reads Retry-After, in seconds or as a date, at most 5 minutes
// (https://learn.microsoft.com/graph/throttling). What is absent, past or not
// understood is 0.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" || len(v) > 64 {
		return 0
	}
	if strings.Trim(v, "0123456789") == "" {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil || n > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter // so many digits that it overflows
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// backoff is the pause after the n-th failed try, from 0: it doubles, with
// jitter, and is never shorter than what the server asked for.
func backoff(n int, asked time.Duration) time.Duration {
	d := min(firstBackoff<<min(n, 10), lastBackoff)
	d = d/2 + rand.N(d/2+1)
	if asked > 0 {
		return max(d, asked+rand.N(asked/10+1))
	}
	return d
}

// pause sleeps, and reports false when ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

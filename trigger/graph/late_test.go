package graph

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
)

// late is the context of a process that hung: its time is over, and its timers have
// not said so yet.
type late struct{ context.Context }

func (late) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

func TestLateCallIsNotSent(t *testing.T) {
	o := &fakeServers{graph: func(int, *http.Request) (*http.Response, error) { return answer(http.StatusNoContent, ""), nil }}
	c, _ := o.client(t)
	ref := Ref{Printer: "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1", Job: "1"}
	if err := c.AbortJob(t.Context(), ref, "in time"); err != nil || o.calls != 1 {
		t.Fatalf("%d calls, %v", o.calls, err)
	}
	err := c.AbortJob(late{t.Context()}, ref, "too late")
	var ge *Error
	if !errors.As(err, &ge) || ge.Ambiguous() || !errors.Is(err, context.DeadlineExceeded) || o.calls != 1 {
		t.Errorf("%d calls, %v", o.calls, err)
	}
}

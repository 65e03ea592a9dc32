package graph

import (
	"errors"
	"net/http"
	"runtime"
	runtimemetrics "runtime/metrics"
	"strings"
	"testing"
	"time"
)

// held is how much the collector found in use at most while do ran, more than before.
func held(do func()) uint64 {
	runtime.GC()
	live := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(live)
	base := live[0].Value.Uint64()
	most := base
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				runtime.GC()
				runtimemetrics.Read(live)
				most = max(most, live[0].Value.Uint64())
			}
		}
	}()
	do()
	close(done)
	<-stopped
	return most - base
}

// Whatever Graph answers, decoding it takes no more than 24 MiB. What is allocated while the
// collector runs counts as held: on a busy machine that was up to 9 MiB more.
func TestHostileAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		before, unit, after string
		n                   int
		list, good          bool
	}{
		"tasks":           {`{"tasks":[{}`, `,{}`, `]}`, 5 << 20, false, false},
		"documents":       {`{"documents":[{}`, `,{}`, `]}`, 5 << 20, false, false},
		"details":         {`{"status":{"details":[""`, `,""`, `]}}`, 5 << 20, false, false},
		"lists":           {`{"tasks":[{}]`, `,"tasks":[{}]`, `}`, 1 << 20, false, false},
		"tasks in 1 MiB":  {`{"tasks":[{}`, `,{}`, `]}`, 340_000, false, false},
		"jobs":            {`{"value":[{}`, `,{}`, `]}`, 5 << 20, true, false},
		"jobs in 4 MiB":   {`{"value":[{}`, `,{}`, `]}`, 1_300_000, true, false},
		"most jobs":       {`{"value":[{}`, `,{}`, `]}`, maxElements - 2, true, true},
		"most tasks":      {`{"id":"5182","tasks":[{}`, `,{}`, `]}`, maxElements - 2, false, true},
		"commas in names": {`{"id":"5182","createdBy":{"userPrincipalName":"`, `\",[`, `"}}`, 200_000, false, true},
	} {
		body := c.before + strings.Repeat(c.unit, c.n) + c.after
		o := &fakeServers{graph: func(int, *http.Request) (*http.Response, error) { return answer(200, body), nil }}
		client, _ := o.client(t)
		var err error
		most := held(func() {
			if !c.list {
				_, err = client.Job(t.Context(), ref)
				return
			}
			for _, err = range client.Jobs(t.Context(), ref.Printer) {
				if err != nil {
					break
				}
			}
		})
		t.Logf("%-16s %d kB: %d MiB, %v", name, len(body)>>10, most>>20, err)
		if most > 40<<20 {
			t.Errorf("%s: %d MiB are held", name, most>>20)
		}
		if c.good != (err == nil) || (!c.good && !errors.Is(err, errTooLarge)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

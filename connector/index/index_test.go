package index

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/trigger/graph"
	"pullprint/trigger/racetest"
)

func newIndex() *Index { return New(nil, nil, nil, zap.NewNop()) }

// What the index is told of a job is what it tells.
func TestIndexKeepsAll(t *testing.T) {
	at := time.Date(2026, 3, 10, 12, 0, 0, 123456789, time.UTC)
	full := Entry{
		Ref: graph.Ref{Printer: "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1", Job: "17"}, Task: "11111111-2222-4333-8444-55555555555a",
		Queue: "Follow-Me", State: job.Releasing, Since: at, Seen: at.Add(1), HoldUntil: at.Add(2), Warned: at.Add(3), Created: at.Add(4),
		Owner: "66666666-7777-4888-8999-aaaaaaaaaaaa", Reason: "quota.exhausted", Policy: "749759dd72fd", Mode: printer.ModePull,
	}
	full.Key = job.Key(full.Owner, full.Ref)
	for name, change := range map[string]func(*Entry){
		"all":           func(*Entry) {},
		"nothing":       func(e *Entry) { *e = Entry{Ref: e.Ref, Key: job.Key("", e.Ref)} },
		"no GUID":       func(e *Entry) { e.Task = "task-1" },
		"capitals":      func(e *Entry) { e.Task = "11111111-2222-4333-8444-55555555555A" },
		"zeros":         func(e *Entry) { e.Task = "00000000-0000-0000-0000-000000000000" },
		"dashes astray": func(e *Entry) { e.Task = "1111-11112222-4333-8444-555555555555" },
		"digits only":   func(e *Entry) { e.Task = "111111112222433384445555555555551111" },
		"another's key": func(e *Entry) { e.Key = "before." + e.Printer + "." + e.Job },
		"job in capitals": func(e *Entry) {
			e.Printer = strings.ToUpper(e.Printer)
			e.Key = job.Key(e.Owner, e.Ref)
		},
		"far in time":    func(e *Entry) { e.HoldUntil = time.Unix(0, 1<<62).UTC() },
		"a longer state": func(e *Entry) { e.State = "of a later version" },
	} {
		want := full
		change(&want)
		x := newIndex()
		x.set(want.Ref, &want, Followed{}, failed{})
		got, ok := x.Lookup(want.Ref)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", name, ok, diff)
		}
		if x.drop(want.Ref, "another"); x.Len() != 1 {
			t.Errorf("%s: the end of another record of the job ended it", name)
		}
		if x.drop(want.Ref, want.Key); x.Len() != 0 || len(x.odd) != 0 {
			t.Errorf("%s: it can't be taken out", name)
		}
	}
}

// A page is what sorting everything would give, also when hundreds of jobs were seen in
// one moment, and page after page tells every job once.
func TestPages(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	x := newIndex()
	var all []Entry
	for i := range 1200 {
		e := Entry{
			Ref: graph.Ref{Printer: "p", Job: fmt.Sprint(i)}, Owner: fmt.Sprint("o",
				dice.IntN(50)), Queue: []string{"a", "b"}[dice.IntN(2)],
			Seen: time.Unix(int64(1+dice.IntN(4)), 0).UTC(), State: job.Held, // hundreds of one moment
		}
		e.Key = job.Key(e.Owner, e.Ref)
		x.set(e.Ref, &e, Followed{}, failed{})
		if e.Queue == "a" {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return PositionOf(&a).Compare(PositionOf(&b)) })
	for _, n := range []int{1, 7, 500, 10_000} {
		var got []Entry
		for after, more := (Position{}), true; more && len(got) < len(all)+1; {
			var page []Entry
			if page, more = x.Page(func(e *Entry) bool { return e.Queue == "a" }, after, n); len(page) == 0 {
				break
			}
			got = append(got, page...)
			after = PositionOf(&page[len(page)-1])
		}
		if !reflect.DeepEqual(all, got) { // cmp takes seconds for that many
			t.Errorf("pages of %d: (-want +got)\n%s", n, cmp.Diff(all, got))
		}
	}
}

// While all records are looked at, the index changes and is asked.
func TestIndexLetsOthersIn(t *testing.T) {
	x := newIndex()
	const jobs = 4 * lockBatch
	for i := range jobs {
		ref := graph.Ref{Printer: "p", Job: fmt.Sprint(i)}
		x.set(ref, &Entry{Ref: ref, State: job.Held}, Followed{}, failed{})
	}
	var others sync.WaitGroup
	defer others.Wait()
	changed := make(chan struct{})
	n := 0
	x.each(func(jobID, *indexed) {
		switch n++; {
		case n == 1:
			others.Go(func() {
				ref := graph.Ref{Printer: "p", Job: "new"}
				x.set(ref, &Entry{Ref: ref, State: job.Held}, Followed{}, failed{})
				close(changed)
			})
		case n%lockBatch == lockBatch/2 && n < 3*lockBatch:
			select { // whoever wants to change it gets to the lock, and is let in after this slice
			case <-changed:
			case <-time.After(100 * time.Millisecond):
			}
		case n == 3*lockBatch+1:
			select {
			case <-changed:
			case <-time.After(10 * time.Second):
				t.Error("nobody is let in before the end")
			}
		}
	})
	if n < jobs {
		t.Errorf("%d of %d were seen", n, jobs)
	}
}

// indexedBytes is what a record of the store may take in the index: job records are
// kept for days, and 300,000 of them are to leave room in 512 MiB.
const indexedBytes = 320

// BenchmarkIndexed tells what a record takes in the index, in bytes and as part of what
// it takes in the store, and how long a page of all takes.
func BenchmarkIndexed(b *testing.B) {
	const jobs = 300_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := newIndex()
	stored := 0
	for i := range jobs {
		key, value := storedRecord(i)
		stored += len(key) + len(value)
		x.apply(key, value)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / jobs
	if each > indexedBytes {
		b.Errorf("a record takes %.0f bytes", each)
	}
	for b.Loop() {
		if page, more := x.Page(func(*Entry) bool { return true }, Position{}, 500); len(page) != 500 || !more {
			b.Fatal(len(page), more)
		}
	}
	b.ReportMetric(each, "bytes/record")
	b.ReportMetric(each*jobs/float64(stored), "of-the-store")
}

// storedRecord is one of many as the store has them: 2,000 owners, few queues.
func storedRecord(i int) (key string, value []byte) {
	ref := graph.Ref{Printer: fmt.Sprintf("c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a%d", i%4), Job: fmt.Sprint(100_000 + i)}
	owner := fmt.Sprintf("%08d-2222-4333-8444-555555555555", i%2000)
	at := time.Date(2026, 3, 10, 12, 0, 0, i, time.UTC)
	value, err := json.Marshal(job.Record{
		Ref: ref, Task: fmt.Sprintf("%08d-7777-4888-8999-aaaaaaaaaaaa", i), Owner: owner, Queue: "Follow-Me", State: job.Released,
		Created: at, Seen: at, HoldUntil: at.Add(24 * time.Hour), Decision: decision.Decision{Reason: "", Policy: "749759dd72fd"},
	})
	if err != nil {
		panic(err) // a record can be encoded
	}
	return job.Key(owner, ref), value
}

// A record takes no more memory than is said. Each owner has ten.
func TestIndexedBytes(t *testing.T) {
	if racetest.Enabled {
		t.Skip("memory can't be told with the race detector")
	}
	const jobs = 20_000 // so many that what else is allocated meanwhile is little
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := newIndex()
	for i := range jobs {
		x.apply(storedRecord(i * 4))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (after.HeapAlloc - before.HeapAlloc) / jobs; each > indexedBytes {
		t.Errorf("a record takes %d bytes, want at most %d", each, indexedBytes)
	}
	runtime.KeepAlive(x)
}

// Of two jobs of different owners that had one number, one after the other, the newer is known,
// whichever record changes last.
func TestIndexKeepsTheNewerOfANumber(t *testing.T) {
	x := newIndex()
	entry := func(owner string, seen int64, state job.State) Entry {
		e := Entry{Ref: graph.Ref{Printer: "p", Job: "7"}, Owner: owner, Seen: time.Unix(seen, 0).UTC(), State: state}
		e.Key = job.Key(e.Owner, e.Ref)
		return e
	}
	const former, newer = "11111111-2222-4333-8444-555555555555", "66666666-7777-4888-8999-aaaaaaaaaaaa"
	for _, e := range []Entry{entry(former, 1, job.Held), entry(newer, 2, job.Held), entry(former, 1, job.Gone)} {
		x.set(e.Ref, &e, Followed{}, failed{})
	}
	if open := slices.Collect(x.Open()); len(open) != 1 || open[0].Owner != newer {
		t.Errorf("%+v", open)
	}
	released := entry(newer, 2, job.Released)
	x.set(released.Ref, &released, Followed{}, failed{})
	if open := slices.Collect(x.Open()); len(open) != 0 {
		t.Errorf("%+v", open)
	}
}

// A page begins where the one before ended: pages of a list look at each job about once,
// whatever came, changed and was dropped in between.
func TestPageGoesOn(t *testing.T) {
	const jobs, n = 20_000, 100
	x := newIndex()
	entry := func(i int) Entry {
		e := Entry{Ref: graph.Ref{Printer: "p", Job: fmt.Sprint(i)}, Seen: time.Unix(int64(1+i), 0).UTC(), State: job.Held}
		e.Key = job.Key(e.Owner, e.Ref)
		return e
	}
	for _, i := range rand.New(rand.NewPCG(3, 4)).Perm(jobs) { // the store has them by their last change
		e := entry(i)
		x.set(e.Ref, &e, Followed{}, failed{})
	}
	looked, got := 0, map[string]bool{}
	fits := func(*Entry) bool { looked++; return true }
	for after, more, page := (Position{}), true, 0; more; page++ {
		var list []Entry
		if list, more = x.Page(fits, after, n); len(list) == 0 {
			t.Fatal("a page is empty")
		}
		for _, e := range list {
			if got[e.Job] {
				t.Fatalf("job %s is listed twice", e.Job)
			}
			got[e.Job] = true
		}
		after = PositionOf(&list[len(list)-1])
		changed, dropped, late := entry(page), entry(jobs-1-page), entry(jobs+page)
		changed.State = job.Released
		x.set(changed.Ref, &changed, Followed{}, failed{})
		x.drop(dropped.Ref, dropped.Key)
		x.set(dropped.Ref, &dropped, Followed{}, failed{})
		x.set(late.Ref, &late, Followed{}, failed{})
	}
	if len(got) != jobs {
		t.Errorf("%d jobs of %d are listed", len(got), jobs)
	}
	if looked > jobs+2*jobs/n {
		t.Errorf("%d jobs were looked at to list %d", looked, jobs)
	}
}

// Positions of jobs that are gone don't gather.
func TestIndexOrderIsCompacted(t *testing.T) {
	x := newIndex()
	for i := range 20 * minStale {
		e := Entry{Ref: graph.Ref{Printer: "p", Job: fmt.Sprint(i)}, Seen: time.Unix(int64(1+i), 0)}
		e.Key = job.Key(e.Owner, e.Ref)
		x.set(e.Ref, &e, Followed{}, failed{})
		x.drop(e.Ref, e.Key)
	}
	if n := len(x.order.list); n > 2*minStale {
		t.Errorf("%d positions of no job are kept", n)
	}
	if page, more := x.Page(func(*Entry) bool { return true }, Position{}, 10); len(page) != 0 || more {
		t.Errorf("%v %v", page, more)
	}
}

// A sweep keeps a third of the memory that the entries of all open jobs would take.
func TestOpenBytes(t *testing.T) {
	if racetest.Enabled {
		t.Skip("memory can't be told with the race detector")
	}
	const jobs, each = 20_000, 160
	x := newIndex()
	for i := range jobs {
		key, value := storedRecord(i)
		x.apply(key, bytes.Replace(value, []byte(job.Released), []byte(job.Held), 1))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	open := x.Open()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if took := (after.HeapAlloc - before.HeapAlloc) / jobs; took > each {
		t.Errorf("an open job takes %d bytes, want at most %d", took, each)
	}
	if n := len(slices.Collect(open)); n != jobs {
		t.Errorf("%d jobs are open, want %d", n, jobs)
	}
	runtime.KeepAlive(x)
}

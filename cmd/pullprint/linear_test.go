package main

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
	"pullprint/trigger/graph"
)

const (
	// historySpan is how long one account and one record are in use: what is unknown of one says
	// nothing of the next, and their histories can be checked one by one.
	historySpan = 3 * time.Second
	// historyEvery is between two operations of a client on each: a third of what daemons write is enough
	// to find two orders that exclude each other, and leaves the servers to them.
	historyEvery = 150 * time.Millisecond
	// historyCheck is for how long an order is looked for.
	historyCheck = 20 * time.Second
)

// histories are what clients of a cluster did to accounts and to job records, with one client beside
// each daemon. Accounts and records are none of the daemons'.
type histories struct {
	f     *fleet
	began time.Time
	stop  context.CancelFunc
	all   sync.WaitGroup

	mu       sync.Mutex
	accounts map[int][]porcupine.Operation
	records  map[int][]porcupine.Operation
}

// record begins histories, which go on until their end is called.
func (f *fleet) record() *histories {
	f.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	h := &histories{
		f: f, began: time.Now(), stop: cancel,
		accounts: map[int][]porcupine.Operation{}, records: map[int][]porcupine.Operation{},
	}
	for client, r := range f.replicas {
		b, err := bus.Open(ctx, bus.Config{URL: r.url, Replicas: bustest.Nodes}, bus.Options{Instance: fmt.Sprint("client-", client)})
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { _ = b.Close() })
		l := ledger.New(b.Quota(), b, cryptorand.Text)
		dice := rand.New(rand.NewPCG(f.dice.Uint64(), uint64(client)))
		h.all.Go(func() {
			h.client(ctx, client, func(span int) { h.account(ctx, l, client, span, quotatest.RandomOp(dice)) })
		})
		h.all.Go(func() { h.client(ctx, client, func(span int) { h.swap(ctx, b, client, span) }) })
	}
	return h
}

// client does something again and again, with the number of the span of time.
func (h *histories) client(ctx context.Context, client int, do func(span int)) {
	tick := time.NewTicker(historyEvery + time.Duration(client)*time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(int(time.Since(h.began) / historySpan))
		}
	}
}

// add keeps an operation; one of which nobody knows may happen any time later.
func (h *histories) add(into map[int][]porcupine.Operation, span int, o porcupine.Operation, unknown bool) {
	if o.Return = time.Since(h.began).Nanoseconds(); unknown {
		o.Return = 1 << 62
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	into[span] = append(into[span], o)
}

// account does an operation on the account of a span.
func (h *histories) account(ctx context.Context, l *ledger.Ledger, client, span int, op quotatest.Op) {
	o := porcupine.Operation{ClientId: client, Input: op, Call: time.Since(h.began).Nanoseconds()}
	c := quotatest.Weekly(fmt.Sprint("center.history-", span), quotatest.StormLimit)
	res := quotatest.DoOn(ctx, l, op, c, time.Now())
	o.Output = res
	h.add(h.accounts, span, o, res == quotatest.Unknown)
}

// swapped is one compare-and-set of a record. Values are never used twice, so that one stands for its
// revision.
type swapped struct{ from, to string }

// swap reads the record of a span and replaces it by another. What was read may be old while the leader
// of the stream is cut off: it is not promised, and only what is compared and set is looked at.
func (h *histories) swap(ctx context.Context, b *bus.Bus, client, span int) {
	rec := job.Record{
		Ref: graph.Ref{Printer: "history", Job: fmt.Sprint(span)}, Queue: "history", State: job.Gone, Seen: time.Now(),
		Owner: tapperID(0), Task: cryptorand.Text(),
	}
	value, revision, err := b.Jobs().Get(ctx, rec.Key())
	if err != nil {
		return
	}
	var was job.Record
	if revision != 0 {
		if err := json.Unmarshal(value, &was); err != nil {
			h.f.Error(err)
		}
	}
	text, err := json.Marshal(&rec)
	if err != nil {
		h.f.Error(err)
	}
	o := porcupine.Operation{
		ClientId: client, Input: swapped{was.Task, rec.Task}, Call: time.Since(h.began).Nanoseconds(),
	}
	_, ok, err := b.Jobs().CompareAndSet(ctx, rec.Key(), text, revision, 0)
	o.Output = quotatest.OK
	switch {
	case err != nil:
		o.Output = quotatest.Unknown
	case !ok:
		o.Output = quotatest.Refused
	}
	h.add(h.records, span, o, err != nil)
}

// recordModel is a record as one would have it: of those who replace the same revision one succeeds.
var recordModel = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{""} },
	Step: func(state, input, output any) []any {
		in := input.(swapped)
		switch fits := state == in.from; {
		case output == quotatest.Unknown && fits:
			return []any{state, in.to}
		case output == quotatest.OK && fits:
			return []any{in.to}
		case output == quotatest.Unknown, output == quotatest.Refused && !fits:
			return []any{state}
		}
		return nil
	},
	Equal: func(a, b any) bool { return a == b },
}).ToModel()

// end stops the clients, and looks that each history can be put in one order.
func (h *histories) end() {
	h.f.Helper()
	h.stop()
	h.all.Wait()
	h.check("account", quotatest.Model, h.accounts)
	h.check("record", recordModel, h.records)
}

func (h *histories) check(what string, model porcupine.Model, of map[int][]porcupine.Operation) {
	h.f.Helper()
	operations, unknown := 0, 0
	for span, ops := range of {
		operations += len(ops)
		for _, o := range ops {
			if o.Output == quotatest.Unknown {
				unknown++
			}
		}
		switch porcupine.CheckOperationsTimeout(model, ops, historyCheck) {
		case porcupine.Illegal:
			h.f.Errorf("%s %d: its history can't be put in one order", what, span)
			for _, o := range ops {
				h.f.Logf("client %d, %d to %d ms: %+v %v", o.ClientId, o.Call/1e6, o.Return/1e6, o.Input, o.Output)
			}
		case porcupine.Unknown:
			h.f.Logf("%s %d: no order of %d operations found in time, nor that there is none", what, span, len(ops))
		}
	}
	h.f.Logf("%d operations on %d %ss can be put in one order each; of %d it is not known whether they happened",
		operations, len(of), what, unknown)
	if operations < 100 {
		h.f.Errorf("only %d operations on %ss", operations, what)
	}
}

// A history of records in which two replace the same revision, or one is refused that nobody had
// replaced, is none that can be put in one order.
func TestRecordModel(t *testing.T) {
	op := func(call int64, from, to string, res quotatest.Result) porcupine.Operation {
		return porcupine.Operation{Input: swapped{from, to}, Output: res, Call: call, Return: call + 1}
	}
	for _, c := range []struct {
		good bool
		ops  []porcupine.Operation
	}{
		{true, []porcupine.Operation{op(0, "", "a", quotatest.OK), op(2, "", "b", quotatest.Refused), op(4, "a", "c", quotatest.OK)}},
		{true, []porcupine.Operation{op(0, "", "a", quotatest.Unknown), op(2, "a", "c", quotatest.OK)}},
		{false, []porcupine.Operation{op(0, "", "a", quotatest.OK), op(2, "", "b", quotatest.OK)}},
		{false, []porcupine.Operation{op(0, "", "a", quotatest.OK), op(2, "a", "b", quotatest.Refused)}},
		{false, []porcupine.Operation{op(0, "", "a", quotatest.Refused)}},
	} {
		if got := porcupine.CheckOperations(recordModel, c.ops); got != c.good {
			t.Errorf("%v: %v", c.ops, got)
		}
	}
}

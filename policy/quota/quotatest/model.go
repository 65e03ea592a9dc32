package quotatest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
)

// Op is one operation of a history: on one account with a limit of StormLimit
// pages, a page a job.
type Op struct {
	Kind string // reserve, settle or void
	Job  string
}

// Result is what an operation said: OK, refused (no room, or the job had ended),
// or Unknown.
type Result string

// The results.
const (
	OK      Result = "ok"
	Refused Result = "refused"
	Ended   Result = "ended"
	Unknown Result = "unknown"
)

// StormLimit is how many pages there are.
const StormLimit = 5

type modelState struct {
	jobs map[string]string // reserved or settled
}

// Model is the account of a storm as one would have it: never more than
// StormLimit jobs reserved or settled, each once.
var Model = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{modelState{map[string]string{}}} },
	Step: func(state, input, output any) []any {
		s, _ := state.(modelState)
		op, _ := input.(Op)
		res, _ := output.(Result)
		next, says := step(s, op)
		switch {
		case res == Unknown: // it may have happened or not
			return []any{s, next}
		case says == res:
			return []any{next}
		}
		return nil
	},
	Equal: func(a, b any) bool {
		x, _ := a.(modelState)
		y, _ := b.(modelState)
		return maps.Equal(x.jobs, y.jobs)
	},
}).ToModel()

func step(s modelState, op Op) (modelState, Result) {
	next := modelState{maps.Clone(s.jobs)}
	switch now := s.jobs[op.Job]; op.Kind {
	case "reserve":
		switch {
		case now == "settled":
			return s, Ended
		case now == "reserved":
			return s, OK
		case len(s.jobs) >= StormLimit:
			return s, Refused
		}
		next.jobs[op.Job] = "reserved"
	case "settle":
		if now == "reserved" {
			next.jobs[op.Job] = "settled"
		}
	case "void":
		if now == "reserved" {
			delete(next.jobs, op.Job)
		}
	}
	return next, OK
}

// StormClaim is the claim of a storm.
func StormClaim() quota.Claim { return Weekly("center.storm", StormLimit) }

// Do does an operation on the account of StormClaim at Noon and says what came of it.
func Do(ctx context.Context, l *ledger.Ledger, op Op) Result {
	return DoOn(ctx, l, op, StormClaim(), Noon)
}

// DoOn is Do on an account with a limit of StormLimit pages, at a time.
func DoOn(ctx context.Context, l *ledger.Ledger, op Op, c quota.Claim, now time.Time) Result {
	accounts := []quota.Account{c.Account}
	var err error
	switch op.Kind {
	case "reserve":
		charge := Charge(op.Job, "a", 1, c)
		charge.Now = now
		err = l.Reserve(ctx, charge)
	case "settle":
		_, err = l.Settle(ctx, op.Job, accounts, now)
	case "void":
		_, err = l.Void(ctx, op.Job, "a", accounts, now)
	}
	var ex *quota.Exhausted
	switch {
	case err == nil:
		return OK
	case errors.As(err, &ex):
		return Refused
	case errors.Is(err, quota.ErrEnded):
		return Ended
	}
	return Unknown
}

// RandomOp is some operation on one of few jobs.
func RandomOp(random *rand.Rand) Op {
	return Op{[]string{"reserve", "reserve", "reserve", "settle", "void"}[random.IntN(5)], fmt.Sprintf("p/%d", random.IntN(9))}
}

// Storm has several clients, each with a ledger of its own, do operations at
// once, and records their history.
func Storm(t *testing.T, ledger func() *ledger.Ledger, clients, each int) []porcupine.Operation {
	var mu sync.Mutex
	var ops []porcupine.Operation
	var all sync.WaitGroup
	began := time.Now()
	for client := range clients {
		all.Go(func() {
			l, random := ledger(), rand.New(rand.NewPCG(uint64(client), 1)) //nolint:gosec // small numbers, and no secret
			for range each {
				op := RandomOp(random)
				call := time.Since(began).Nanoseconds()
				res := Do(t.Context(), l, op)
				o := porcupine.Operation{
					ClientId: client, Input: op, Output: res, Call: call, Return: time.Since(began).Nanoseconds(),
				}
				if res == Unknown {
					o.Return = 1 << 62 // it may happen any time later
				}
				mu.Lock()
				ops = append(ops, o)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return ops
}

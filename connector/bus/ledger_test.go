package bus_test

import (
	"bufio"
	cryptorand "crypto/rand"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
)

// The suite that the store in memory passes, on JetStream.
func TestLedgerSuite(t *testing.T) {
	quotatest.Run(t, func(t *testing.T) ledger.KV { return bustest.Open(t).Quota() })
}

// The history of an account is told in its order, and that of no other.
func TestLedgerHistory(t *testing.T) {
	b := bustest.Open(t)
	l := ledger.New(b.Quota(), b, cryptorand.Text)
	ada, lab := quotatest.Weekly("ada", 10), quotatest.Weekly("center.lab", 10)
	for i := range 3 {
		if err := l.Reserve(t.Context(), quotatest.Charge(fmt.Sprintf("p/%d", i), "a", 1, ada, lab)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Adjust(t.Context(), lab.Account, quota.Unit, quota.Note{By: "admin", Why: "a gift", At: quotatest.Noon}); err != nil {
		t.Fatal(err)
	}
	var told []string
	err := b.LedgerSince(t.Context(), "center.lab", time.Time{}, func(body []byte) error {
		var e quota.Entry
		if err := json.Unmarshal(body, &e); err != nil {
			return err
		}
		told = append(told, fmt.Sprintf("%d %s %s%s", e.Seq, e.Kind, e.Job, e.Why))
		return nil
	})
	if got, want := strings.Join(told, ", "), "1 reserve p/0, 2 reserve p/1, 3 reserve p/2, 4 adjust a gift"; got != want || err != nil {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	if err := b.LedgerSince(t.Context(), ">", time.Time{}, func([]byte) error { return nil }); err == nil {
		t.Error("a filter for all accounts")
	}
}

// event is a line that a child prints: before an operation, and after it.
type event struct {
	Op     *quotatest.Op    `json:"op,omitempty"`
	Result quotatest.Result `json:"result,omitempty"`
	At     int64            `json:"at"`
}

const childURL = "PULLPRINT_LEDGER_CHILD"

// TestLedgerChild is the process that TestLastPageThroughKills kills.
func TestLedgerChild(t *testing.T) {
	url := os.Getenv(childURL)
	if url == "" {
		t.Skip("only as a child of another test")
	}
	b, err := bus.Open(t.Context(), bus.Config{URL: url}, bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, dice := ledger.New(b.Quota(), b, cryptorand.Text), rand.New(rand.NewPCG(rand.Uint64(), 1))
	for {
		op := quotatest.RandomOp(dice)
		say(event{Op: &op, At: time.Now().UnixNano()})
		say(event{Result: quotatest.Do(t.Context(), l, op), At: time.Now().UnixNano()})
	}
}

func say(e event) {
	line, _ := json.Marshal(e)
	fmt.Println(string(line))
}

// Several processes spend one account and are killed anywhere, again and again.
// What they said and what is stored fit one order in which the account was never
// overspent.
func TestLastPageThroughKills(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	url := bustest.External(t)
	b, err := bus.Open(t.Context(), bus.Config{URL: url}, bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	const places, lives = 4, 4
	var mu sync.Mutex
	var ops []porcupine.Operation
	var all sync.WaitGroup
	for place := range places {
		all.Go(func() {
			for life := range lives {
				for _, o := range live(t, url, place*lives+life, 3+rand.IntN(40)) {
					mu.Lock()
					ops = append(ops, o)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if len(ops) < places*lives {
		t.Fatalf("only %d operations", len(ops))
	}
	t.Logf("%d operations", len(ops))
	if res := porcupine.CheckOperationsTimeout(quotatest.Model, ops, 20*time.Second); res != porcupine.Ok {
		t.Errorf("%d operations: %s", len(ops), res)
	}
	l := ledger.New(b.Quota(), b, cryptorand.Text)
	list, err := l.Balances(t.Context(), []quota.Claim{quotatest.StormClaim()}, quotatest.Noon)
	if err != nil || list[0].Left < 0 || list[0].Spent+list[0].Reserved+list[0].Left != list[0].Limit {
		t.Errorf("%+v, %v", list, err)
	}
	history(t, b, l)
}

// live lets a child do so many operations, kills it, and tells what it said.
func live(t *testing.T, url string, client, most int) (ops []porcupine.Operation) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestLedgerChild$") //nolint:gosec // this program
	cmd.Env = append(os.Environ(), childURL+"="+url)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Error(err)
		return nil
	}
	lines := bufio.NewScanner(out)
	var last event
	for len(ops) < most && lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			t.Errorf("a child said %s", lines.Text())
			break
		}
		if e.Op != nil {
			last = e
			continue
		}
		o := porcupine.Operation{ClientId: client, Input: *last.Op, Output: e.Result, Call: last.At, Return: e.At}
		if e.Result == quotatest.Unknown {
			o.Return = 1 << 62
		}
		ops, last = append(ops, o), event{}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	for lines.Scan() { // what it said before it was dead
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			break
		}
		if e.Op != nil {
			last = e
		} else if last.Op != nil {
			ops, last = append(ops, porcupine.Operation{
				ClientId: client, Input: *last.Op, Output: e.Result,
				Call: last.At, Return: e.At,
			}), event{}
		}
	}
	_ = cmd.Wait()
	if last.Op != nil {
		ops = append(ops, porcupine.Operation{ClientId: client, Input: *last.Op, Output: quotatest.Unknown, Call: last.At, Return: 1 << 62})
	}
	return ops
}

// history looks that no entry of the account is missing.
func history(t *testing.T, b *bus.Bus, l *ledger.Ledger) {
	t.Helper()
	if err := l.Open(t.Context(), func(quota.Account, quota.Reservation) error { return nil }); err != nil {
		t.Fatal(err)
	}
	seen, most := map[uint64]bool{}, uint64(0)
	err := b.LedgerSince(t.Context(), quotatest.StormClaim().Account.Key(), time.Time{}, func(body []byte) error {
		var e quota.Entry
		if err := json.Unmarshal(body, &e); err != nil {
			return err
		}
		seen[e.Seq], most = true, max(most, e.Seq)
		return nil
	})
	if err != nil || most == 0 || len(seen) != int(most) {
		t.Errorf("the history has %d of %d entries: %v", len(seen), most, err)
	}
}

// Reserving on JetStream against a bare compare-and-set of a value of that size
// in the same run.
func BenchmarkReserve(b *testing.B) {
	bs := bustest.Open(b)
	l := ledger.New(bs.Quota(), bs, cryptorand.Text)
	value := []byte(strings.Repeat("x", 600))
	b.Run("floor", func(b *testing.B) {
		for i := range b.N {
			if _, ok, err := bs.State().CompareAndSet(b.Context(), fmt.Sprintf("floor.%d.%d", b.N, i), value, 0, 0); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	for name, account := range map[string]func(i int) string{
		"one": func(int) string { return "center.one" }, "many": func(i int) string { return fmt.Sprintf("u%d", i%64) },
	} {
		for _, at := range []int{1, 64} {
			b.Run(fmt.Sprintf("accounts=%s/at=%d", name, at), func(b *testing.B) {
				b.SetParallelism(at)
				var mu sync.Mutex
				n := 0
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						mu.Lock()
						n++
						i := n
						mu.Unlock()
						c := quotatest.Weekly(account(i), 1<<40)
						job := fmt.Sprintf("p/%d-%d-%d", b.N, at, i)
						err := l.Reserve(b.Context(), quotatest.Charge(job, "a", 1, c))
						if err == nil {
							_, err = l.Settle(b.Context(), job, []quota.Account{c.Account}, quotatest.Noon)
						}
						if err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestVerifierBeforeTheStateIsRead(t *testing.T) {
	b := NewVerifier(VerifierOptions{TenantID: ourTenant, State: newMapState().cell()})
	if _, err := b.Verify(Notification{}); !errors.Is(err, ErrNotReady) {
		t.Errorf("verify: %v", err)
	}
	if _, err := b.VerifyLatest(t.Context(), Notification{}); !errors.Is(err, ErrNotReady) {
		t.Errorf("verify latest: %v", err)
	}
	if _, err := b.VerifyLifecycle(Lifecycle{}); !errors.Is(err, ErrNotReady) {
		t.Errorf("lifecycle: %v", err)
	}
	if _, err := b.SweepNotification("t", "p", "j"); !errors.Is(err, ErrNotReady) {
		t.Errorf("sweep: %v", err)
	}
	if b.SubscriptionLive() == nil {
		t.Error("a subscription lives")
	}
}

// What our sweep writes is verified like what Graph sends, on every replica.
func TestSweepNotification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		early := follow(t, s)
		defer early.stop()
		settled(0)
		if _, err := early.verifier.SweepNotification("t", "", ""); !errors.Is(err, ErrNotReady) {
			t.Errorf("without a definition: %v", err)
		}
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(time.Second)
		late := follow(t, s)
		defer late.stop()
		settled(0)
		for _, job := range []Event{{Task: "t1", Printer: "p", Job: "7"}, {Task: "t2"}} {
			raw, err := early.verifier.SweepNotification(job.Task, job.Printer, job.Job)
			if err != nil {
				t.Fatal(err)
			}
			n, err := ParseNotification(raw)
			if err != nil {
				t.Fatalf("%v: %s", err, raw)
			}
			for _, b := range []*Verifier{early.verifier, p.verifier, late.verifier} {
				job.Subscription, job.Definition = sweepID, p.verifier.Definition()
				if ev, err := b.Verify(n); err != nil || ev != job {
					t.Errorf("%+v, %v", ev, err)
				}
			}
			n.clientState = newClientState()
			if _, err := late.verifier.Verify(n); !errors.Is(err, ErrForged) {
				t.Errorf("forged: %v", err)
			}
			n.clientState, n.subscription = one(t, g).asked.ClientState, sweepID
			if _, err := late.verifier.Verify(n); !errors.Is(err, ErrForged) {
				t.Errorf("with the subscription's clientState: %v", err)
			}
		}
		for _, bad := range [][3]string{{"", "p", "j"}, {"t/u", "p", "j"}, {"t", "p", ""}, {"t", "", "j"}, {"t", "p", "../j"}} {
			if _, err := p.verifier.SweepNotification(bad[0], bad[1], bad[2]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

// A message can overtake the watch that tells of its subscription.
func TestVerifyLatestReadsBeforeItRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		slow := follow(t, s)
		defer slow.stop()
		settled(0)
		slow.state.freeze()
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(time.Second)
		sub := one(t, g)
		n := notify(sub.ID, sub.asked.ClientState, p.verifier.Definition(), "t")
		if _, err := slow.verifier.Verify(n); err == nil {
			t.Fatal("the watch isn't slow")
		}
		if _, err := slow.verifier.VerifyLatest(t.Context(), n); err != nil {
			t.Error(err)
		}
		if _, err := slow.verifier.Verify(n); err != nil {
			t.Errorf("not kept: %v", err)
		}
		slow.state.kill()
		n.clientState = newClientState()
		if _, err := slow.verifier.VerifyLatest(t.Context(), n); !errors.Is(err, ErrNotReady) || Result(err) != "failed" {
			t.Errorf("refused for good although the state can't be read: %v", err)
		}
	})
}

// A hundred refused at once cost two reads at most, one after the other.
func TestRefreshIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads, at atomic.Int32
		fail := errors.New("no")
		failing := false
		r := newRefresher(func(ctx context.Context) error {
			if at.Add(1) > 1 {
				t.Error("two reads at once")
			}
			defer at.Add(-1)
			reads.Add(1)
			time.Sleep(time.Second) // virtual
			if failing {
				return fail
			}
			return ctx.Err()
		})
		for range 100 {
			go func() {
				if err := r.do(t.Context()); err != nil {
					t.Error(err)
				}
			}()
		}
		time.Sleep(time.Minute)
		if n := reads.Load(); n < 1 || n > 2 {
			t.Errorf("%d reads", n)
		}
		// One who gives up does nobody harm.
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		go func() { _ = r.do(ctx) }()
		time.Sleep(time.Microsecond)
		if err := r.do(t.Context()); err != nil {
			t.Error(err)
		}
		failing = true
		if err := r.do(t.Context()); !errors.Is(err, fail) {
			t.Error(err)
		}
	})
}

// Values that this version can't read leave what is known.
func TestStrangeState(t *testing.T) {
	b := sampleVerifier()
	n, err := ParseNotification([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for i, key := range []string{keyDefinition, keySubscription, keySweep, keyLifecycle, "trigger.other"} {
		b.apply(key, []byte(`{"current":7,"id":7,"client_state":7,"at":7`), uint64(10+i))
	}
	if _, err := b.Verify(n); err != nil {
		t.Error(err)
	}
	// An entry without a clientState accepts nothing.
	value, err := json.Marshal(subscriptions{Current: &subscription{ID: n.subscription}, Pending: &subscription{}})
	if err != nil {
		t.Fatal(err)
	}
	b.apply(keySubscription, value, 20)
	n.clientState = ""
	if _, err := b.Verify(n); !errors.Is(err, ErrForged) {
		t.Errorf("empty matches empty: %v", err)
	}
	// What is older than what is known is not taken.
	b.apply(keySubscription, []byte(`{"current":{"id":"old"}}`), 19)
	if b.subs.Current.ID == "old" {
		t.Error("an old value was taken")
	}
	b.apply(keySubscription, nil, 21)
	if b.subs.Current != nil {
		t.Error("a deleted value is still known")
	}
}

func TestExpiryMetric(t *testing.T) {
	reg := prometheus.NewRegistry()
	b := NewVerifier(VerifierOptions{State: newMapState().cell(), Registerer: reg})
	at := time.Unix(1800000000, 0)
	value, err := json.Marshal(subscriptions{Current: &subscription{ID: "x", Expires: at}})
	if err != nil {
		t.Fatal(err)
	}
	b.apply(keySubscription, value, 1)
	want := "# HELP pullprint_subscription_expiry_timestamp_seconds " +
		"When Graph drops our subscription if it isn't renewed; 0 when there is none.\n" +
		"# TYPE pullprint_subscription_expiry_timestamp_seconds gauge\npullprint_subscription_expiry_timestamp_seconds 1.8e+09\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// What a sender chose as clientState is compared by subtle.ConstantTimeCompare
// alone: nowhere in the package is it an operand of a comparison, of a switch, of
// an index or of a string function.
func TestClientStateIsComparedInConstantTime(t *testing.T) {
	fset := token.NewFileSet()
	code := func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }
	pkgs, err := parser.ParseDir(fset, ".", code, 0) //nolint:staticcheck // one plain folder
	if err != nil {
		t.Fatal(err)
	}
	constant := 0
	secret := func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.Ident:
			return e.Name == "clientState" || e.Name == "received"
		case *ast.SelectorExpr:
			return e.Sel.Name == "clientState"
		}
		return false
	}
	allowed := map[string]bool{"len": true, "byte": true, "match": true, "sameClientState": true, "verifySender": true}
	ast.Inspect(pkgs["trigger"], func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if secret(n.X) || secret(n.Y) {
				t.Errorf("%s: compared with %s", fset.Position(n.Pos()), n.Op)
			}
		case *ast.SwitchStmt:
			if n.Tag != nil && secret(n.Tag) {
				t.Errorf("%s: switch", fset.Position(n.Pos()))
			}
		case *ast.IndexExpr:
			if secret(n.Index) {
				t.Errorf("%s: index", fset.Position(n.Pos()))
			}
		case *ast.CallExpr:
			name := "byte" // a conversion to []byte
			switch f := n.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
			}
			if name == "ConstantTimeCompare" {
				constant++
			}
			for _, a := range n.Args {
				if secret(a) && !allowed[name] {
					t.Errorf("%s: given to %s", fset.Position(a.Pos()), name)
				}
			}
		}
		return true
	})
	if constant != 1 {
		t.Errorf("%d calls of ConstantTimeCompare, want 1", constant)
	}
}

// contended is a state in which another is always faster.
type contended struct {
	*cell
	tries int
}

func (c *contended) CompareAndSet(context.Context, string, []byte, uint64, time.Duration) (uint64, bool, error) {
	c.tries++
	if c.tries > 1000 {
		return 0, false, errors.New("tried without end")
	}
	return 0, false, nil
}

// A lifecycle event that can't be stored because of constant concurrent updates is an error
// after some tries, so that Graph sends it again.
func TestLifecycleIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		leader := start(t, s, g, processOptions{})
		defer leader.stop()
		settled(time.Second)
		sub := one(t, g)
		state := &contended{cell: s.cell()}
		v := NewVerifier(VerifierOptions{TenantID: ourTenant, State: state})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = v.Run(ctx) }()
		settled(time.Second)
		ev, err := v.VerifyLifecycle(Lifecycle{
			sender{sub.ID, sub.asked.ClientState, ourTenant}, "reauthorizationRequired",
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := v.StoreLifecycle(t.Context(), ev); err == nil || !strings.Contains(err.Error(), "too many concurrent updates") ||
			state.tries != maxConflicts {
			t.Errorf("after %d tries: %v", state.tries, err)
		}
	})
}

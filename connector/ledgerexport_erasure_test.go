package connector_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/ledgerexport"
	"pullprint/connector/privacy"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
	"pullprint/trigger/racetest"
)

// What a person who was erased spent on an account that others share is in the files once,
// whether they were erased before or after it was exported, or before anything was.
func TestExportAcrossErasure(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, dir := bustest.Open(t), filepath.Join(t.TempDir(), "ledger")
		e := ledgerexport.New(ledgerexport.Config{Dir: dir, Every: time.Hour, Keep: 48 * time.Hour}, b, b.State(), zap.NewNop())
		ledger, lab := ledger.New(b.Quota(), b, rand.Text), quotatest.Weekly("center.lab", 50)
		spend := func(job, owner string) {
			t.Helper()
			c := quotatest.Charge(job, "try", 5, lab)
			c.Owner, c.Now = owner, time.Now()
			err := ledger.Reserve(t.Context(), c)
			if err == nil {
				_, err = ledger.Settle(t.Context(), c.Job, []quota.Account{lab.Account}, time.Now())
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
		}
		erase := func(owner string) {
			t.Helper()
			if _, err := peopleOf(b).Erase(t.Context(), owner, privacy.Erasure{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
		}
		export := func() {
			t.Helper()
			if err := e.Export(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
		}
		spend("p/1", leaverID)
		erase(leaverID) // before anything was exported
		export()
		spend("p/2", leaverID)
		spend("p/3", stayerID)
		erase(leaverID) // before the next export
		export()
		spend("p/4", stayerID)
		export()
		erase(stayerID) // after it was exported
		export()
		got := exported(t, dir)
		slices.Sort(got)
		var want []string
		for i := range 8 { // each is reserved and settled
			want = append(want, fmt.Sprintf("center.lab:%d", i+1))
		}
		if !slices.Equal(got, want) {
			t.Errorf("exported %v, want %v", got, want)
		}
	})
}

// silent is a history that takes nothing while it is down.
type silent struct {
	ledger.History
	down bool
}

func (h *silent) PublishLedger(ctx context.Context, account, msgID string, body []byte) error {
	if h.down {
		return errors.New("no answer")
	}
	return h.History.PublishLedger(ctx, account, msgID, body)
}

// An entry that is told late, after an export that did not have it, is in the files when the
// person was erased before the next export: from the history, or from what was not told yet.
// One that was exported and is told again is not there twice.
func TestExportOfLateEntryAcrossErasure(t *testing.T) {
	racetest.Skip(t, "one entry after the other")
	for name, c := range map[string]struct{ toldFirst, exported, again bool }{
		"told, then erased":            {toldFirst: true},
		"erased, then told":            {},
		"exported, erased":             {toldFirst: true, exported: true},
		"told again, erased":           {toldFirst: true, again: true},
		"exported, told again, erased": {toldFirst: true, exported: true, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				b, dir := bustest.Open(t), filepath.Join(t.TempDir(), "ledger")
				cfg := ledgerexport.Config{Dir: dir, Every: time.Hour, Keep: 48 * time.Hour}
				e := ledgerexport.New(cfg, b, b.State(), zap.NewNop())
				h, lab := &silent{b, true}, quotatest.Weekly("center.lab", 50)
				export := func() {
					t.Helper()
					if err := e.Export(t.Context()); err != nil {
						t.Fatal(err)
					}
					time.Sleep(10 * time.Minute)
				}
				tell := func() {
					t.Helper()
					h.down = false
					none := func(quota.Account, quota.Reservation) error { return nil }
					if err := ledger.New(b.Quota(), h, rand.Text).Open(t.Context(), none); err != nil {
						t.Fatal(err)
					}
				}
				other := quotatest.Weekly("center.other", 50).Account
				note := quota.Note{By: "admin", At: time.Now()}
				if err := ledger.New(b.Quota(), b, rand.Text).Adjust(t.Context(), other, 1, note); err != nil {
					t.Fatal(err)
				}
				ch := quotatest.Charge("p/1", "try", 5, lab)
				ch.Owner, ch.Now = leaverID, time.Now()
				ledger := ledger.New(b.Quota(), h, rand.Text)
				if err := ledger.Reserve(t.Context(), ch); err != nil {
					t.Fatal(err)
				}
				if _, err := ledger.Settle(t.Context(), ch.Job, []quota.Account{lab.Account}, time.Now()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Minute)
				export() // without it
				if c.toldFirst {
					tell()
				}
				if c.exported {
					export()
				}
				if c.again {
					time.Sleep(3 * time.Hour) // the stream forgets what it was told
					tell()
				}
				if _, err := peopleOf(b).Erase(t.Context(), leaverID, privacy.Erasure{}); err != nil {
					t.Fatal(err)
				}
				if !c.toldFirst {
					tell()
				}
				export()
				got, want := exported(t, dir), []string{"center.other:1", "center.lab:1", "center.lab:2"}
				if !slices.Equal(got, want) {
					t.Errorf("exported %v, want %v", got, want)
				}
			})
		})
	}
}

package connector_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/policy/quota"
	"pullprint/policy/quota/quotatest"
)

// What a person who was erased spent on an account that others share is in the files once,
// whether they were erased before or after it was exported, or before anything was.
func TestExportAcrossErasure(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, dir := bustest.Open(t), filepath.Join(t.TempDir(), "ledger")
		e := connector.NewLedgerExporter(connector.LedgerExport{Dir: dir, Every: time.Hour, Keep: 48 * time.Hour}, b, b.State(), zap.NewNop())
		ledger, lab := quota.NewLedger(b.Quota(), b), quotatest.Weekly("center.lab", 50)
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
			if _, err := peopleOf(b).Erase(t.Context(), owner, connector.Erasure{}); err != nil {
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

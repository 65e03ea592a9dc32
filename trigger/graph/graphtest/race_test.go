package graphtest

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"
)

// Many callers at once, on a bad day, all trying to change the same jobs: each job is changed once and printed at most once.
func TestManyAtOnce(t *testing.T) {
	k := Hostile()
	k.Seed, k.PrintTime, k.AbortEndsTask, k.Deliver = 11, 0, 0.5, &receiver{}
	k.SecondEffect = []int{409}
	o := newOffice(t, k)
	const jobs, callers = 40, 4
	ids := make([]JobID, jobs)
	for i := range ids {
		ids[i] = o.submit(JobSpec{})
	}
	client := *o
	var callersDone sync.WaitGroup
	for range callers {
		callersDone.Go(func() {
			for i, id := range ids {
				_, _ = client.try("GET", jobPath(id)+"?$expand=tasks,documents", nil) // faults are the point
				if i%2 == 0 {
					_, _ = client.try("POST", jobPath(id)+"/abort", map[string]string{"reason": "x"})
				} else {
					_, _ = client.try("POST", jobPath(id)+"/redirect",
						map[string]any{"destinationPrinterId": o.device.ID, "configuration": map[string]int{"copies": 2}})
				}
				_, _ = client.try("GET", "/print/taskDefinitions/"+o.definition+"/tasks", nil)
			}
		})
	}
	callersDone.Wait()
	for i, id := range ids {
		j := o.job(id)
		if j.Effects.Applied() != 1 || (o.sim.Prints(id) == 1) != (i%2 == 1) {
			t.Errorf("job %s: %+v, %d prints", id, j.Effects, o.sim.Prints(id))
		}
	}
	if audit := o.sim.Audit(); len(audit) != 0 {
		t.Error(audit)
	}
}

func TestMergeLeavesTheOldConfigurationAlone(t *testing.T) {
	yes := true
	old := Configuration{
		Copies: 1, PagesPerSheet: 1, ColorMode: "color", DuplexMode: "oneSided", FitPdfToPage: &yes,
		PageRanges: []PageRange{{1, 2}}, Finishings: []string{"none"}, Margin: &Margin{Top: 1},
	}
	kept, _ := json.Marshal(old)
	got, ok := old.merge(
		json.RawMessage(`{"pageRanges":[{"start":3,"end":4}],"finishings":["staple"],"margin":{"top":9},"fitPdfToPage":false}`))
	if !ok || !slices.Equal(got.PageRanges, []PageRange{{3, 4}}) || got.Margin.Top != 9 || *got.FitPdfToPage || got.ColorMode != "color" {
		t.Errorf("merged %+v", got)
	}
	if after, _ := json.Marshal(old); string(after) != string(kept) {
		t.Errorf("the old one became %s", after)
	}
	if same, ok := old.merge(json.RawMessage(`{"copies":2}`)); !ok || same.FitPdfToPage == nil || !*same.FitPdfToPage {
		t.Errorf("a key that was not named changed: %+v", same)
	}
	for _, bad := range []string{`{"copies":0}`, `{"duplexMode":"sideways"}`, `{"pageRanges":[{"start":3,"end":1}]}`, `[]`} {
		if _, ok := old.merge(json.RawMessage(bad)); ok {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestChangeKeepsIdentity(t *testing.T) {
	o := newOffice(t, Calm())
	seed, tenant := o.sim.Seed(), o.sim.Tenant()
	o.sim.Change(func(k *Knobs) { *k = Hostile() })
	if k := o.sim.Knobs(); k.Seed != seed || k.Tenant != tenant || k.Throttle == 0 {
		t.Errorf("knobs %+v", k)
	}
	o.sim.Change(func(k *Knobs) { k.Seed, k.Tenant = 99, "another" })
	if k := o.sim.Knobs(); k.Seed != seed || k.Tenant != tenant {
		t.Errorf("knobs %+v", k)
	}
}

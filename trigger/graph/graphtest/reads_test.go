package graphtest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bubble makes an office in virtual time.
func bubble(t *testing.T, k Knobs, fn func(t *testing.T, o *office)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, k)
		defer o.sim.Close()
		fn(t, o)
	})
}

func TestJobIsNotKnownYet(t *testing.T) {
	k := Calm()
	k.JobUnknown, k.JobUnknownFor = 1, time.Minute
	bubble(t, k, func(t *testing.T, o *office) {
		id := o.submit(JobSpec{})
		o.call(404, "GET", jobPath(id), nil)
		if n := len(o.call(200, "GET", "/print/taskDefinitions/"+o.definition+"/tasks", nil).value()); n != 1 {
			t.Errorf("%d tasks are listed", n)
		}
		if n := len(o.call(200, "GET", "/print/printers/"+id.Printer+"/jobs", nil).value()); n != 0 {
			t.Errorf("%d jobs are listed", n)
		}
		time.Sleep(time.Minute)
		o.call(200, "GET", jobPath(id), nil)
	})
}

func TestReadsLag(t *testing.T) {
	k := Calm()
	k.ReadLag = 5 * time.Second
	bubble(t, k, func(t *testing.T, o *office) {
		id := o.submit(JobSpec{})
		task := o.job(id).Task
		state := func(a answer) string { s, _ := a.body["status"].(map[string]any)["state"].(string); return s }
		read := func() []string {
			taskURL := "/print/taskDefinitions/" + o.definition + "/tasks/" + task.ID
			return []string{state(o.call(200, "GET", jobPath(id), nil)), state(o.call(200, "GET", taskURL, nil))}
		}
		o.call(204, "POST", jobPath(id)+"/abort", map[string]string{"reason": "no"})
		if got := read(); !slices.Equal(got, []string{"paused", "processing"}) {
			t.Errorf("at once: %v", got)
		}
		o.call(400, "POST", jobPath(id)+"/abort", map[string]string{"reason": "no"}) // it is done all the same
		time.Sleep(5 * time.Second)
		if got := read(); !slices.Equal(got, []string{"aborted", "aborted"}) {
			t.Errorf("later: %v", got)
		}
	})
}

func TestNulls(t *testing.T) {
	for _, path := range Nulls() {
		k := Calm()
		k.Null, k.NullOf = 1, []string{path}
		bubble(t, k, func(t *testing.T, o *office) {
			id := o.submit(JobSpec{})
			var at any = o.call(200, "GET", jobPath(id)+"?$expand=documents,tasks", nil).body
			for _, name := range strings.Split(path, ".") {
				if list, ok := at.([]any); ok {
					at = list[0]
				}
				in, _ := at.(map[string]any)
				v, there := in[name]
				if !there {
					t.Fatalf("%s is not in the answer", path)
				}
				at = v
			}
			if at != nil {
				t.Errorf("%s is %v", path, at)
			}
		})
	}
}

// The clock of Graph is what it tells and judges by.
func TestClockOfGraph(t *testing.T) {
	k := Calm()
	k.ClockAhead = -10 * time.Minute
	bubble(t, k, func(t *testing.T, o *office) {
		id := o.submit(JobSpec{})
		a := o.call(200, "GET", jobPath(id), nil)
		date, err := http.ParseTime(a.header.Get("Date"))
		if err != nil || time.Since(date) < 9*time.Minute {
			t.Errorf("Date %v, %v", date, err)
		}
		if made, _ := time.Parse(time.RFC3339, a.body["createdDateTime"].(string)); time.Since(made) < 9*time.Minute {
			t.Errorf("made %v", made)
		}
		if _, problem := o.sim.expiry(time.Now().Add(longestSubscription - time.Minute).Format(time.RFC3339)); problem == "" {
			t.Error("a subscription may end beyond 4,230 minutes of Graph's time")
		}
	})
}

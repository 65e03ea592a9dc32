package connector_test

import (
	"testing"
	"time"

	"pullprint/connector/sweep"
)

// The busiest 10 minutes are found wherever they are, and jobs exactly 10 minutes
// apart are not in the same ones.
func TestBusiest(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var list []sweep.Arrival
	for i := range 60 { // one a minute, in the wrong order
		list = append(list, sweep.Arrival{At: at.Add(time.Duration(59-i) * time.Minute), Owner: "a", Open: i < 3})
	}
	if l := sweep.Busiest(list); l.Jobs != 10 || l.AtOnce != 3 || l.AtOnceUser != 3 || !l.Since.Equal(at) {
		t.Errorf("%+v", l)
	}
	for range 60 {
		list = append(list, sweep.Arrival{At: at.Add(30 * time.Minute), Owner: "b"})
	}
	l := sweep.Busiest(list)
	if why, split := l.Split(); l.Jobs != 70 || l.Used() != 0.75 || !split ||
		why != "70 of 100 jobs in 10 minutes at "+l.Since.Local().Format("15:04 on 2 Jan") {
		t.Errorf("%+v: %q %v", l, why, split)
	}
	if why, split := sweep.Busiest(list[:119]).Split(); split {
		t.Errorf("69 jobs: %q", why)
	}
	if why, split := (sweep.Load{AtOnce: 35}).Split(); !split || why != "35 of 50 jobs at once" {
		t.Errorf("%q %v", why, split)
	}
	if _, split := (sweep.Load{AtOnceUser: 4}).Split(); split {
		t.Error("one person's jobs split a queue")
	}
	if l := sweep.Busiest(nil); l.Used() != 0 {
		t.Errorf("%+v", l)
	}
}

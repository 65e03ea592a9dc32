package connector_test

import (
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
	"pullprint/trigger/graph/graphtest"

	"go.uber.org/zap"
)

// Who asks for a job at one device while it is sent to another is told where it prints: be it
// its owner, or whom they let print it. It prints once.
func TestTapsAtTwoDevices(t *testing.T) {
	for name, who := range map[string]string{"its owner": studentID, "a delegate": stayerID} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				id := w.hold()
				w.lend(t)
				other := make(chan release.Outcome, 1)
				var l *life
				l = w.live("", func(d *connector.Deps) {
					d.Graph = redirecting{d.Graph, func() {
						go func() {
							o := order()
							o.Device, o.Owner = "hq-2-east", who
							out, err := l.release.Release(l.ctx, o)
							if err != nil {
								t.Error(err)
							}
							other <- out
						}()
						time.Sleep(time.Second)
					}}
				})
				here, err := l.release.Release(l.ctx, order())
				if err != nil || len(here.Released) != 1 || here.Released[0].Destination != westID {
					t.Errorf("at the first: %+v, %v", here, err)
				}
				if there := <-other; len(there.Released) != 1 || there.Released[0].Destination != westID || there.Owner != who {
					t.Errorf("at the other: %+v", there)
				}
				if rec := w.record(id); rec.State != job.Released || rec.Release.Device != "hq-2-west" || len(rec.Tries) != 1 {
					t.Errorf("%+v", rec)
				}
			})
		})
	}
}

// A badge that is shown again within seconds has the same answer only while it is the same
// person's: one that was taken away, given to another or enrolled meanwhile has that of now.
func TestTapAgainAfterBadgeChanged(t *testing.T) {
	for name, c := range map[string]struct {
		before, after string // whose it is; empty: nobody's
		told          string // whom the second answer is for
	}{
		"the same":       {studentID, studentID, studentID},
		"taken away":     {studentID, "", ""},
		"given away":     {studentID, stayerID, ""},
		"given to owner": {stayerID, studentID, studentID},
		"enrolled":       {"", studentID, studentID},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				w.hold()
				book := badgeBook(t, w.bus, badgeKey(1))
				enrol := func(owner string) {
					e := badgeOf(owner)
					e.Replace = true
					if _, err := book.Enrol(t.Context(), "1001", e); err != nil {
						t.Fatal(err)
					}
				}
				if c.before != "" {
					enrol(c.before)
				}
				l := w.live("")
				taps := tap.New(l.release, tap.NewBadgeOwners(book, nil, zap.NewNop()), nil, zap.NewNop())
				if _, err := taps.Tap(l.ctx, tap.Shown{Device: "hq-2-west", Number: "1001"}); err != nil {
					t.Fatal(err)
				}
				switch {
				case c.after == "":
					if _, err := book.Revoke(t.Context(), badge.Which{Number: "1001"}, "helpdesk", time.Now()); err != nil {
						t.Fatal(err)
					}
				case c.after != c.before:
					enrol(c.after)
				}
				out, err := taps.Tap(l.ctx, tap.Shown{Device: "hq-2-west", Number: "1001"})
				if err != nil || out.Owner != c.told || len(out.Released) != min(1, len(c.told)) {
					t.Errorf("%+v, %v; want that of %q", out, err, c.told)
				}
			})
		})
	}
}

package connector_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pullprint/connector"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// BenchmarkTap is from a tap to its answer, for a person with 1, 10 and 50 jobs,
// among 1,000 and 100,000 held jobs in all. The floor reads the printer and the
// jobs side by side and redirects them, with no record, no policy and no audit.
func BenchmarkTap(top *testing.B) {
	for _, all := range []int{1_000, many()} {
		x := newBench(top)
		fill(top, x.bus, all)
		paying := x.paying(top)
		n := 0
		for _, jobs := range []int{1, 10, 50} {
			name := fmt.Sprintf("held=%d/jobs=%d/", all, jobs)
			if all == 1_000 {
				top.Run(name+"floor", func(b *testing.B) {
					for b.Loop() {
						bareTap(b, x.client, jobs)
					}
				})
			}
			for what, releaser := range map[string]*release.Releaser{"pullprint": x.Releaser, "paid": paying} {
				if what == "paid" && all > 1_000 {
					continue
				}
				top.Run(name+what, func(b *testing.B) {
					for b.Loop() {
						b.StopTimer()
						for range jobs {
							n++
							x.hold(b, fmt.Sprintf("tap%d", n))
						}
						b.StartTimer()
						out, err := releaser.Release(b.Context(), order())
						if err != nil || len(out.Released) != jobs {
							b.Fatalf("%d of %d released, %v: %+v", len(out.Released), jobs, err, out.Kept)
						}
						b.StopTimer()
						x.settle(b, out.Released)
						b.StartTimer()
					}
				})
			}
		}
	}
}

// paying releases by a policy that has every page paid for.
func (x *bench) paying(b *testing.B) *release.Releaser {
	b.Helper()
	p, err := policyfile.Load("policy.yaml", []byte("allowances: [{name: all, when: 'true', pages: 1_000_000_000, every: month}]"))
	if err != nil {
		b.Fatal(err)
	}
	deps := x.deps
	deps.Policy = func() *policy.Policy { return p }
	return connector.New(deps).Releaser
}

// settle does what the sweep would do about jobs that have printed.
func (x *bench) settle(b *testing.B, released []release.Released) {
	b.Helper()
	for _, r := range released {
		if _, err := x.deps.Ledger.Settle(b.Context(), r.Name(), []quota.Account{{Kind: quota.User, Name: studentID}},
			time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}

// hold stores a job of the student as held for a while.
func (x *bench) hold(b *testing.B, j string) {
	b.Helper()
	seen := time.Now().Add(-time.Hour)
	rec := job.Record{
		Ref: graph.Ref{Printer: pullID, Job: j}, Task: "t" + j, Definition: benchDefinition, Owner: studentID, Queue: "Follow-Me",
		Created: seen, Seen: seen, Pages: &decision.Pages{Count: 1},
		Decision: decision.Decision{
			Point: "arrival", Verdict: "hold", Policy: "abcdef012345",
			Input: decision.Input{Mode: "pull", Copies: 1, Size: 31337, ContentType: "application/oxps", MediaSize: "A4"},
		},
	}
	if err := rec.Move(job.Held, seen, "bench", ""); err != nil {
		b.Fatal(err)
	}
	if _, ok, err := job.NewStore(x.bus.Jobs(), job.DefaultRetention).Put(b.Context(), &rec, 0); !ok || err != nil {
		b.Fatal(ok, err)
	}
}

func bareTap(b *testing.B, c *graph.Client, jobs int) {
	var g errgroup.Group
	g.SetLimit(17)
	printer := make(chan struct{})
	g.Go(func() error {
		defer close(printer)
		_, err := c.Printer(b.Context(), westID)
		return err
	})
	for i := range jobs {
		g.Go(func() error {
			ref := graph.Ref{Printer: pullID, Job: fmt.Sprint("bare", i)}
			if _, err := c.Job(b.Context(), ref); err != nil {
				return err
			}
			<-printer
			_, err := c.RedirectJob(b.Context(), ref, westID, nil)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}

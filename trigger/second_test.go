package trigger

import (
	"testing"
	"testing/synctest"
	"time"

	"pullprint/trigger/graph"
)

// Graph has one subscription to a resource, whatever its URL. One of ours that nobody
// can use any more gives way within moments; one to something else is left alone.
func TestUnknownSubscriptionIsReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		url   string
		fresh bool // the state is lost
		lost  bool // the answer to POST is
	}{
		"the answer was lost": {lost: true},
		"another public url":  {url: "https://new.example.com"},
		"the state is lost":   {fresh: true},
		"both":                {url: "https://new.example.com", fresh: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, s := newFakeGraph(), newMapState()
				g.subs["other"] = &liveSub{Subscription: graph.Subscription{
					ID: "other", Resource: "print/taskDefinitions/of-another-product/tasks", NotificationURL: ourURL,
					Expires: time.Now().Add(48 * time.Hour),
				}}
				losing := c.lost
				g.failing(func(op string) (error, bool) {
					if op == "create subscription" && losing {
						losing = false
						return errLost, true
					}
					return nil, false
				})
				p := start(t, s, g, processOptions{})
				settled(10 * time.Second)
				if !c.lost {
					p.stop()
					if c.fresh {
						s = newMapState()
					}
					p = start(t, s, g, processOptions{url: c.url})
					settled(10 * time.Second)
				}
				defer p.stop()
				want := ourURL
				if c.url != "" {
					want = c.url
				}
				var ours []liveSub
				for _, sub := range g.live() {
					if sub.ID != "other" {
						ours = append(ours, sub)
					}
				}
				if len(ours) != 1 || ours[0].ID != p.current().ID ||
					ours[0].NotificationURL != want+NotificationPath || len(g.live()) != 2 {
					t.Errorf("%d subscriptions, %+v, believed in %s", len(g.live()), ours, p.current().ID)
				}
			})
		})
	}
}

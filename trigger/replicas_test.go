package trigger

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/trigger/graph"
)

func TestNotificationBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		replica := follow(t, s)
		defer replica.stop()
		told := 0
		g.created = func(sub liveSub) {
			synctest.Wait() // the replica's watch
			for _, n := range []Notification{
				notify(sub.ID, sub.asked.ClientState, "def-1", "t"),
				notify("as-yet-unknown", sub.asked.ClientState, "def-1", "t"),
			} {
				if _, err := replica.verifier.Verify(n); err != nil {
					t.Error(err)
				}
			}
			if _, err := replica.verifier.Verify(notify(sub.ID, newClientState(), "def-1", "t")); !errors.Is(err, ErrUnknownSubscription) {
				t.Errorf("a guess: %v", err)
			}
			told++
		}
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(time.Second)
		if told != 1 {
			t.Fatal("nothing was tried")
		}
		sub := one(t, g)
		if _, err := replica.verifier.Verify(notify("another-id", sub.asked.ClientState, "def-1",
			"t")); !errors.Is(err, ErrUnknownSubscription) {
			t.Errorf("its id is known now, but another is taken: %v", err)
		}
	})
}

func TestDiesBetweenPostAndStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		p := start(t, s, g, processOptions{})
		g.mu.Lock()
		g.created = func(liveSub) { p.state.kill() }
		g.mu.Unlock()
		settled(time.Second)
		p.die()
		lost := one(t, g)
		g.created = nil

		p = start(t, s, g, processOptions{})
		defer p.stop()
		settled(5 * time.Second)
		sub := one(t, g)
		if sub.ID == lost.ID || p.current().ID != sub.ID {
			t.Errorf("lost %s, lives %s, believed in %s", lost.ID, sub.ID, p.current().ID)
		}
		if _, err := p.verifier.Verify(notify(lost.ID, lost.asked.ClientState, p.verifier.Definition(), "t")); err != nil {
			t.Errorf("what the lost one told is refused: %v", err)
		}
	})
}

// errLost is no *graph.Error: whatever isn't known to be harmless may have happened.

var errLost = errors.New("the answer was lost")

func TestAnswerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		var lost []liveSub
		g.created = func(sub liveSub) { lost = append(lost, sub) }
		g.failing(func(op string) (error, bool) {
			if op == "create subscription" && len(lost) < 3 {
				return errLost, true
			}
			return nil, false
		})
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(time.Minute)
		if sub := one(t, g); len(lost) != 4 || p.current().ID != sub.ID {
			t.Fatalf("%d creations, lives %s, believed in %s", len(lost), sub.ID, p.current().ID)
		}
		for _, l := range lost {
			if _, err := p.verifier.Verify(notify(l.ID, l.asked.ClientState, p.verifier.Definition(), "t")); err != nil {
				t.Errorf("%s is refused: %v", l.ID, err)
			}
		}
	})
}

func TestRefusedCreationIsRepeatedWithTheSameState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		g.failing(func(op string) (error, bool) {
			if op == "create subscription" && time.Since(epoch) < time.Hour {
				return &graph.Error{Operation: op, Status: 400}, false
			}
			return nil, false
		})
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(61 * time.Minute)
		one(t, g)
		p.verifier.mu.RLock()
		defer p.verifier.mu.RUnlock()
		if tries := g.count("create subscription"); tries < 60 || len(p.verifier.subs.Past) != 0 {
			t.Errorf("%d tries left %d past entries", tries, len(p.verifier.subs.Past))
		}
	})
}

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func TestTwoLeaders(t *testing.T) {
	for seed := range 10 {
		synctest.Test(t, func(t *testing.T) {
			g, s := newFakeGraph(), newMapState()
			n := seed
			g.failing(func(string) (error, bool) {
				g.mu.Lock()
				n = n*1103515245 + 12345
				d := time.Duration(n>>16&0x3ff) * time.Millisecond
				g.mu.Unlock()
				time.Sleep(d) // virtual: the time of the call
				return nil, false
			})
			a := start(t, s, g, processOptions{})
			b := start(t, s, g, processOptions{})
			settled(5 * time.Minute)
			for range 3 {
				for _, sub := range g.live() {
					g.remove(sub.ID)
				}
				settled(5 * time.Minute)
				sub := one(t, g)
				if a.current().ID != sub.ID || b.current().ID != sub.ID {
					t.Errorf("lives %s, believed in %s and %s", sub.ID, a.current().ID, b.current().ID)
				}
			}
			created := g.count("create subscription")
			settled(time.Hour)
			if g.count("create subscription") != created {
				t.Error("they undo each other's work")
			}
			a.stop()
			b.stop()
		})
	}
}

func TestReplacedWhileTidying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		g.failing(func(op string) (error, bool) {
			if op == "subscriptions" && g.count(op) == 1 {
				s.rewrite(t, func(subs *subscriptions) {
					g.mu.Lock()
					defer g.mu.Unlock()
					delete(g.subs, subs.Current.ID)
					subs.retireCurrent(time.Now())
					subs.Current = &subscription{
						ID: "theirs", ClientState: newClientState(), Resource: subs.Past[0].Resource,
						URL: subs.Past[0].URL, Renewed: time.Now(),
						Expires: time.Now().Add(life),
					}
					g.add("theirs", subs.Current.Resource)
				})
			}
			return nil, false
		})
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(time.Hour)
		if sub := one(t, g); sub.ID != "theirs" || g.count("create subscription") != 1 {
			t.Errorf("lives %s after %d creations", sub.ID, g.count("create subscription"))
		}
	})
}

func TestPendingOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(time.Second)
		want, secret := one(t, g), newClientState()
		s.rewrite(t, func(subs *subscriptions) {
			subs.Pending = &subscription{
				ClientState: secret, Resource: want.Resource, URL: want.NotificationURL,
				Expires: time.Now().Add(life),
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			g.add("theirs", "/"+want.Resource)
		})
		settled(60 * time.Second)
		if sub := one(t, g); sub.ID != want.ID {
			t.Errorf("lives %s, want %s", sub.ID, want.ID)
		}
		if _, err := p.verifier.Verify(notify("theirs", secret, p.verifier.Definition(), "t")); err != nil {
			t.Error(err)
		}
	})
}

func TestTakeOverDuringPost(t *testing.T) {
	for i := range 4 {
		early, told := i&1 == 0, i&2 == 0
		synctest.Test(t, func(t *testing.T) {
			g, s := newFakeGraph(), newMapState()
			held := make(chan struct{})
			hold := sync.OnceFunc(func() { <-held })
			if early {
				g.created = func(liveSub) {
					if g.count("create subscription") == 1 {
						hold()
					}
				}
			} else {
				g.failing(func(op string) (error, bool) {
					if op == "create subscription" && g.count(op) == 1 {
						hold()
					}
					return nil, false
				})
			}
			a := start(t, s, g, processOptions{})
			settled(time.Second)
			b := start(t, s, g, processOptions{})
			defer b.stop()
			settled(10 * time.Second)
			want := one(t, g)
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				if !told {
					<-held
					settled(10 * time.Second)
				}
				a.stop()
			}()
			settled(time.Second)
			close(held)
			settled(20 * time.Second)
			<-stopped
			if sub := one(t, g); sub.ID != want.ID || b.current().ID != want.ID {
				t.Errorf("early %v, told %v: lives %s, want %s, b believes in %s", early, told, sub.ID, want.ID, b.current().ID)
			}
		})
	}
}

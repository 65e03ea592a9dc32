package trigger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
)

// settled waits for the present rounds to end.

func settled(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}

func one(t *testing.T, g *fakeGraph) liveSub {
	t.Helper()
	all := g.live()
	if len(all) != 1 {
		t.Fatalf("Graph has %d subscriptions, want 1", len(all))
	}
	return all[0]
}

// current is the subscription that a replica believes in.

func (p *process) current() subscription {
	p.verifier.mu.RLock()
	defer p.verifier.mu.RUnlock()
	if p.verifier.subs.Current == nil {
		return subscription{}
	}
	return *p.verifier.subs.Current
}

func notify(subscription, clientState, definition, task string) Notification {
	return Notification{sender: sender{subscription, clientState, ourTenant}, definition: definition, task: task}
}

func TestFirstStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		g.defs = []graph.Definition{{ID: "theirs", DisplayName: "pullprint", AppID: "another-app"}}
		p := start(t, s, g, processOptions{})
		defer p.stop()
		replica := follow(t, s)
		defer replica.stop()
		settled(time.Second)

		sub := one(t, g)
		if p.verifier.Definition() == "theirs" || p.verifier.Definition() == "" || g.count("create definition") != 1 {
			t.Errorf("definition %q after %d creations", p.verifier.Definition(), g.count("create definition"))
		}
		if want := "print/taskDefinitions/" + p.verifier.Definition() + "/tasks"; sub.asked.Resource != want {
			t.Errorf("subscribed to %q", sub.asked.Resource)
		}
		if sub.asked.NotificationURL != ourURL+"/graph/notifications" || sub.asked.LifecycleNotificationURL != ourURL+"/graph/lifecycle" {
			t.Errorf("URLs %q %q", sub.asked.NotificationURL, sub.asked.LifecycleNotificationURL)
		}
		if len(sub.asked.ClientState) != 43 {
			t.Errorf("clientState of %d characters, want 43", len(sub.asked.ClientState))
		}
		if left := time.Until(sub.Expires); left > 4230*time.Minute || left < 4200*time.Minute {
			t.Errorf("expires in %s", left)
		}
		for _, r := range []*process{p, replica} {
			if err := r.verifier.SubscriptionLive(); err != nil {
				t.Error(err)
			}
			if _, err := r.verifier.Verify(notify(sub.ID, sub.asked.ClientState, r.verifier.Definition(), "t1")); err != nil {
				t.Error(err)
			}
		}
		if p.resub != 1 {
			t.Errorf("told %d times of a new subscription", p.resub)
		}
	})
}

func TestDefinitionIsFoundRememberedAndReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		g.defs = []graph.Definition{
			{ID: "z", DisplayName: "pullprint", AppID: strings.ToUpper(ourApp)},
			{ID: "b", DisplayName: "pullprint", AppID: ourApp},
			{ID: "a", DisplayName: "other", AppID: ourApp},
		}
		runFor := func(o processOptions) string {
			p := start(t, s, g, o)
			defer p.stop()
			settled(time.Second)
			if sub := one(t, g); sub.Resource != "print/taskDefinitions/"+p.verifier.Definition()+"/tasks" {
				t.Errorf("subscribed to %s", sub.Resource)
			}
			return p.verifier.Definition()
		}
		if id := runFor(processOptions{}); id != "b" {
			t.Errorf("found %q, want b", id)
		}
		g.defs = append(g.defs, graph.Definition{ID: "0", DisplayName: "pullprint", AppID: ourApp})
		g.defs[1].DisplayName = "renamed in graph"
		if id := runFor(processOptions{}); id != "b" {
			t.Errorf("remembered b but took %q", id)
		}
		g.defs = g.defs[:1]
		if id := runFor(processOptions{}); id != "z" {
			t.Errorf("b is gone: took %q, want z", id)
		}
		g.defs[0].AppID = "another-app"
		id := runFor(processOptions{})
		if id == "z" || g.count("create definition") != 1 {
			t.Errorf("z is foreign now: took %q after %d creations", id, g.count("create definition"))
		}
		if other := runFor(processOptions{name: "second"}); other == id {
			t.Errorf("another name took the same definition")
		}
	})
}

// Definition and subscription are deleted while we run.

func TestDefinitionVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(time.Second)
		was := p.verifier.Definition()
		g.mu.Lock()
		g.defs, g.subs = nil, map[string]*liveSub{}
		g.mu.Unlock()
		settled(60 * time.Second)
		if sub := one(t, g); p.verifier.Definition() == was || sub.Resource != "print/taskDefinitions/"+p.verifier.Definition()+"/tasks" {
			t.Errorf("definition %s, subscribed to %s", p.verifier.Definition(), sub.Resource)
		}
	})
}

// A subscription that posts elsewhere all of a sudden is replaced; but Graph may

// write the URL and the resource in its own way from the start.

func TestSubscriptionIsNotWhatWeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		g.created = func(sub liveSub) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.subs[sub.ID].NotificationURL += "?normalised"
			g.subs[sub.ID].Resource = "/Print/taskDefinitions('x')/tasks"
		}
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(time.Hour)
		sub := one(t, g)
		if g.count("create subscription") != 1 {
			t.Fatalf("created %d times", g.count("create subscription"))
		}
		g.mu.Lock()
		g.subs[sub.ID].NotificationURL = "https://evil.example.com"
		g.mu.Unlock()
		settled(60 * time.Second)
		if now := one(t, g); now.ID == sub.ID {
			t.Error("it is kept")
		}
	})
}

func TestRenewsAtHalfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(time.Second)
		first := one(t, g)
		last := time.Now()
		settled(9 * 24 * time.Hour)
		sub := one(t, g)
		if sub.ID != first.ID || g.count("create subscription") != 1 {
			t.Fatal("the subscription was lost")
		}
		if len(sub.renewed) != 6 { // 9 days / 35 h
			t.Errorf("renewed %d times in 9 days", len(sub.renewed))
		}
		for _, at := range sub.renewed {
			if after := at.Sub(last); after < life/2-time.Minute || after > life/2+time.Minute {
				t.Errorf("renewed after %s, want %s", after, life/2)
			}
			last = at
		}
	})
}

// A renewal that fails is tried until it works.

func TestRenewThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(life/2 - time.Hour)
		g.failing(down)
		settled(10 * time.Hour)
		g.failing(nil)
		settled(time.Minute)
		if sub := one(t, g); len(sub.renewed) != 1 || g.count("create subscription") != 1 {
			t.Errorf("renewed %d times, created %d", len(sub.renewed), g.count("create subscription"))
		}
		// One that outlives the subscription.
		g.failing(down)
		settled(4 * 24 * time.Hour)
		if err := p.verifier.SubscriptionLive(); err == nil {
			t.Error("an expired subscription is called live")
		}
		g.failing(nil)
		settled(time.Minute)
		one(t, g)
		if err := p.verifier.SubscriptionLive(); err != nil || p.resub != 2 {
			t.Errorf("after the outage: %v, told %d times", err, p.resub)
		}
	})
}

func TestRecreatesWithin60sOf404(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(time.Second)
		for i := range 20 {
			old := one(t, g)
			settled(time.Duration(i*2477) * time.Millisecond)
			g.remove(old.ID)
			settled(60 * time.Second)
			sub := one(t, g)
			if sub.ID == old.ID || sub.asked.ClientState == old.asked.ClientState {
				t.Fatal("the same subscription or clientState again")
			}
			if _, err := p.verifier.Verify(notify(old.ID, old.asked.ClientState, p.verifier.Definition(), "t")); err != nil {
				t.Fatalf("a late notification of the old subscription: %v", err)
			}
		}
		if p.resub != 21 {
			t.Errorf("told %d times, want 21", p.resub)
		}
	})
}

// Found gone by the renewal, between two polls.

func TestRecreatesWhenRenewalFindsItGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(time.Second)
		c := p.current()
		g.failing(func(op string) (error, bool) {
			if op == "renew" {
				g.remove(c.ID)
			}
			return nil, false
		})
		settled(time.Until(c.renewAt()) + 3*time.Second)
		if sub := one(t, g); sub.ID == c.ID || g.count("renew") != 1 {
			t.Errorf("%s after %d renewals", sub.ID, g.count("renew"))
		}
	})
}

func TestFormerSubscriptionsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		p := start(t, s, g, processOptions{})
		defer p.stop()
		settled(time.Second)
		old := one(t, g)
		g.remove(old.ID)
		settled(time.Minute)
		verify := func() error {
			_, err := p.verifier.Verify(notify(old.ID, old.asked.ClientState, p.verifier.Definition(), "t"))
			return err
		}
		settled(keepPast - 2*time.Minute)
		if err := verify(); err != nil {
			t.Errorf("within a day: %v", err)
		}
		settled(3 * time.Minute)
		if err := verify(); !errors.Is(err, ErrUnknownSubscription) {
			t.Errorf("after a day: %v", err)
		}
	})
	var many subscriptions
	now := time.Now()
	for i := range 3 * maxPast {
		many.retire(&subscription{ID: fmt.Sprint(i)}, now)
	}
	if len(many.Past) != maxPast || many.Past[0].ID != fmt.Sprint(3*maxPast-1) {
		t.Errorf("%d past entries, the first %s", len(many.Past), many.Past[0].ID)
	}
}

func TestRestartReusesTheSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		p := start(t, s, g, processOptions{})
		settled(time.Hour)
		p.stop()
		was := one(t, g)
		p = start(t, s, g, processOptions{})
		settled(time.Hour)
		if sub := one(t, g); sub.ID != was.ID || g.count("create subscription") != 1 || p.resub != 0 {
			t.Errorf("%d creations, %s then %s", g.count("create subscription"), was.ID, sub.ID)
		}
		p.stop()
		g.remove(was.ID) // while nobody runs
		p = start(t, s, g, processOptions{})
		settled(10 * time.Second)
		one(t, g)
		if p.resub != 1 {
			t.Errorf("told %d times", p.resub)
		}
		p.stop()
		// Another public URL: the old one must not stay.
		p = start(t, s, g, processOptions{url: "https://new.example.com/print/"})
		defer p.stop()
		settled(10 * time.Second)
		if sub := one(t, g); sub.NotificationURL != "https://new.example.com/print/graph/notifications" {
			t.Errorf("posts to %s", sub.NotificationURL)
		}
	})
}

func TestReauthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		leader := start(t, s, g, processOptions{})
		defer leader.stop()
		replica := follow(t, s)
		defer replica.stop()
		settled(time.Second)
		sub := one(t, g)
		tell := func(event string) {
			t.Helper()
			ev, err := replica.verifier.VerifyLifecycle(Lifecycle{sender{sub.ID, sub.asked.ClientState, ourTenant}, event})
			if err != nil {
				t.Fatal(err)
			}
			if err := replica.verifier.StoreLifecycle(t.Context(), ev); err != nil {
				t.Fatal(err)
			}
			settled(time.Second)
		}
		tell("reauthorizationRequired")
		settled(time.Hour)
		if n := g.count("reauthorize"); n != 1 {
			t.Errorf("answered %d times", n)
		}
		failures := 3
		g.failing(func(op string) (error, bool) {
			if op == "reauthorize" && failures > 0 {
				failures--
				return down(op)
			}
			return nil, false
		})
		tell("reauthorizationRequired")
		settled(time.Minute)
		if n := g.count("reauthorize"); n != 5 {
			t.Errorf("tried %d times, want 1 + 3 + 1", n)
		}
		if tell("missed"); leader.resub != 2 {
			t.Errorf("missed: told %d times", leader.resub)
		}
		g.remove(sub.ID)
		if tell("subscriptionRemoved"); one(t, g).ID == sub.ID || leader.resub != 3 {
			t.Errorf("removed: told %d times", leader.resub)
		}
		forged := Lifecycle{sender{one(t, g).ID, newClientState(), ""}, "reauthorizationRequired"}
		if _, err := replica.verifier.VerifyLifecycle(forged); !errors.Is(err, ErrForged) {
			t.Errorf("forged: %v", err)
		}
		foreign := Lifecycle{sender{sub.ID, sub.asked.ClientState, "other"}, "reauthorizationRequired"}
		if _, err := replica.verifier.VerifyLifecycle(foreign); !errors.Is(err, ErrForeign) {
			t.Errorf("foreign: %v", err)
		}
	})
}

// Each failed try is logged, which the daemon's logger limits to one line a minute, and so
// is the recovery; none of the lines has the clientState.
func TestUnreachableGraphIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		g, s := newFakeGraph(), newMapState()
		g.failing(down)
		p := start(t, s, g, processOptions{log: zap.New(core)})
		defer p.stop()
		settled(30 * time.Minute)
		if n := logs.FilterMessage("failed, retrying").Len(); n < 40 {
			t.Errorf("logged %d times in 30 minutes", n)
		}
		if n := g.count("definitions"); n < 40 {
			t.Errorf("tried %d times in 30 minutes", n)
		}
		if n := logs.FilterMessage("can't see task triggers with an app token").Len(); n != 1 {
			t.Errorf("triggers: logged %d times", n)
		}
		g.failing(nil)
		settled(time.Minute)
		one(t, g)
		if logs.FilterMessage("works again").Len() == 0 {
			t.Error("recovery not logged")
		}
		for _, e := range logs.All() {
			if text := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(text, one(t, g).asked.ClientState) {
				t.Errorf("the log has the clientState: %s", e.Message)
			}
		}
	})
}

func TestRefusedSignInEndsTheRegistrar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newFakeGraph(), newMapState()
		g.failing(func(string) (error, bool) { return refusedSignIn(), false })
		p := follow(t, s)
		defer p.stop()
		r, err := NewRegistrar(RegistrarOptions{Graph: g, State: p.state, Verifier: p.verifier, AppID: ourApp, PublicURL: ourURL})
		if err != nil {
			t.Fatal(err)
		}
		var auth *auth.Error
		if err := r.Run(t.Context()); !errors.As(err, &auth) {
			t.Errorf("ended with %v", err)
		}
	})
}

func refusedSignIn() error { return &auth.Error{Code: "AADSTS7000215", Status: 401} }

func TestRegistrarOptions(t *testing.T) {
	b := NewVerifier(VerifierOptions{TenantID: ourTenant, State: newMapState().cell()})
	for _, u := range []string{"", "print.example.com", "ftp://x", "https://x?y=1", "https://x#y", "https://"} {
		if _, err := NewRegistrar(RegistrarOptions{
			Graph: newFakeGraph(), State: b.state, Verifier: b, AppID: ourApp,
			PublicURL: u,
		}); err == nil {
			t.Errorf("public URL %q is accepted", u)
		}
	}
	if err := context.Cause(t.Context()); err != nil {
		t.Fatal(err)
	}
}

package view

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/access"
	"pullprint/trigger/graph"
)

// slowGraph answers after a while, if at all.
type slowGraph struct {
	Graph
	after time.Duration
	asked atomic.Int64
}

func (g *slowGraph) wait(ctx context.Context) error {
	select {
	case <-time.After(g.after):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *slowGraph) Person(ctx context.Context, _ string) (graph.Person, error) {
	g.asked.Add(1)
	return graph.Person{GivenName: "Ada"}, g.wait(ctx)
}

func (g *slowGraph) Language(ctx context.Context, _ string) (string, error) {
	return "de-CH", g.wait(ctx)
}

// Who is slow to be found has no name on the page, which does not wait; a name is asked for
// once in a while.
func TestPeople(t *testing.T) {
	const id = "11111111-2222-4333-8444-555555555555"
	synctest.Test(t, func(t *testing.T) {
		g := &slowGraph{after: Within / 2}
		p := newPeople(g)
		for range 2 {
			if who := p.of(t.Context(), id); who.Given != "Ada" || who.Language != "de-CH" {
				t.Errorf("%+v", who)
			}
		}
		<-time.After(personTTL)
		g.after = time.Hour
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), Within)
		defer cancel()
		if who := p.of(ctx, id); who.Given != "" || time.Since(began) > Within {
			t.Errorf("%+v after %s", who, time.Since(began))
		}
		if g.asked.Load() != 2 {
			t.Errorf("asked %d times", g.asked.Load())
		}
		synctest.Wait()
	})
}

// namingGraph knows everybody.
type namingGraph struct {
	Graph
	asked atomic.Int64
}

func (g *namingGraph) Person(context.Context, string) (graph.Person, error) {
	g.asked.Add(1)
	return graph.Person{DisplayName: "Ada"}, nil
}

func (g *namingGraph) Language(context.Context, string) (string, error) { return "", nil }

// A page looks so many people up and no more, besides those who are remembered, and waits no longer
// than Within.
func TestNamesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"helpdesk", "center.lab"} // a token and an account, which nobody is asked for
		for i := range 3 * maxNames {
			ids = append(ids, fmt.Sprintf("5b0c3a9e-0001-4c1d-8a2b-%012d", i))
		}
		g := &namingGraph{}
		s := &Site{people: newPeople(g)}
		operator := access.Caller{Role: access.RoleOperate}
		for page := 1; page <= 2; page++ {
			found := s.NamesFor(t.Context(), operator, ids)
			if n := page * maxNames; len(found) != n || g.asked.Load() != int64(n) {
				t.Errorf("page %d: %d names, asked %d times, want %d", page, len(found), g.asked.Load(), n)
			}
		}
		s.people = newPeople(&slowGraph{after: time.Hour})
		began := time.Now()
		if found := s.NamesFor(t.Context(), operator, ids); len(found) != 0 || time.Since(began) > Within {
			t.Errorf("%v after %s", found, time.Since(began))
		}
		synctest.Wait()
	})
}

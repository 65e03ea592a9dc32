package console

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/trigger/graph"
)

// A title is shown as the configuration says, in one line, without what is not seen.
func TestTitled(t *testing.T) {
	for _, c := range [][3]string{
		{TitlesShown, "Invoice 4711.pdf", "Invoice 4711.pdf"},
		{TitlesMasked, "Invoice 4711.pdf", "Inv….pdf"},
		{TitlesMasked, "Überweisung", "Übe…"},
		{TitlesMasked, "a.pdf", "a.p…"},
		{TitlesMasked, "notes.of the meeting", "not…"},
		{TitlesMasked, "ab", "ab…"},
		{TitlesMasked, "", ""},
		{TitlesShown, "\u202efdp.exe\u2066\n\x00second line", "fdp.exe second line"},
		{TitlesMasked, "\u202e\u2066abc.pdf", "abc….pdf"},
		{TitlesShown, strings.Repeat("é", 200), strings.Repeat("é", maxTitle-1) + "…"},
	} {
		if got := titled(c[0], c[1]); got != c[2] {
			t.Errorf("%s %q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

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
		g := &slowGraph{after: shownWithin / 2}
		p := newPeople(g)
		for range 2 {
			if who := p.of(t.Context(), id); who.given != "Ada" || who.language != "de-CH" {
				t.Errorf("%+v", who)
			}
		}
		<-time.After(personTTL)
		g.after = time.Hour
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), shownWithin)
		defer cancel()
		if who := p.of(ctx, id); who.given != "" || time.Since(began) > shownWithin {
			t.Errorf("%+v after %s", who, time.Since(began))
		}
		if g.asked.Load() != 2 {
			t.Errorf("asked %d times", g.asked.Load())
		}
		synctest.Wait()
	})
}

package view

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"pullprint/connector/access"
	"pullprint/connector/cache"
	"pullprint/connector/display"
	"pullprint/connector/recovery"
	"pullprint/trigger/graph"
)

// Graph tells names of people, titles of jobs and how far these are; *graph.Client is one.
type Graph interface {
	Person(ctx context.Context, user string) (graph.Person, error)
	Language(ctx context.Context, user string) (string, error)
	Title(ctx context.Context, ref graph.Ref, owner string) (string, error)
	Job(ctx context.Context, ref graph.Ref) (graph.Job, error)
}

// What is read from Graph to show a page.
const (
	// Within bounds it: the person waits, and the page comes without what is late.
	Within = time.Second
	// personTTL is how long a name is remembered in memory: some visits.
	personTTL = 10 * time.Minute
	// maxPeople is how many are remembered: more than come to the stations meanwhile.
	maxPeople = 1000
	// ReadsAtOnce is how many titles or jobs are read at once, as many as jobs are released.
	ReadsAtOnce = 16
	// MaxTitles is how many titles are read for a page: more jobs than fit some screens.
	MaxTitles = 48
)

// Person is how somebody is called and which language they read; a field is empty when the
// directory does not say.
type Person struct{ Given, Display, Language string }

// people remembers persons in memory for a while; nothing of them is stored.
type people struct {
	graph  Graph
	flight cache.Flight[Person]
	known  *cache.TTL[Person]
}

func newPeople(g Graph) *people {
	return &people{graph: g, known: cache.NewTTL[Person](personTTL, maxPeople)}
}

// Person is who has an object id, as far as the directory tells in time.
func (s *Site) Person(ctx context.Context, id string) Person { return s.people.of(ctx, id) }

// of is the person with an object id, as far as the directory tells in time.
func (p *people) of(ctx context.Context, id string) Person {
	known, fresh := p.known.Get(id)
	if fresh || p.graph == nil || !graph.ValidID(id) {
		return known
	}
	found, _, err := p.flight.Do(ctx, id, Within, func(ctx context.Context) (Person, error) {
		var who graph.Person
		var language string
		var reads errgroup.Group
		reads.Go(func() error {
			return recovery.Catch(func() (err error) {
				who, err = p.graph.Person(ctx, id)
				return err
			})
		})
		reads.Go(func() error { // which not each installation may read
			return recovery.Catch(func() error {
				language, _ = p.graph.Language(ctx, id)
				return nil
			})
		})
		if err := reads.Wait(); err != nil {
			return Person{Language: language}, err
		}
		out := Person{display.Plain(who.GivenName), display.Plain(who.DisplayName), language}
		p.known.Put(id, out)
		return out, nil
	})
	if err != nil {
		return Person{Language: found.Language}
	}
	return found
}

// Search finds people by how their names begin; *graph.Client is one.
type Search interface {
	PeopleNamed(ctx context.Context, text string, n int) ([]graph.Named, error)
}

// Found are at most n people whose names begin so, with names as pages show them.
func Found(ctx context.Context, s Search, text string, n int) ([]graph.Named, error) {
	list, err := s.PeopleNamed(ctx, text, n)
	for i := range list {
		p := &list[i]
		p.DisplayName, p.UserPrincipalName = display.Plain(p.DisplayName), display.Plain(p.UserPrincipalName)
	}
	return list, err
}

// maxNames is how many people are looked up for a page of the console, in two requests each: more
// than send most of the jobs of a page. Those who are remembered do not count.
const maxNames = MaxTitles

// Names are what people are called, by their object ids; who is not known is missing.
type Names map[string]string

// Named is somebody on a page of the console; without a Name the ID is shown alone.
type Named struct{ Name, ID string }

// Of is somebody by an object id; what is none, as the name of a token, stays as it is.
func (n Names) Of(id string) Named { return Named{n[id], id} }

// NamesFor are the names of people for who is signed in at the console: none below the role operate,
// and none that the directory does not tell in time.
func (s *Site) NamesFor(ctx context.Context, c access.Caller, ids []string) Names {
	out := Names{}
	if !c.May(access.RoleOperate) {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, Within)
	defer cancel()
	var list []string
	seen, asked := map[string]bool{}, 0
	for _, id := range ids {
		if seen[id] || !graph.ValidID(id) {
			continue
		}
		seen[id] = true
		if _, fresh := s.people.known.Get(id); !fresh {
			if asked++; asked > maxNames {
				continue
			}
		}
		list = append(list, id)
	}
	var mu sync.Mutex // guards out
	_ = recovery.Each(len(list), ReadsAtOnce, func(i int) {
		if name := s.people.of(ctx, list[i]).Display; name != "" {
			mu.Lock()
			defer mu.Unlock()
			out[list[i]] = name
		}
	})
	return out
}

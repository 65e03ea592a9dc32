package console

import (
	"cmp"
	"context"
	"path"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/cache"
	"pullprint/connector/recovery"
	"pullprint/trigger/graph"
)

// Graph is what a station reads while somebody stands there; *graph.Client is one.
type Graph interface {
	Person(ctx context.Context, user string) (graph.Person, error)
	Language(ctx context.Context, user string) (string, error)
	Title(ctx context.Context, ref graph.Ref) (string, error)
	Job(ctx context.Context, ref graph.Ref) (graph.Job, error)
}

// What a station reads to show it.
const (
	// shownWithin bounds it: the person waits, and the page comes without what is late.
	shownWithin = time.Second
	// personTTL is how long a name is remembered in memory: some visits.
	personTTL = 10 * time.Minute
	// maxPeople is how many are remembered: more than come to the stations meanwhile.
	maxPeople = 1000
	// readsAtOnce is how many titles or jobs are read at once, as many as jobs are released.
	readsAtOnce = 16
	// maxTitles is how many titles are read for a page: more jobs than fit some screens.
	maxTitles = 48
	// maxTitle is how many characters of a title are shown: two lines on a phone.
	maxTitle = 80
)

// person is how somebody is called and which language they read; a field is empty when the
// directory does not say.
type person struct{ given, display, language string }

// people remembers persons in memory for a while; nothing of them is stored.
type people struct {
	graph  Graph
	flight cache.Flight[person]
	known  *cache.TTL[person]
}

func newPeople(g Graph) *people {
	return &people{graph: g, known: cache.NewTTL[person](personTTL, maxPeople)}
}

// of is the person with an object id, as far as the directory tells in time.
func (p *people) of(ctx context.Context, id string) person {
	known, fresh := p.known.Get(id)
	if fresh || p.graph == nil || !graph.ValidID(id) {
		return known
	}
	found, _, err := p.flight.Do(ctx, id, shownWithin, func(ctx context.Context) (person, error) {
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
			return person{language: language}, err
		}
		out := person{plain(who.GivenName), plain(who.DisplayName), language}
		p.known.Put(id, out)
		return out, nil
	})
	if err != nil {
		return person{language: found.language}
	}
	return found
}

// maxNames is how many people are looked up for a page of the console, in two requests each: more
// than send most of the jobs of a page. Those who are remembered do not count.
const maxNames = maxTitles

// names are what people are called, by their object ids; who is not known is missing.
type names map[string]string

// named is somebody on a page of the console; without a Name the ID is shown alone.
type named struct{ Name, ID string }

// Of is somebody by an object id; what is none, as the name of a token, stays as it is.
func (n names) Of(id string) named { return named{n[id], id} }

// Asked is what asked for a decision, in words.
func (n names) Asked(e admin.Event) string {
	e.Actor = cmp.Or(n[e.Actor], e.Actor)
	return e.Why()
}

// namesFor are the names of people for who is signed in at the console: none below the role operate,
// and none that the directory does not tell in time.
func (p *Pages) namesFor(ctx context.Context, c access.Caller, ids []string) names {
	out := names{}
	if !c.May(access.RoleOperate) {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, shownWithin)
	defer cancel()
	var mu sync.Mutex // guards out
	var reads errgroup.Group
	reads.SetLimit(readsAtOnce)
	seen, asked := map[string]bool{}, 0
	for _, id := range ids {
		if seen[id] || !graph.ValidID(id) {
			continue
		}
		seen[id] = true
		if _, fresh := p.people.known.Get(id); !fresh {
			if asked++; asked > maxNames {
				continue
			}
		}
		reads.Go(func() error {
			if name := p.people.of(ctx, id).display; name != "" {
				mu.Lock()
				defer mu.Unlock()
				out[id] = name
			}
			return nil
		})
	}
	_ = reads.Wait()
	return out
}

// plain is a text for a page in one line, without characters that are not seen, as those
// that turn the direction of writing.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
	if r := []rune(text); len(r) > maxTitle {
		text = string(r[:maxTitle-1]) + "…"
	}
	return strings.TrimSpace(text)
}

// How titles of jobs are shown.
const (
	TitlesShown  = "shown"
	TitlesMasked = "masked"
	TitlesHidden = "hidden"
)

// maxExtension is the longest end of a name that counts as its extension, with the point.
const maxExtension = 6

// titled is a title as it is shown. Masked are its first three characters and its extension.
func titled(how, title string) string {
	title = plain(title)
	r := []rune(title)
	if how == TitlesShown || len(r) == 0 {
		return title
	}
	ext := path.Ext(title)
	if n := len([]rune(ext)); n < 2 || n > maxExtension || n > len(r)-3 {
		ext = ""
	}
	return string(r[:min(3, len(r))]) + "…" + ext
}

// titles reads the titles of jobs for a station.
func (p *Pages) titles(ctx context.Context, refs []graph.Ref) map[graph.Ref]string {
	return p.titlesAs(ctx, p.Station.Titles, refs)
}

// titlesAs reads the titles of jobs; one that is late or can't be read is missing.
func (p *Pages) titlesAs(ctx context.Context, how string, refs []graph.Ref) map[graph.Ref]string {
	out := map[graph.Ref]string{}
	if p.Graph == nil || how == TitlesHidden {
		return out
	}
	var mu sync.Mutex
	var reads errgroup.Group
	reads.SetLimit(readsAtOnce)
	for _, ref := range refs[:min(len(refs), maxTitles)] {
		reads.Go(func() error {
			return recovery.Catch(func() error {
				title, err := p.Graph.Title(ctx, ref)
				if err == nil && title != "" {
					mu.Lock()
					defer mu.Unlock()
					out[ref] = titled(how, title)
				}
				return nil
			})
		})
	}
	_ = reads.Wait()
	return out
}

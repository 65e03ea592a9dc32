// Package view is what the pages for people have in common: their layout, the languages and the zone
// that they speak in, names of people and titles of jobs as Graph tells them, and how an error is shown.
// It knows no page but that of a message, and asks nobody who they are.
package view

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/cache"
	"pullprint/connector/catalog"
	"pullprint/trigger/graph"
)

//go:embed pages
var files embed.FS

// Policy is what a page may load: our own style sheet and nothing else.
const Policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri " +
	"'none'; frame-ancestors 'none'"

// Home is where the console begins.
const Home = "/"

// Options are what a Site needs.
type Options struct {
	// Graph tells names, titles and how far jobs are; nil without.
	Graph Graph
	// Language is the one for who reads none of those that there are.
	Language string
	// Zone is that of all times, as Europe/Zurich; empty is DefaultZone.
	Zone        string
	DefaultZone func() *time.Location
	// Currency is what amounts are in; nil, or empty, is pages.
	Currency func() string
	// DocsURL is where the documentation is read; empty shows no links to it.
	DocsURL string
	Logger  *zap.Logger
}

// Site is what all pages share. It may be used concurrently once all templates are added.
type Site struct {
	o         Options
	templates map[string]*template.Template
	catalog   *catalog.Catalog
	zone      *time.Location // nil is DefaultZone
	people    *people
	known     *cache.TTL[string]         // titles of jobs, by their refs
	states    *cache.TTL[graph.JobState] // how far jobs are, by their refs
	log       *zap.Logger
}

// New reads the languages and the pages of this package; it starts nothing.
func New(o Options) (s *Site, err error) {
	s = &Site{
		o: o, templates: map[string]*template.Template{}, people: newPeople(o.Graph),
		known: cache.NewTTL[string](personTTL, maxPeople), states: cache.NewTTL[graph.JobState](stateFor, maxPeople),
		log: o.Logger.Named("admin"),
	}
	if s.catalog, err = catalog.Load(); err != nil {
		return nil, err
	}
	if o.Zone != "" {
		if s.zone, err = time.LoadLocation(o.Zone); err != nil {
			return nil, fmt.Errorf("station.zone: %w", err)
		}
	}
	return s, s.Add(Templates{Files: files, Pages: []string{"login", "message"}})
}

// Templates are the pages of a package, in a folder called pages.
type Templates struct {
	Files fs.FS
	Funcs template.FuncMap
	// Shared are templates that some of the pages use, Pages the pages themselves.
	Shared, Pages []string
}

// Add adds pages, which Show then finds by their names.
func (s *Site) Add(t Templates) error {
	base, err := template.New("").Funcs(functions).Funcs(t.Funcs).ParseFS(files, "pages/layout.html")
	if err != nil {
		return err
	}
	for _, name := range t.Shared {
		if base, err = base.ParseFS(t.Files, "pages/"+name+".html"); err != nil {
			return err
		}
	}
	for _, name := range t.Pages {
		page, err := base.Clone()
		if err != nil {
			return err
		}
		if s.templates[name], err = page.ParseFS(t.Files, "pages/"+name+".html"); err != nil {
			return err
		}
	}
	return nil
}

// StyleSheet is that of all pages.
func StyleSheet() ([]byte, error) { return files.ReadFile("pages/style.css") }

// ServeStyleSheet answers with it.
func ServeStyleSheet(rw http.ResponseWriter, req *http.Request) {
	http.ServeFileFS(rw, req, files, "pages/style.css")
}

// Link leads to a page of the console.
type Link struct{ Path, Text string }

// Page is what every page knows.
type Page struct {
	Title string
	// Refresh, when set, makes the browser go to Then after so many seconds.
	Refresh int
	Then    string
	// Script is where the page's script is, if it has one.
	Script string
	// Caller is who is signed in at the console, and Nav where they can go there.
	Caller  string
	Nav     []Link
	Operate bool
	// Person is set when that is a person, ByToken when a token is used where people can sign in.
	Person, ByToken bool
	Now             time.Time
	// Home is where a message leads to, if anywhere.
	Home string
	// Wrong is what was wrong with what was sent.
	Wrong string
	// English is what is told of an error in English alone, as the API and the log have it.
	English string
	Data    any
	// In is the language of the page; one without is English.
	In   Words
	docs string // Options.DocsURL
}

// Help leads to a section of the documentation, as policy.md#budgets; nowhere when it is not known where that is.
func (p Page) Help(section string) Link {
	if p.docs == "" || section == "" {
		return Link{}
	}
	return Link{Path: strings.TrimRight(p.docs, "/") + "/" + section, Text: p.In.Text("Help")}
}

// Show answers with a page.
func (s *Site) Show(rw http.ResponseWriter, status int, name string, data Page) {
	data.Now = time.Now()
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.WriteHeader(status)
	if err := s.Execute(rw, name, data); err != nil {
		s.log.Debug("page not sent", zap.String("page", name), zap.Error(err))
	}
}

// Execute writes a page; one that has no language is English.
func (s *Site) Execute(to io.Writer, name string, data Page) error {
	if data.In.zone == nil {
		data.In = s.Words("en")
	}
	data.docs = s.o.DocsURL
	return s.templates[name].ExecuteTemplate(to, "layout", data)
}

// Message answers with a text that leads nowhere, in a language that the browser wishes for if the catalog has
// both title and text.
func (s *Site) Message(rw http.ResponseWriter, status int, title, text string) {
	in := s.Words(Wished(rw))
	if !in.Has(title) || !in.Has(text) {
		in = s.Words("en")
	}
	s.Show(rw, status, "message", Page{Title: in.Text(title), Data: in.Text(text), In: in})
}

// Fail shows at the console what an error means to who runs the service, and leads back.
func (s *Site) Fail(rw http.ResponseWriter, in Words, err error) {
	pr, _ := s.problem(err)
	title, detail, english := in.Told(pr)
	s.Show(rw, pr.Status, "message", Page{Title: title, Data: detail, English: english, Home: Home, In: in})
}

// FailIn shows in a language what an error means to a person, and leads to home.
func (s *Site) FailIn(rw http.ResponseWriter, in Words, home string, err error) {
	status, title, text := s.Problem(in, err)
	s.Show(rw, status, "message", Page{Title: title, Data: text, Home: home, In: in})
}

// Problem is what an error means to a person. What is told in English elsewhere is told in general in other
// languages, and so is what is for who reads the log.
func (s *Site) Problem(in Words, err error) (status int, title, text string) {
	pr, logged := s.problem(err)
	title, text = pr.Title, pr.Detail
	if in.Code() != "en" {
		title = in.Text("It did not work")
	}
	if logged || in.Code() != "en" {
		text = in.Text(doWait)
	}
	return pr.Status, title, text
}

// problem is an error as the API tells it. One that is not the person's is logged.
func (s *Site) problem(err error) (pr *apiclient.Problem, logged bool) {
	if pr, logged = admin.ProblemOf(err); logged {
		s.log.Warn("page failed", zap.Error(err))
	}
	return pr, logged
}

// doWait is what a person can do about an error that they did not cause.
const doWait = "Nothing is lost: try again in a few seconds. If that does not help, tell your administrator."

// Ref is the job that the address of a page names.
func Ref(req *http.Request) graph.Ref {
	return graph.Ref{Printer: req.PathValue("printer"), Job: req.PathValue("job")}
}

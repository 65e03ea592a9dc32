package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"text/template"
	"time"
	"unicode"

	"pullprint/connector/catalog"
	"pullprint/connector/display"
	"pullprint/connector/notice"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

const (
	// maxSubject is how long a subject may be, in characters: programs for mail show about 70.
	maxSubject = 150
	// languageWithin is how long the language of a person is waited for: then the message is in that of
	// the station. Looking for the address takes what is left of sendWithin.
	languageWithin = 20 * time.Second
	// titleWithin is how long the title of a job is waited for: it is of use, and not needed.
	titleWithin = 10 * time.Second
)

// People tells in which language a person reads; *graph.Client is one.
type People interface {
	// Language returns the preferred language of a user, by object id, as de-CH; empty when there is
	// none.
	Language(ctx context.Context, user string) (string, error)
}

// Titles tells what jobs are called; *graph.Client is one.
type Titles interface {
	// Title returns the title of a job of a person, by object id; empty when there is none, or when the
	// job is another's. No error contains a title.
	Title(ctx context.Context, job graph.Ref, owner string) (string, error)
}

// Texts make messages of notices, in the language of who is told. They are safe for concurrent use
// once what they are told with is set; that may be left as it is.
type Texts struct {
	// People are asked for their language; nil is nobody.
	People People
	// Titles are asked what a job is called, as it is in no notice, if Show, a word of package display,
	// lets people see it; as is, they are not asked.
	Titles Titles
	Show   string
	// Languages are those for who reads none that is there, the first that is there.
	Languages func() []string
	// Zone is the one in which people are told times.
	Zone func() *time.Location
	// Place is what people call a device.
	Place func(device string) string
	// Currency is that of amounts; empty when they are pages.
	Currency func() string
	// Link is where people find their own page; empty when they can't sign in.
	Link string

	dir     string
	catalog *catalog.Catalog
	of      atomic.Pointer[templates]
}

// data is what a template can use.
type data struct {
	notice.Notice
	// Count is how many notices the message stands for.
	Count int
	// In is the language of who is told.
	In catalog.Language
	// Title is what the job is called that the message is about; empty when it is about several, or when
	// titles are not shown.
	Title string
	// Link is where they find their own page.
	Link     string
	currency string
}

// Amount is what something costs, or what is left, in words.
func (d data) Amount(a *quota.Amount) string {
	if a == nil {
		return ""
	}
	return d.In.Amount(float64(*a)/float64(quota.Unit), d.currency)
}

// LoadTexts reads the templates: from dir those that are there, as job.aborted.txt for all languages or
// job.aborted.de.txt for one, and those of the program for the others. Each is carried out with an
// example. Without dir all are the program's.
func LoadTexts(dir string) (*Texts, error) {
	words, err := catalog.Load()
	if err != nil {
		return nil, err
	}
	t := &Texts{
		Languages: func() []string { return nil },
		Zone:      func() *time.Location { return time.Local },
		Place:     func(device string) string { return device },
		Currency:  func() string { return "" },
		dir:       dir, catalog: words,
	}
	return t, t.Reload()
}

// Reload reads the templates again. After an error those of before stay.
func (t *Texts) Reload() error {
	next, err := loadTemplates(t.dir)
	if err != nil {
		return err
	}
	var wrong []error
	for name := range next {
		wrong = append(wrong, t.check(next, name))
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	t.of.Store(&next)
	return nil
}

// check carries a template out with examples.
func (t *Texts) check(of templates, name string) error {
	kind, language := kindAndLanguage(name)
	example := Example(kind, time.Now())
	for _, count := range []int{1, 7} {
		m, err := t.renderIn(of, &example, data{Count: count, In: t.catalog.Choose(language), Title: "Minutes.pdf"})
		if err != nil {
			return err
		}
		if m.Subject == "" || m.Text == "" {
			return fmt.Errorf("%s:1: the first line is to be the subject, and those after it the text", of[name].Name())
		}
	}
	return nil
}

// render makes a message of a notice that stands for count of them.
func (t *Texts) render(ctx context.Context, n *notice.Notice, count int) (Message, error) {
	with := data{Count: count, In: t.languageOf(ctx, n.Owner)}
	if count == 1 && notice.OfOneJob(n.Kind) {
		with.Title = t.title(ctx, n)
	}
	return t.renderIn(*t.of.Load(), n, with)
}

// title is the title of the job of a notice as people may see it. When it can't be read, as the job is
// gone, the message has none. It is read for the message and kept nowhere.
func (t *Texts) title(ctx context.Context, n *notice.Notice) string {
	if t.Titles == nil || t.Show != display.Full && t.Show != display.Masked {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, titleWithin)
	defer cancel()
	title, err := t.Titles.Title(ctx, n.Ref, n.Owner)
	if err != nil {
		return ""
	}
	return display.Title(t.Show, title)
}

// languageOf is the language of a person. When it can't be read the message is in that of the station:
// it is worth more now than in the right language later.
func (t *Texts) languageOf(ctx context.Context, owner string) catalog.Language {
	own := ""
	if t.People != nil {
		ctx, cancel := context.WithTimeout(ctx, languageWithin)
		defer cancel()
		own, _ = t.People.Language(ctx, owner)
	}
	return t.catalog.Choose(append([]string{own}, t.Languages()...)...)
}

// renderIn makes a message of a notice, with what is not in it.
func (t *Texts) renderIn(of templates, n *notice.Notice, with data) (Message, error) {
	tmpl := of.in(n.Kind, with.In.Code())
	if tmpl == nil {
		return Message{}, fmt.Errorf("no template for notices of kind %.40q", n.Kind)
	}
	out := limited{left: maxText}
	with.Notice, with.Link, with.currency = t.localized(with.In, n), t.Link, t.Currency()
	err := tmpl.Execute(&out, with)
	if _, located := errors.AsType[template.ExecError](err); err != nil && !located {
		err = fmt.Errorf("%s: %w", tmpl.Name(), err)
	}
	if err != nil {
		return Message{}, err
	}
	head, body, _ := strings.Cut(strings.ReplaceAll(out.String(), "\r", ""), "\n")
	return Message{Kind: n.Kind, Language: with.In.Code(), Subject: shorten(oneLine(head)), Text: strings.TrimSpace(body)}, nil
}

// localized is a notice as people read it: in their language, zone and names, each value on one line.
func (t *Texts) localized(in catalog.Language, n *notice.Notice) notice.Notice {
	shown, zone := *n, t.Zone()
	shown.At, shown.Created, shown.HoldUntil, shown.Renews = n.At.In(zone), n.Created.In(zone), n.HoldUntil.In(zone), n.Renews.In(zone)
	if own, ok := notice.WordsOf(n.Kind); ok {
		shown.Text, shown.Remedy = in.Because(own.Text, n.Text), in.Because(own.Remedy, n.Remedy)
	} else {
		shown.Text, shown.Remedy = in.Reason(n.Reason, n.Text, n.Remedy)
	}
	shown.Text, shown.Remedy, shown.Reason = oneLine(shown.Text), oneLine(shown.Remedy), oneLine(n.Reason)
	shown.Queue, shown.Device = oneLine(n.Queue), oneLine(t.Place(n.Device))
	shown.Devices = nil
	for _, device := range n.Devices {
		shown.Devices = append(shown.Devices, oneLine(t.Place(device)))
	}
	return shown
}

// oneLine is a text without line breaks and control characters, so that nothing in a name or a reason
// becomes another header.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar
	}), " ")
}

// shorten cuts a subject to the length that it may have.
func shorten(s string) string {
	if runes := []rune(s); len(runes) > maxSubject {
		return string(runes[:maxSubject-1]) + "…"
	}
	return s
}

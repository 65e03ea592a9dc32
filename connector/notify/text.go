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
	"pullprint/connector/notice"
	"pullprint/policy/quota"
)

const (
	// maxSubject is how long a subject may be, in characters: programs for mail show about 70.
	maxSubject = 150
	// languageWithin is how long the language of a person is waited for: then the message is in that of
	// the station. Looking for the address takes what is left of sendWithin.
	languageWithin = 20 * time.Second
)

// People tells in which language a person reads; *graph.Client is one.
type People interface {
	// Language returns the preferred language of a user, by object id, as de-CH; empty when there is
	// none.
	Language(ctx context.Context, user string) (string, error)
}

// Texts make messages of notices, in the language of who is told. They are safe for concurrent use
// once what they are told with is set; that may be left as it is.
type Texts struct {
	// People are asked for their language; nil is nobody.
	People People
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
		m, err := t.renderIn(t.catalog.Choose(language), of, &example, count)
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
	return t.renderIn(t.languageOf(ctx, n.Owner), *t.of.Load(), n, count)
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

func (t *Texts) renderIn(in catalog.Language, of templates, n *notice.Notice, count int) (Message, error) {
	tmpl := of.in(n.Kind, in.Code())
	if tmpl == nil {
		return Message{}, fmt.Errorf("no template for notices of kind %.40q", n.Kind)
	}
	out := limited{left: maxText}
	err := tmpl.Execute(&out, data{t.localized(in, n), count, in, t.Link, t.Currency()})
	if _, located := errors.AsType[template.ExecError](err); err != nil && !located {
		err = fmt.Errorf("%s: %w", tmpl.Name(), err)
	}
	if err != nil {
		return Message{}, err
	}
	head, body, _ := strings.Cut(strings.ReplaceAll(out.String(), "\r", ""), "\n")
	return Message{Kind: n.Kind, Language: in.Code(), Subject: shorten(oneLine(head)), Text: strings.TrimSpace(body)}, nil
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

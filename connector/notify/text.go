package notify

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"
	"unicode"

	"pullprint/connector/notice"
	"pullprint/trigger/graph"
)

const (
	// maxTemplate is how large a file with a template may be, and maxText a text that it makes: a notice
	// is a paragraph.
	maxTemplate = 64 << 10
	maxText     = 64 << 10
	// maxSubject is how long a subject may be, in characters: programs for mail show about 70.
	maxSubject = 150
)

//go:embed templates/*.txt
var builtIn embed.FS

// Texts are the templates of messages, by the kind of notice. What is not set is as the notice has it.
type Texts struct {
	// Zone is the one in which people are told times.
	Zone func() *time.Location
	// Place is what people call a device.
	Place func(device string) string

	of map[string]*template.Template
}

// data is what a template can use.
type data struct {
	notice.Notice
	// Count is how many notices the message stands for.
	Count int
}

// LoadTexts reads the templates: from dir those that are there, as job.aborted.txt, and those of the
// program for the others. Each is carried out with an example. Without dir all are the program's.
func LoadTexts(dir string) (*Texts, error) {
	t := &Texts{
		Zone:  func() *time.Location { return time.Local },
		Place: func(device string) string { return device },
		of:    map[string]*template.Template{},
	}
	var wrong []error
	for _, kind := range notice.Kinds {
		text, name, err := source(dir, kind+".txt")
		if err == nil {
			t.of[kind], err = template.New(name).Option("missingkey=error").Parse(text)
		}
		if err == nil {
			err = t.check(kind)
		}
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	if err := errors.Join(append(wrong, unknownFiles(dir))...); err != nil {
		return nil, err
	}
	return t, nil
}

// source reads a template from dir, or the program's.
func source(dir, file string) (text, name string, err error) {
	if dir != "" {
		name = filepath.Join(dir, file)
		f, err := os.Open(name)
		if err == nil {
			defer f.Close()
			raw, err := io.ReadAll(io.LimitReader(f, maxTemplate+1))
			if err == nil && len(raw) > maxTemplate {
				err = fmt.Errorf("%s: larger than %d KiB", name, maxTemplate>>10)
			}
			return string(raw), name, err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", name, err
		}
	}
	raw, err := builtIn.ReadFile("templates/" + file)
	return string(raw), file, err
}

// unknownFiles says which templates in dir are of no kind of notice.
func unknownFiles(dir string) error {
	if dir == "" {
		return nil
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var wrong []error
	for _, f := range files {
		kind, ok := strings.CutSuffix(f.Name(), ".txt")
		if _, known := kindAt(kind); ok && !known {
			wrong = append(wrong, fmt.Errorf("%s: no kind of notice has this name; write one of %s", filepath.Join(dir, f.Name()),
				strings.Join(notice.Kinds, ", ")))
		}
	}
	return errors.Join(wrong...)
}

func kindAt(kind string) (int, bool) {
	for i, k := range notice.Kinds {
		if k == kind {
			return i, true
		}
	}
	return 0, false
}

// check carries a template out with an example.
func (t *Texts) check(kind string) error {
	example := Example(kind, time.Now())
	for _, count := range []int{1, 7} {
		m, err := t.render(&example, count)
		if err != nil {
			return err
		}
		if m.Subject == "" || m.Text == "" {
			return fmt.Errorf("%s: the first line is to be the subject, and those after it the text", t.of[kind].Name())
		}
	}
	return nil
}

// Example is a notice of a kind, to try a template or a channel with.
func Example(kind string, now time.Time) notice.Notice {
	return notice.Notice{
		ID: "example:" + kind, Kind: kind, At: now, Ref: graph.Ref{Printer: "example", Job: "1"}, Queue: "Follow-Me",
		Reason: "example.reason", Text: "This is an example: no job of yours is affected.", Remedy: "There is nothing to do.",
		Device: "hq-2-west", Created: now.Add(-time.Hour), HoldUntil: now.Add(time.Hour), Devices: []string{"hq-2-west", "hq-2-east"},
	}
}

// render makes a message of a notice that stands for count of them.
func (t *Texts) render(n *notice.Notice, count int) (Message, error) {
	tmpl := t.of[n.Kind]
	if tmpl == nil {
		return Message{}, fmt.Errorf("no template for notices of kind %.40q", n.Kind)
	}
	out := limited{left: maxText}
	shown := *n
	zone := t.Zone()
	shown.At, shown.Created, shown.HoldUntil = n.At.In(zone), n.Created.In(zone), n.HoldUntil.In(zone)
	shown.Text, shown.Remedy, shown.Reason = oneLine(n.Text), oneLine(n.Remedy), oneLine(n.Reason)
	shown.Queue, shown.Device = oneLine(n.Queue), oneLine(t.Place(n.Device))
	shown.Devices = nil
	for _, device := range n.Devices {
		shown.Devices = append(shown.Devices, oneLine(t.Place(device)))
	}
	if err := tmpl.Execute(&out, data{shown, count}); err != nil {
		return Message{}, fmt.Errorf("%s: %w", tmpl.Name(), err)
	}
	head, body, _ := strings.Cut(strings.ReplaceAll(out.String(), "\r", ""), "\n")
	return Message{Subject: shorten(oneLine(head)), Text: strings.TrimSpace(body)}, nil
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

// limited is a buffer that takes so much and refuses the rest.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errors.New("the text is too long")
	}
	return l.Buffer.Write(p)
}

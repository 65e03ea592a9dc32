package notify

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"pullprint/connector/catalog"
	"pullprint/connector/notice"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

const (
	// maxTemplate is how large a file with a template may be, and maxText a text that it makes: a notice
	// is a paragraph.
	maxTemplate = 64 << 10
	maxText     = 64 << 10
)

//go:embed templates
var builtIn embed.FS

// templates are those of messages, by the kind of notice, or by the kind and a language, as
// job.aborted.de.
type templates map[string]*template.Template

// in is the template for a kind and a language.
func (t templates) in(kind, language string) *template.Template {
	if own := t[kind+"."+language]; own != nil {
		return own
	}
	return t[kind]
}

// functions are those that templates have besides the ones of text/template.
var functions = template.FuncMap{"join": strings.Join}

// loadTemplates reads the templates of the program, and over them those of dir, if it is not empty.
func loadTemplates(dir string) (templates, error) {
	common, err := builtIn.ReadFile("templates/common.tmpl")
	if err != nil {
		return nil, err
	}
	parse := func(name, text string) (*template.Template, error) {
		t, err := template.New(name).Funcs(functions).Option("missingkey=error").Parse(string(common))
		if err != nil {
			return nil, err
		}
		return t.Parse(text)
	}
	t := templates{}
	for _, kind := range notice.Kinds {
		text, err := builtIn.ReadFile("templates/" + kind + ".txt")
		if err != nil {
			return nil, err
		}
		if t[kind], err = parse(kind+".txt", string(text)); err != nil {
			return nil, err
		}
	}
	if dir == "" {
		return t, nil
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var wrong []error
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".txt")
		if !ok {
			continue
		}
		file := filepath.Join(dir, f.Name())
		text, err := readTemplate(file)
		if err == nil {
			err = knownName(file, name)
		}
		if err == nil {
			t[name], err = parse(file, text)
		}
		wrong = append(wrong, err)
	}
	return t, errors.Join(wrong...)
}

func readTemplate(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxTemplate+1))
	if err == nil && len(raw) > maxTemplate {
		err = fmt.Errorf("%s: larger than %d KiB", file, maxTemplate>>10)
	}
	return string(raw), err
}

// kindAndLanguage are what a template is for; the language is empty when it is for all.
func kindAndLanguage(name string) (kind, language string) {
	if i := strings.LastIndexByte(name, '.'); i > 0 && slices.Contains(catalog.Languages(), name[i+1:]) {
		return name[:i], name[i+1:]
	}
	return name, ""
}

// knownName reports with an error a file that would never be used.
func knownName(file, name string) error {
	if kind, _ := kindAndLanguage(name); slices.Contains(notice.Kinds, kind) {
		return nil
	}
	return fmt.Errorf("%s: no kind of notice has this name; write one of %s, and behind it a language if it is for that alone, "+
		"as job.aborted.de.txt: %s", file, strings.Join(notice.Kinds, ", "), strings.Join(catalog.Languages(), ", "))
}

// Example is a notice of a kind, to try a template or a channel with.
func Example(kind string, now time.Time) notice.Notice {
	n := notice.Notice{
		ID: "example:" + kind, Kind: kind, At: now, Ref: graph.Ref{Printer: "example", Job: "1"}, Queue: "Follow-Me",
		Reason: "example.reason", Text: "This is an example: no job of yours is affected.", Remedy: "There is nothing to do.",
		Device: "hq-2-west", Created: now.Add(-time.Hour), HoldUntil: now.Add(time.Hour), Devices: []string{"hq-2-west", "hq-2-east"},
	}
	amount := 3 * quota.Unit
	switch kind {
	case notice.Failed:
		n.Refunded = &amount
	case notice.BudgetLow, notice.BudgetExhausted:
		n.Left, n.Limit, n.Renews = &amount, &amount, now.Add(24*time.Hour)
	}
	return n
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

package notify

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/display"
	"pullprint/connector/notice"
	"pullprint/trigger/graph"
)

// printer is a Graph with one job of one person; it counts how often it is asked.
type printer struct {
	job   graph.Ref
	owner string
	err   error
	slow  bool
	asked int
}

func (p *printer) Title(ctx context.Context, job graph.Ref, owner string) (string, error) {
	p.asked++
	if p.slow {
		<-ctx.Done()
		return "", ctx.Err()
	}
	if job != p.job || owner != p.owner {
		return "", nil
	}
	return "Resignation.docx", p.err
}

// A message about one job has its title if and as the configuration says. By default Graph is not even
// asked, and no other message has one.
func TestTitlesInMessages(t *testing.T) {
	texts := load(t)
	asks := func(show, kind string, count int, p *printer) string {
		t.Helper()
		n := Example(kind, time.Now())
		n.Owner = "anna"
		p.job, p.owner = n.Ref, "anna"
		texts.Titles, texts.Show = p, show
		m, err := texts.render(t.Context(), &n, count)
		if err != nil || strings.Contains(m.Subject, "Res") || strings.Contains(m.Text, "\n\n\n") {
			t.Errorf("%s %s: %v, %q\n%s", show, kind, err, m.Subject, m.Text)
		}
		_, line, _ := strings.Cut(m.Text, "Document: ")
		line, _, _ = strings.Cut(line, "\n")
		if line == "" && (strings.Contains(m.Text, "Res") || strings.Contains(m.Text, "docx")) {
			t.Errorf("%s %s has a title:\n%s", show, kind, m.Text)
		}
		return line
	}
	for _, kind := range notice.Kinds {
		for show, want := range map[string]string{
			display.Full: "Resignation.docx", display.Masked: "Res….docx", display.Hidden: "", "": "",
		} {
			if !notice.OfOneJob(kind) {
				want = ""
			}
			p := &printer{}
			if got := asks(show, kind, 1, p); got != want || (p.asked > 0) != (want != "") {
				t.Errorf("%s, titles %q: %q, asked %d times", kind, show, got, p.asked)
			}
			if got := asks(show, kind, 2, p); got != "" || p.asked > 1 {
				t.Errorf("%s, titles %q, of several jobs: %q", kind, show, got)
			}
		}
	}
	if got := asks(display.Full, notice.Aborted, 1, &printer{err: errors.New("404")}); got != "" {
		t.Errorf("of a job that is gone: %q", got)
	}
}

// A Graph that does not answer delays a message by titleWithin.
func TestTitleIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		texts := load(t)
		texts.Titles, texts.Show = &printer{slow: true}, display.Full
		n, began := Example(notice.Failed, time.Now()), time.Now()
		if m, err := texts.render(t.Context(), &n, 1); err != nil || strings.Contains(m.Text, "Document") {
			t.Errorf("%v\n%s", err, m.Text)
		}
		if took := time.Since(began); took != titleWithin {
			t.Errorf("it took %s", took)
		}
	})
}

package main

import (
	"fmt"
	"strings"
)

// roff is a manual page being written, in the macros of man(7).
type roff struct{ strings.Builder }

// newRoff begins a page; date is that of the program, so that the same program always
// gives the same page.
func newRoff(name, section, date string) *roff {
	r := &roff{}
	fmt.Fprintf(r, ".TH \"%s\" \"%s\" \"%s\" pullprint pullprint\n", quoteRoff.Replace(strings.ToUpper(name)), section,
		date)
	return r
}

// quoteRoff keeps a text from being taken for a request, a quote or a ligature.
var quoteRoff = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

// text is a line of text.
func (r *roff) text(s string) {
	s = quoteRoff.Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	fmt.Fprintln(r, s)
}

// macro is a request with its arguments.
func (r *roff) macro(name string, args ...string) {
	r.WriteString("." + name)
	for _, a := range args {
		r.WriteString(` "` + strings.ReplaceAll(quoteRoff.Replace(a), `"`, `\(dq`) + `"`)
	}
	r.WriteByte('\n')
}

func (r *roff) section(name string) { r.macro("SH", strings.ToUpper(name)) }

// tag begins a paragraph whose bold tag hangs out; rest follows it in italics.
func (r *roff) tag(bold, rest string) {
	r.macro("TP")
	if rest == "" {
		r.macro("B", bold)
		return
	}
	r.macro("BI", bold, " "+rest)
}

// example is text that is shown as it is.
func (r *roff) example(lines ...string) {
	r.macro("EX")
	for _, l := range lines {
		if l == "" {
			l = " "
		}
		r.text(l)
	}
	r.macro("EE")
}

// prose is paragraphs, parted by empty lines, in which lines that are indented by two
// spaces or more stand as they are. The first continues what was begun with a macro when
// in is true, as below a tag.
func (r *roff) prose(s string, in bool) {
	first := true
	var shown []string
	flush := func() {
		if shown != nil {
			r.example(shown...)
			shown = nil
		}
	}
	parted := false
	for line := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		line = strings.TrimRight(line, " ")
		switch {
		case line == "":
			parted = true
			continue
		case strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t"):
			shown = append(shown, line)
			parted, first = false, false
			continue
		}
		flush()
		if parted && !first {
			r.macro(map[bool]string{true: "IP", false: "PP"}[in])
		}
		parted, first = false, false
		r.text(line)
	}
	flush()
}

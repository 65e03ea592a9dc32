package main

import (
	"regexp"
	"strings"
)

// setting is a key of the configuration, as the annotated example shows it.
type setting struct {
	path  string
	prose []string // its comment
	lines []string // its line in the example, and those of keys below that have no comment
}

var (
	exampleKey   = regexp.MustCompile(`^( *)(- )?([a-z][a-z_0-9]*):( .*)?$`)
	exampleItems = regexp.MustCompile(`^ +- `) // of a list of plain values
)

// exampleReader reads the example line by line. Its zero value is ready.
type exampleReader struct {
	intro    []string
	settings []setting
	prose    []string
	began    bool
	seen     map[string]bool
	above    []place // the keys that the next line may be below
}

// place is a key of the example and how far it is indented.
type place struct {
	indent int
	path   string
}

// readExample takes the example apart: what it says first, and its keys in order. A key
// is described by the comment right above it; one that is commented out counts as well.
func readExample(src string) (intro []string, settings []setting) {
	r := exampleReader{seen: map[string]bool{}}
	for line := range strings.Lines(src) {
		r.line(strings.TrimRight(line, "\n"))
	}
	return r.intro, r.settings
}

func (r *exampleReader) line(line string) {
	if strings.TrimSpace(line) == "" {
		if !r.began {
			r.intro = append(r.intro, append(r.prose, "")...)
		}
		r.prose = nil
		return
	}
	plain := line
	if r.began = r.began || !strings.HasPrefix(line, "#"); r.began {
		plain = uncomment(line)
	}
	if m := exampleKey.FindStringSubmatch(plain); m != nil {
		r.key(plain, r.path(len(m[1]), m[2] != "", m[3]))
		return
	}
	text, comment := strings.CutPrefix(strings.TrimLeft(plain, " "), "#")
	switch {
	case comment:
		r.prose = append(r.prose, strings.TrimPrefix(text, " "))
	case len(r.settings) > 0 && exampleItems.MatchString(plain):
		last := &r.settings[len(r.settings)-1]
		last.lines = append(last.lines, plain)
	}
}

// path finds out what a key is below.
func (r *exampleReader) path(indent int, item bool, key string) string {
	if item {
		indent++
	}
	for len(r.above) > 0 && r.above[len(r.above)-1].indent >= indent {
		r.above = r.above[:len(r.above)-1]
	}
	parent := ""
	if len(r.above) > 0 {
		parent = r.above[len(r.above)-1].path
	}
	if item {
		parent += "[]"
		r.above = append(r.above, place{indent, parent})
		indent++
	}
	path := strings.TrimPrefix(parent+"."+key, ".")
	r.above = append(r.above, place{indent, path})
	return path
}

// key takes a key with the comment above it. Without one it belongs to the key before,
// unless it is there only to show a second item of a list.
func (r *exampleReader) key(line, path string) {
	switch {
	case r.prose != nil:
		r.settings = append(r.settings, setting{path: path, prose: r.prose, lines: []string{line}})
	case !r.seen[path] && len(r.settings) > 0:
		last := &r.settings[len(r.settings)-1]
		last.lines = append(last.lines, line)
	}
	r.seen[path], r.prose = true, nil
}

// uncomment gives back what a line would be if it were not commented out.
func uncomment(line string) string {
	rest := strings.TrimLeft(line, " ")
	text, ok := strings.CutPrefix(rest, "# ")
	if ok && (exampleKey.MatchString(text) || strings.HasPrefix(strings.TrimLeft(text, " "), "# ")) {
		return line[:len(line)-len(rest)] + text
	}
	return line
}

// configPage is the manual page of the configuration file, written from the annotated
// example.
func configPage(example, date string) string {
	r := newRoff("pullprint-config", "5", date)
	r.section("Name")
	r.WriteString("pullprint\\-config \\- configuration of pullprint(1)\n")
	r.section("Synopsis")
	r.macro("I", "/etc/pullprint/config.yaml")
	r.section("Description")
	intro, settings := readExample(example)
	about := strings.Join(intro, "\n")
	for _, said := range []string{ // of the example, or by the page as it is
		"pullprint: the whole configuration, every key there is.\n\n",
		"A key that is commented out shows an alternative or the default.\n",
	} {
		about = strings.Replace(about, said, "", 1)
	}
	r.prose(about, false)
	top := ""
	for _, s := range settings {
		if first, _, _ := strings.Cut(strings.ReplaceAll(s.path, "[]", ""), "."); first != top {
			top = first
			r.macro("SH", top)
		}
		r.tag(s.path, "")
		r.prose(strings.Join(s.prose, "\n"), true)
		switch {
		case len(s.lines) > 1:
			r.macro("IP")
			r.text("For example:")
			r.example(outdent(s.lines)...)
		case !strings.HasSuffix(s.lines[0], ":"): // else what it holds is described below
			r.macro("IP")
			r.text("For example:")
			r.macro("B", strings.TrimPrefix(strings.TrimSpace(s.lines[0]), "- "))
		}
	}
	r.section("See also")
	r.text("pullprint(1), pullprint-check(1)")
	return r.String()
}

// outdent moves lines to the left as far as they go together, and then a little in.
func outdent(lines []string) []string {
	least := len(lines[0])
	for _, l := range lines {
		least = min(least, len(l)-len(strings.TrimLeft(l, " ")))
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = "  " + l[least:]
	}
	return out
}

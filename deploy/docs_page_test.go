package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// page is a Markdown file as the checks of the documentation see it.
type page struct {
	name    string // as complaints call it
	path    string
	fences  []fence
	spans   []placed // code spans
	links   []placed // where they lead
	anchors map[string]bool
	prose   []string // its lines, with empty ones for what is fenced
}

// fence is a fenced block: its language, the words after it, and what is in it.
type fence struct {
	line  int
	lang  string
	words []string
	body  string
}

// placed is a piece of text with its line.
type placed struct {
	line int
	text string
}

// word is the value of KEY=VALUE in the info string.
func (f fence) word(key string) (string, bool) {
	for _, w := range f.words {
		if v, ok := strings.CutPrefix(w, key+"="); ok {
			return v, true
		}
	}
	return "", false
}

var (
	fenceEdge = regexp.MustCompile("^( *)(```+)(.*)$")
	codeSpan  = regexp.MustCompile("`([^`]+)`")
	linkTo    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`^#{1,6} +(.+?) *#*$`)
	explicit  = regexp.MustCompile(`<a (?:id|name)="([^"]+)">`)
	notInSlug = regexp.MustCompile(`[^\pL\pN _-]`)
)

// readPage reads a page. What is fenced is seen by no other check than those of
// fences.
func readPage(name, path string) (*page, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := &page{name: name, path: path, anchors: map[string]bool{}}
	prose, err := p.takeFences(strings.Split(string(src), "\n"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p.prose = prose
	p.takeProse(prose)
	return p, nil
}

// takeFences takes out the fenced blocks and leaves empty lines for them.
func (p *page) takeFences(lines []string) ([]string, error) {
	prose := make([]string, len(lines))
	for i := 0; i < len(lines); i++ {
		m := fenceEdge.FindStringSubmatch(lines[i])
		if m == nil {
			prose[i] = lines[i]
			continue
		}
		f := fence{line: i + 1, words: strings.Fields(m[3])}
		if len(f.words) > 0 {
			f.lang, f.words = f.words[0], f.words[1:]
		}
		var body []string
		for i++; ; i++ {
			if i == len(lines) {
				return nil, fmt.Errorf("line %d: the block never ends", f.line)
			}
			if e := fenceEdge.FindStringSubmatch(lines[i]); e != nil && e[3] == "" && len(e[2]) >= len(m[2]) {
				break
			}
			body = append(body, strings.TrimPrefix(lines[i], m[1]))
		}
		f.body = strings.Join(body, "\n") + "\n"
		p.fences = append(p.fences, f)
	}
	return prose, nil
}

// takeProse finds headings, code spans and links. A span may go over lines, not
// over paragraphs.
func (p *page) takeProse(lines []string) {
	seen := map[string]int{}
	for _, line := range lines {
		if m := heading.FindStringSubmatch(line); m != nil {
			slug := slugOf(m[1])
			if n := seen[slug]; n > 0 {
				p.anchors[fmt.Sprintf("%s-%d", slug, n)] = true
			} else {
				p.anchors[slug] = true
			}
			seen[slug]++
		}
		for _, m := range explicit.FindAllStringSubmatch(line, -1) {
			p.anchors[m[1]] = true
		}
	}
	for start := 0; start < len(lines); {
		end := start
		for end < len(lines) && strings.TrimSpace(lines[end]) != "" {
			end++
		}
		text := strings.Join(lines[start:end], "\n")
		line := func(at int) int { return start + 1 + strings.Count(text[:at], "\n") }
		for _, m := range codeSpan.FindAllStringSubmatchIndex(text, -1) {
			p.spans = append(p.spans, placed{line(m[0]), strings.Join(strings.Fields(text[m[2]:m[3]]), " ")})
		}
		bare := codeSpan.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("x", len(s)) })
		for _, m := range linkTo.FindAllStringSubmatchIndex(bare, -1) {
			p.links = append(p.links, placed{line(m[0]), text[m[2]:m[3]]})
		}
		start = end + 1
	}
}

// slugOf is the anchor that GitHub gives a heading.
func slugOf(text string) string {
	text = linkTo.ReplaceAllString(text, "]")
	return strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
}

// checkLinks follows relative links to files and to headings.
func (c *checker) checkLinks(p *page) (wrong []string) {
	for _, l := range p.links {
		if strings.Contains(l.text, "://") || strings.HasPrefix(l.text, "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(l.text, "#")
		target := p
		if file != "" {
			path := filepath.Join(filepath.Dir(p.path), filepath.FromSlash(file))
			if _, err := os.Stat(path); err != nil {
				wrong = append(wrong, p.at(l.line, "the link leads to %s, which does not exist", file))
				continue
			}
			if anchor == "" || filepath.Ext(path) != ".md" {
				continue
			}
			var err error
			if target, err = readPage(file, path); err != nil {
				wrong = append(wrong, p.at(l.line, "%v", err))
				continue
			}
		}
		if anchor != "" && !target.anchors[anchor] {
			wrong = append(wrong, p.at(l.line, "%s has no heading #%s", target.name, anchor))
		}
	}
	return wrong
}

func (p *page) at(line int, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: ", p.name, line) + fmt.Sprintf(format, args...)
}

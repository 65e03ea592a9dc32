package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// section is a section of the documentation, or a page, as the sources of the console name it in quotes.
var section = regexp.MustCompile(`"([a-z-]+\.md(?:#[a-z0-9-]+)?)"`)

// Where the console's links for help lead there is that page, with that heading.
func TestHelpSections(t *testing.T) {
	t.Parallel()
	const root = "../connector/console"
	found := 0
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !slices.Contains([]string{".go", ".html"}, filepath.Ext(path)) || strings.HasSuffix(path, "_test.go") {
			return err
		}
		p := &page{name: path, path: "docs/" + filepath.Base(path)} // links are relative to the pages
		for i, line := range strings.Split(textOf(t, filepath.Join(root, path)), "\n") {
			for _, m := range section.FindAllStringSubmatch(line, -1) {
				p.links = append(p.links, placed{i + 1, m[1]})
			}
		}
		for _, complaint := range (&checker{}).checkLinks(p) {
			t.Error(complaint)
		}
		found += len(p.links)
		return nil
	})
	if err != nil || found < 20 {
		t.Errorf("found %d sections, %v", found, err)
	}
}

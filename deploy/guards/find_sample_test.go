package guards

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const sampleSource = `package sample

func take(ctx context.Context, kv KV, body []byte, who string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if len(body) > maxBody || who != owner {
		return errRefused
	}
	for range maxTries {
		_, ok, err := kv.CompareAndSet(ctx, "k", body, 0, 0)
		switch {
		case err != nil:
			return err
		case !ok:
			continue
		}
		return nil
	}
	return errConflict
}
`

// Each kind of guard is found, and put behind its switch without a line that moves.
func TestFindGuards(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "sample.go"), []byte(sampleSource), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := findGuards(root, ".")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, g := range found {
		g.id = i + 1
		got = append(got, g.kind+" "+g.text)
	}
	want := []string{"deadline limit", "size len(body) > maxBody", "identity who != owner", "loop maxTries", "compare-and-set !ok"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	text := string(rewrite([]byte(sampleSource), found))
	for _, want := range []string{
		"WithTimeout(ctx, guardTime(1, limit))", "if guardIs(2, len(body) > maxBody) || guardIs(3, who != owner) {",
		"range guardMost(4, maxTries) {", "case guardIs(5, !ok):",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
	if strings.Count(text, "\n") != strings.Count(sampleSource, "\n") {
		t.Error("lines have moved")
	}
}

package guards

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// switches is what the guards of a package call. One of them is out in a process; which
// ones came to matter is written to a file. A guard that never holds back anything can't
// be missed by a test.
const switches = `package %s

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

var (
	guardGone, _ = strconv.Atoi(os.Getenv("GUARD_OUT"))
	guardFile    = os.Getenv("GUARD_SEEN")
	guardsSeen   sync.Map
)

func guardSeen(id int) {
	if guardFile == "" {
		return
	}
	if _, loaded := guardsSeen.LoadOrStore(id, true); loaded {
		return
	}
	f, err := os.OpenFile(guardFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(f, id)
	f.Close()
}

func guardIs(id int, held bool) bool {
	if held {
		guardSeen(id)
	}
	return held && id != guardGone
}

func guardOr(id int, held bool) bool {
	if !held {
		guardSeen(id)
	}
	return held || id == guardGone
}

func guardMost[T ~int | ~int64 | ~uint64 | ~int32](id int, n T) T {
	guardSeen(id)
	if id == guardGone {
		return n + 1<<30
	}
	return n
}

func guardTime(id int, d time.Duration) time.Duration {
	guardSeen(id)
	if id == guardGone {
		return d + 240*time.Hour
	}
	return d
}

func guardDay(id int, t time.Time) time.Time {
	guardSeen(id)
	if id == guardGone {
		return t.Add(240 * time.Hour)
	}
	return t
}

var _ = []any{guardIs, guardOr, guardMost[int], guardTime, guardDay}
`

// writeOverlay writes the files of a package with every guard behind its switch, and
// returns the file that go build -overlay reads.
func writeOverlay(root, scratch, dir string, guards []*guard) (string, error) {
	replace := map[string]string{}
	name := "main"
	byFile := map[string][]*guard{}
	for _, g := range guards {
		byFile[g.file] = append(byFile[g.file], g)
	}
	for file, list := range byFile {
		src, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		if m := regexp.MustCompile(`(?m)^package (\w+)`).FindSubmatch(src); m != nil {
			name = string(m[1])
		}
		to := filepath.Join(scratch, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(to, rewrite(src, list), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, file)] = to
	}
	to := filepath.Join(scratch, "switches.go")
	if err := os.WriteFile(to, fmt.Appendf(nil, switches, name), 0o600); err != nil {
		return "", err
	}
	replace[filepath.Join(root, dir, "zz_guards.go")] = to
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(scratch, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// rewrite puts each guard behind its switch. No line moves.
func rewrite(src []byte, guards []*guard) []byte {
	type insert struct {
		at, order int
		text      string
	}
	var list []insert
	for _, g := range guards {
		// What begins later and ends earlier is inside.
		list = append(list, insert{g.at, -g.end, fmt.Sprintf(g.before, g.id)}, insert{g.end, -g.at - 1<<30, ")"})
	}
	slices.SortStableFunc(list, func(a, b insert) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order)) })
	var out []byte
	last := 0
	for _, i := range list {
		out = append(append(out, src[last:i.at]...), i.text...)
		last = i.at
	}
	return append(out, src[last:]...)
}

var compileError = regexp.MustCompile(`(?m)([\w./-]+\.go):(\d+):`)

// without drops the guards on the lines that the compiler complains of.
func without(guards []*guard, output string) []*guard {
	bad := map[string]bool{}
	for _, m := range compileError.FindAllStringSubmatch(output, -1) {
		bad[strings.ReplaceAll(filepath.Base(m[1]), "/", "_")+":"+m[2]] = true
	}
	return slices.DeleteFunc(slices.Clone(guards), func(g *guard) bool {
		return bad[strings.ReplaceAll(g.file, "/", "_")+":"+strconv.Itoa(g.line)] || bad[filepath.Base(g.file)+":"+strconv.Itoa(g.line)]
	})
}

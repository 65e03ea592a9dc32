package access

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/logthrottle"
)

// testTokens are the tokens of the tests, by who holds them.
var testTokens = map[string]string{
	"west": "token-of-the-west-reader", "read": "token-that-only-reads", "admin": "token-of-the-administrator",
}

// newTokens has the administrator's first.
func newTokens(t *testing.T) *Tokens {
	t.Helper()
	dir := t.TempDir()
	var sources []Source
	for _, c := range []Caller{
		{Name: AdminName, Role: RoleAdmin}, {Name: "read", Role: RoleRead}, {Name: "west", Device: "west"},
	} {
		file := filepath.Join(dir, c.Name)
		if err := os.WriteFile(file, []byte(testTokens[c.Name]+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, Source{File: file, Caller: c})
	}
	tokens, err := NewTokens(sources, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// reread reads the files as Run does.
func reread(t *Tokens) {
	for _, s := range t.sources {
		sums, err := readTokens(s.File)
		t.found(s, sums, err)
	}
}

// A token that is taken out of its file is valid for five seconds at most, whether anybody
// asks meanwhile or not, and a token file that is put in its place holds within them.
func TestTokensAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = tokens.Run(ctx) }()
		defer func() { stop(); <-done }()
		file, token := tokens.sources[0].File, testTokens["admin"]
		time.Sleep(time.Hour + time.Second)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if _, ok := tokens.Who(token); ok || tokens.Lost(t.Context()) == nil {
			t.Error("five seconds after its file was deleted a token lets in")
		}
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if _, ok := tokens.Who(token); !ok || tokens.Lost(t.Context()) != nil {
			t.Error("five seconds after it is back it does not")
		}
	})
}

// A token file whose mount hangs lets nobody wait: its tokens hold for a while, and those of
// other files go on being read. Then it lets nobody in, until it can be read.
func TestTokenFileThatHangs(t *testing.T) {
	tokens := newTokens(t)
	tokens.every, tokens.within = 5*time.Millisecond, time.Second
	file, other := tokens.sources[0].File, tokens.sources[1].File
	pipe := filepath.Join(filepath.Dir(file), "pipe") // opening it waits for a writer
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(pipe, file); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	began := time.Now()
	go func() { defer close(done); _ = tokens.Run(ctx) }()
	defer func() { stop(); <-done }()
	if err := os.WriteFile(other, []byte("another-token-now"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually := func(what string, ok func() bool) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	lets := func(token string) bool { _, ok := tokens.Who(token); return ok }
	eventually("the other file is not read", func() bool { return lets("another-token-now") })
	if !lets(testTokens["admin"]) && time.Since(began) < tokens.within {
		t.Error("what was read last does not hold")
	}
	eventually("a file that can't be read goes on letting in", func() bool { return !lets(testTokens["admin"]) })
	if err := tokens.Lost(t.Context()); err == nil || !strings.Contains(err.Error(), AdminName) {
		t.Errorf("it is not told: %v", err)
	}
	w, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString(testTokens["admin"] + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(testTokens["admin"]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	eventually("a file that can be read again does not let in", func() bool { return lets(testTokens["admin"]) })
}

// A file that can't be read at the start is refused then.
func TestTokenFileAtStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none")
	if _, err := NewTokens([]Source{{File: file}}, zap.NewNop()); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
}

// Tokens that change on disk hold within seconds, in both directions.
func TestTokenChanges(t *testing.T) {
	tokens := newTokens(t)
	file := tokens.sources[0].File
	if _, ok := tokens.Who(testTokens["admin"]); !ok {
		t.Fatal("not known")
	}
	if err := os.WriteFile(file, []byte("another-token-now\n"+testTokens["admin"]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, time.Now(), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	reread(tokens)
	for _, either := range []string{testTokens["admin"], "another-token-now"} {
		if c, ok := tokens.Who(either); !ok || c.Role != RoleAdmin {
			t.Errorf("one of two doesn't hold: %+v", c)
		}
	}
	if err := os.WriteFile(file, []byte("another-token-now"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, time.Now(), time.Now().Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	reread(tokens)
	if _, ok := tokens.Who(testTokens["admin"]); ok {
		t.Error("the old token still holds")
	}
	if c, ok := tokens.Who("another-token-now"); !ok || c.Role != RoleAdmin {
		t.Errorf("the new one doesn't: %+v", c)
	}
}

// A token file that is gone, empty, unreadable or half written lets nobody in, whoever
// was signed in by it included, and it is told of once a minute. A file that is put in
// its place holds at once.
func TestTokenTakenAway(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	tokens := newTokens(t)
	file, token := tokens.sources[0].File, testTokens["admin"]
	again := func() { reread(tokens) }
	replace := func(text string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(file+".new", []byte(text), 0o600), os.Rename(file+".new", file)); err != nil {
			t.Fatal(err)
		}
		again()
	}
	for name, take := range map[string]func() error{
		"gone":              func() error { return os.Remove(file) },
		"empty":             func() error { return os.Truncate(file, 0) },
		"blank":             func() error { return os.WriteFile(file, []byte("\n \n"), 0o600) },
		"half written":      func() error { return os.WriteFile(file, []byte(token[:MinToken-1]), 0o600) },
		"a folder":          func() error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) },
		"a link to nowhere": func() error { return errors.Join(os.Remove(file), os.Symlink(file+".none", file)) },
		"far too large":     func() error { return os.WriteFile(file, bytes.Repeat([]byte(token+"\n"), maxTokens), 0o600) },
	} {
		tokens.log = logthrottle.New().Wrap(zap.New(core)) // as the daemon does
		if err := take(); err != nil {
			t.Fatal(err)
		}
		again()
		for _, shown := range []string{token, token[:MinToken-1], ""} {
			if c, ok := tokens.Who(shown); ok {
				t.Errorf("%s: %+v is let in", name, c)
			}
		}
		if tokens.holds(tagOf(token)) {
			t.Errorf("%s: a session goes on", name)
		}
		if _, ok := tokens.Who(testTokens["read"]); !ok {
			t.Errorf("%s: others are not let in", name)
		}
		if err := tokens.Lost(t.Context()); err == nil || !strings.Contains(err.Error(), AdminName) ||
			strings.Contains(err.Error(), "west") {
			t.Errorf("%s: %v", name, err)
		}
		for range 3 {
			again()
			tokens.Who(token)
		}
		if n := logs.FilterMessageSnippet("lets nobody in").Len(); n != 1 {
			t.Errorf("%s: told %d times within a minute", name, n)
		}
		if name == "a folder" {
			_ = os.Remove(file)
		}
		replace(token + "\n")
		if _, ok := tokens.Who(token); !ok || tokens.Lost(t.Context()) != nil {
			t.Errorf("%s: the file that is back doesn't hold", name)
		}
		logs.TakeAll()
	}
	// A file of the same age and length is another all the same.
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.ToUpper(token)
	replace(other + "\n")
	if err := os.Chtimes(file, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	if _, ok := tokens.Who(token); ok {
		t.Error("the old token still holds")
	}
	if _, ok := tokens.Who(other); !ok {
		t.Error("the new one doesn't")
	}
}

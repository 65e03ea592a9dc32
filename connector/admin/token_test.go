package admin

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// reread reads the files as Run does.
func reread(t *Tokens) {
	for _, s := range t.sources {
		sums, err := readTokens(s.file)
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
		file, token := tokens.sources[0].file, testTokens["admin"]
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
	file, other := tokens.sources[0].file, tokens.sources[1].file
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
	if _, err := NewTokens(Config{TokenFile: file}, nil, zap.NewNop()); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
}

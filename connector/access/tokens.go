package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/recovery"
	"pullprint/trigger/secretfile"
)

// rereadTokens is how often the token files are read again: a token that was taken out of
// its file is valid for 5 s at most, the reading included.
const rereadTokens = 4 * time.Second

// tokensWithin is how long reading a token file may take before the file counts as
// unreadable, as on a mount that hangs. Until then the tokens that were read last are valid: a
// mount usually comes back from a server's restart within that time, and people go on printing.
const tokensWithin = time.Minute

// MinToken is how many characters a token has at least: a file that is being written may
// end in the middle of one, and what is shorter can be guessed.
const MinToken = 16

// maxTokens is how many bytes of a file of tokens are read: more than a thousand tokens have.
const maxTokens = 64 << 10

// Tokens knows bearer tokens from files that Run reads again every few seconds: a new token
// needs no restart. Each line of a file is a token, so that the old one stays valid until its
// users have the new one. A file that is gone, empty or unreadable lets nobody in: removing
// it revokes its tokens. No caller waits for a file to be read.
type Tokens struct {
	sources []*source
	log     *zap.Logger

	every, within time.Duration // rereadTokens and tokensWithin, but for tests
}

// Source is a file of tokens and whom they let in.
type Source struct {
	File string
	Caller
}

// source is a Source with what its file holds.
type source struct {
	Source
	now atomic.Pointer[tokenFile]
}

// tokenFile is what a file had when it was last read.
type tokenFile struct {
	sums [][sha256.Size]byte
	lost bool // it lets nobody in
}

// NewTokens reads the files. One that can't be used is an error: it is a mistake in the
// configuration, while later it may be a token that was taken away.
func NewTokens(from []Source, log *zap.Logger) (*Tokens, error) {
	t := &Tokens{log: log.Named("admin"), every: rereadTokens, within: tokensWithin}
	for _, f := range from {
		sums, err := readTokens(f.File)
		if err != nil {
			return nil, err
		}
		s := &source{Source: f}
		s.now.Store(&tokenFile{sums: sums})
		t.sources = append(t.sources, s)
	}
	return t, nil
}

// readTokens are the hashes of the tokens in a file.
func readTokens(file string) (sums [][sha256.Size]byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read token: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokens+1))
	if err != nil {
		return nil, fmt.Errorf("read token: %w", err)
	}
	if len(text) > maxTokens {
		return nil, fmt.Errorf("read token: %s has more than %d bytes", file, maxTokens)
	}
	if _, err := secretfile.Text(text); err != nil {
		return nil, fmt.Errorf("read token: %s: %w", file, err)
	}
	for _, value := range TokensIn(string(text)) {
		if len(value) >= MinToken {
			sums = append(sums, sha256.Sum256([]byte(value)))
		}
	}
	if sums == nil {
		return nil, fmt.Errorf("read token: %s holds no token of %d characters or more", file, MinToken)
	}
	return sums, nil
}

// TokensIn are the tokens in the text of a file, one a line; the first is the one that
// this machine uses itself.
func TokensIn(text string) (list []string) {
	for line := range strings.Lines(text) {
		if line = secretfile.Trim(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// Run reads the files again every few seconds until ctx ends. Each has a goroutine, so that
// one on a mount that hangs does not keep the others from being read.
func (t *Tokens) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range t.sources {
		all.Go(func() { t.follow(ctx, s) })
	}
	all.Wait()
	<-ctx.Done() // no file is no reason to end
	return nil
}

// follow reads one file every few seconds. A read that hangs can't be stopped: it is left
// behind when ctx ends, and the next does not begin before it has returned.
func (t *Tokens) follow(ctx context.Context, s *source) {
	tick := time.NewTicker(t.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		done := make(chan error, 1)
		var sums [][sha256.Size]byte
		go func() {
			done <- recovery.Catch(func() (err error) {
				sums, err = readTokens(s.File)
				return err
			})
		}()
		hangs := time.NewTimer(t.within)
		for read := false; !read; {
			select {
			case <-ctx.Done():
				hangs.Stop()
				return
			case <-hangs.C:
				t.found(s, nil, fmt.Errorf("read token: %s is not read within %s: does its mount hang?", s.File, t.within))
			case err := <-done:
				t.found(s, sums, err)
				read = true
			}
		}
		hangs.Stop()
	}
}

// found puts into force what was found in a file.
func (t *Tokens) found(s *source, sums [][sha256.Size]byte, err error) {
	switch {
	case err != nil:
		t.log.Warn("token file lets nobody in", zap.String("name", s.Name), zap.Error(err))
		sums = nil
	case s.now.Load().lost:
		t.log.Info("token file can be used again", zap.String("name", s.Name), zap.String("file", s.File))
	}
	s.now.Store(&tokenFile{sums: sums, lost: err != nil})
}

// Lost is an error that lists the tokens whose files can't be used; nil when all can.
func (t *Tokens) Lost(context.Context) error {
	var names []string
	for _, s := range t.sources {
		if s.now.Load().lost {
			names = append(names, s.Name)
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("nobody is let in as %s: the token file is gone, empty or can't be read", strings.Join(names, ", "))
}

// tagOf identifies a token in a session, which ends with it. The token can't be derived from
// its tag.
func tagOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return tag(sum)
}

func tag(sum [sha256.Size]byte) string {
	again := sha256.Sum256(append([]byte("session of "), sum[:]...))
	return hex.EncodeToString(again[:])
}

// holds reports whether the token of a tag is one that is known now.
func (t *Tokens) holds(want string) bool {
	for _, s := range t.sources {
		for _, known := range s.now.Load().sums {
			if tag(known) == want {
				return true
			}
		}
	}
	return false
}

// Who returns the caller that a token is of. It takes as long for a wrong token as for a
// right one.
func (t *Tokens) Who(token string) (Caller, bool) {
	sum := sha256.Sum256([]byte(token))
	var who Caller
	found := 0
	for _, s := range t.sources {
		for _, known := range s.now.Load().sums {
			if subtle.ConstantTimeCompare(sum[:], known[:]) == 1 {
				who, found = s.Caller, 1
			}
		}
	}
	return who, found == 1 && token != ""
}

// Bearer is the token of an Authorization header; empty when it has none.
func Bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

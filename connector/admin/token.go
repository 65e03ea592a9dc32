package admin

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
	"time"

	"go.uber.org/zap"

	"pullprint/connector"
	"pullprint/trigger/graph/auth"
)

// rereadTokens is how often the token files are read again: that long a token that was
// taken out of its file is valid.
const rereadTokens = 5 * time.Second

// MinToken is how long a token has to be: a file that is being written may end in the
// middle of one, and what is shorter can be guessed.
const MinToken = 16

// maxTokens is more than a file of tokens has.
const maxTokens = 64 << 10

// Caller is who asks.
type Caller struct {
	// Name is the token's, for the audit; of a reader, its device.
	Name string
	// Role is empty for a reader.
	Role Role
	// Device is the only device at which a reader may show badges.
	Device string
}

// may reports whether a caller's role reaches need.
func (c Caller) may(need Role) bool {
	rank := map[Role]int{RoleRead: 1, RoleOperate: 2, RoleAdmin: 3}
	return c.Role != "" && rank[c.Role] >= rank[need]
}

// Tokens knows bearer tokens, by files that are read again every few seconds: a new
// token needs no restart. Each line of a file is one, so that the old one holds until
// whoever uses it has the new one. A file that is gone, empty or unreadable lets
// nobody in: taking it away is how a token is revoked.
type Tokens struct {
	sources []source
	log     *zap.Logger

	mu    sync.Mutex
	known map[string][][sha256.Size]byte // by file
	lost  map[string]bool                // by file: those that let nobody in
	asked time.Time
}

type source struct {
	file string
	Caller
}

// NewTokens reads the files of the API's tokens and of the devices'.
func NewTokens(c Config, devices []connector.Device, log *zap.Logger) (*Tokens, error) {
	t := &Tokens{log: log.Named("admin"), known: map[string][][sha256.Size]byte{}, lost: map[string]bool{}}
	add := func(file string, c Caller) {
		if file != "" {
			t.sources = append(t.sources, source{file, c})
		}
	}
	add(c.TokenFile, Caller{Name: AdminName, Role: RoleAdmin})
	for _, k := range c.Tokens {
		add(k.File, Caller{Name: k.Name, Role: k.Role})
	}
	for _, d := range devices {
		add(d.TokenFile, Caller{Name: d.ID, Device: d.ID})
	}
	for _, s := range t.sources {
		sums, err := readTokens(s.file)
		if err != nil {
			return nil, err
		}
		t.known[s.file] = sums
	}
	t.asked = time.Now()
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
	if _, err := auth.SecretText(text); err != nil {
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
		if line = auth.TrimSecret(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// refresh reads the files again when it is time. mu is held.
func (t *Tokens) refresh() {
	if time.Since(t.asked) <= rereadTokens {
		return
	}
	t.asked = time.Now()
	for _, s := range t.sources {
		sums, err := readTokens(s.file)
		switch {
		case err != nil:
			t.log.Warn("token file lets nobody in", zap.String("name", s.Name), zap.Error(err))
		case t.lost[s.file]:
			t.log.Info("token file can be used again", zap.String("name", s.Name), zap.String("file", s.file))
		}
		t.lost[s.file] = err != nil
		t.known[s.file] = sums
	}
}

// Lost says which tokens let nobody in, as their files can't be used; nil when all can.
func (t *Tokens) Lost(context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh()
	var names []string
	for _, s := range t.sources {
		if t.lost[s.file] {
			names = append(names, s.Name)
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("nobody is let in as %s: the token file is gone, empty or can't be read", strings.Join(names, ", "))
}

// tagOf names a token in a session, which ends with it; the token can't be had
// from it.
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
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh()
	for _, s := range t.sources {
		for _, known := range t.known[s.file] {
			if tag(known) == want {
				return true
			}
		}
	}
	return false
}

// Who says whose a token is. It takes as long for a wrong one as for a right
// one.
func (t *Tokens) Who(token string) (Caller, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh()
	sum := sha256.Sum256([]byte(token))
	var who Caller
	found := 0
	for _, s := range t.sources {
		for _, known := range t.known[s.file] {
			if subtle.ConstantTimeCompare(sum[:], known[:]) == 1 {
				who, found = s.Caller, 1
			}
		}
	}
	return who, found == 1 && token != ""
}

// bearer is the token of an Authorization header.
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

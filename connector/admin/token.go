package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"pullprint/connector"
)

// rereadTokens is how old what is known of the token files may be.
const rereadTokens = 5 * time.Second

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

// Tokens knows bearer tokens, by files that are read again when they change: a
// new token needs no restart. Each line of a file is one, so that the old one holds
// until whoever uses it has the new one.
type Tokens struct {
	sources []source
	log     *zap.Logger

	mu    sync.Mutex
	known map[string]knownToken // by file
	asked time.Time
}

type source struct {
	file string
	Caller
}

type knownToken struct {
	sums    [][sha256.Size]byte
	changed time.Time
}

// NewTokens reads the files of the API's tokens and of the devices'.
func NewTokens(c Config, devices []connector.Device, log *zap.Logger) (*Tokens, error) {
	t := &Tokens{log: log.Named("admin"), known: map[string]knownToken{}}
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
		if err := t.read(s.file); err != nil {
			return nil, err
		}
	}
	t.asked = time.Now()
	return t, nil
}

func (t *Tokens) read(file string) error {
	st, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("read token: %w", err)
	}
	if known, ok := t.known[file]; ok && known.changed.Equal(st.ModTime()) {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read token: %w", err)
	}
	known := knownToken{changed: st.ModTime()}
	for _, value := range TokensIn(string(text)) {
		known.sums = append(known.sums, sha256.Sum256([]byte(value)))
	}
	if known.sums == nil {
		return fmt.Errorf("read token: %s is empty", file)
	}
	t.known[file] = known
	return nil
}

// TokensIn are the tokens in the text of a file, one a line; the first is the one that
// this machine uses itself.
func TokensIn(text string) (list []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
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
		if err := t.read(s.file); err != nil {
			t.log.Warn("token file not read again, the old token holds", zap.Error(err))
		}
	}
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
		for _, known := range t.known[s.file].sums {
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
		for _, known := range t.known[s.file].sums {
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

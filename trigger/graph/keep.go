package graph

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/oauth2"

	"pullprint/trigger/graph/transport"
)

// Keep says where the sign-in of a person is kept, so that a daemon can act for
// them: their refresh token, encrypted. Whoever has both files can do what that
// person consented to, until an administrator revokes it.
type Keep struct {
	// SignInFile holds the token, encrypted; it is written anew whenever Entra gives
	// another, so its folder has to be writable.
	SignInFile string `yaml:"sign_in_file"`
	// KeyFile holds the key, 32 bytes in base64 as of `openssl rand -base64 32`.
	KeyFile string `yaml:"key_file"`
}

// Configured reports whether a sign-in may be kept.
func (k Keep) Configured() bool { return k.SignInFile != "" }

// ErrNotKept says that nobody's sign-in is kept.
var ErrNotKept = errors.New("no sign-in is kept")

const (
	keptMark = "pullprint-sign-in-1 "
	keyBytes = 32
	maxKept  = 64 << 10
)

// Check reads the key, which says all that can be wrong before there is a sign-in.
func (k Keep) Check() error {
	_, err := k.cipher()
	return err
}

func (k Keep) cipher() (cipher.AEAD, error) {
	text, err := readSecret("the key of the kept sign-in", "administrator.key_file", k.KeyFile, maxSecret)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != keyBytes {
		return nil, errors.New("administrator.key_file holds no key: make one with `openssl rand -base64 32`")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errInvalid
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// of binds what is kept to the tenant and the app that it is of.
func (k Keep) of(cfg *Config) []byte {
	return []byte(keptMark + strings.ToLower(cfg.TenantID+" "+cfg.Auth.ClientID))
}

// read is the refresh token that is kept. An error never tells what is in a file.
func (k Keep) read(cfg *Config) (string, error) {
	raw, err := os.ReadFile(k.SignInFile)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", ErrNotKept
	case err != nil:
		return "", fmt.Errorf("read the kept sign-in: %w", err)
	}
	aead, err := k.cipher()
	if err != nil {
		return "", err
	}
	text, marked := strings.CutPrefix(string(bytes.TrimSpace(raw)), keptMark)
	sealed, err := base64.StdEncoding.DecodeString(text)
	if !marked || err != nil || len(raw) > maxKept {
		return "", errors.New("administrator.sign_in_file holds no kept sign-in: delete it, and sign in again with `pullprint register plan --keep`")
	}
	plain, err := aead.Open(nil, nil, sealed, k.of(cfg))
	if err != nil {
		return "", errors.New("the kept sign-in can't be opened: administrator.key_file is not the key that it was kept under, or it is of another tenant or app; delete administrator.sign_in_file, and sign in again with `pullprint register plan --keep`")
	}
	return string(plain), nil
}

// write keeps a refresh token. The file is replaced as a whole, and belongs to
// whom its folder belongs: root registers, and the daemon reads.
func (k Keep) write(cfg *Config, token string) error {
	aead, err := k.cipher()
	if err != nil {
		return err
	}
	dir := filepath.Dir(k.SignInFile)
	f, err := os.CreateTemp(dir, ".sign-in-*") // mode 0600
	if err != nil {
		return fmt.Errorf("keep the sign-in: the folder of administrator.sign_in_file has to be there and writable: %w", err)
	}
	defer os.Remove(f.Name())                                                                                                  //nolint:errcheck // renamed when all went well
	_, err = f.WriteString(keptMark + base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, []byte(token), k.of(cfg))) + "\n") //nolint:gosec // the AEAD draws a nonce of its own
	err = errors.Join(err, own(f, dir), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), k.SignInFile)
	}
	if err != nil {
		return fmt.Errorf("keep the sign-in: %w", err)
	}
	return nil
}

// own gives a file that root makes to the owner of its folder.
func own(f *os.File, dir string) error {
	st, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(s.Uid), int(s.Gid))
	}
	return nil
}

// Forget deletes the kept sign-in; that there is none is no error. Entra goes on to
// honour it until it is revoked there.
func (k Keep) Forget() error {
	if err := os.Remove(k.SignInFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget the kept sign-in: %w", err)
	}
	return nil
}

// KeepSignIn keeps the sign-in of the person that this Client acts for, now and
// whenever Entra renews it. It is for a Client of SignInPerson.
func (c *Client) KeepSignIn(k Keep) error {
	p, ok := c.tokens.(*person)
	if !ok {
		return errors.New("nobody signed in")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.token.RefreshToken == "" {
		return errors.New("entra gave no refresh token: the tenant does not let sign-ins be kept")
	}
	p.keep = k
	return k.write(&p.cfg, p.token.RefreshToken)
}

// ResumePerson gives a Client that acts for the person whose sign-in is kept, with
// those delegated permissions. The error is ErrNotKept, an *AuthError when Entra
// does not honour it any more, or one of the files.
func ResumePerson(ctx context.Context, cfg Config, o Options, rights []string, k Keep) (*Client, error) {
	c, p, err := blankPerson(cfg, o, rights)
	if err != nil {
		return nil, err
	}
	refresh, err := k.read(&cfg)
	if err != nil {
		return nil, err
	}
	p.keep, p.token = k, &oauth2.Token{RefreshToken: refresh}
	ctx, cancel := context.WithTimeout(ctx, transport.TryTimeout)
	defer cancel()
	if _, err := p.get(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// keepAnew keeps the token that a renewal brought. That it can't is told, and costs
// nothing yet: the one that is kept serves on.
func (p *person) keepAnew() {
	if !p.keep.Configured() || p.token.RefreshToken == "" || p.token.RefreshToken == p.kept {
		return
	}
	if err := p.keep.write(&p.cfg, p.token.RefreshToken); err != nil {
		p.stale(err)
		return
	}
	p.kept = p.token.RefreshToken
}

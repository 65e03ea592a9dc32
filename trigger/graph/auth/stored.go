package auth

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"pullprint/trigger/durable"
)

// StoredSignIn says where the sign-in of a person is stored, so that a daemon can act for them:
// their refresh token, encrypted. Whoever has both files can do what that person consented to,
// until an administrator revokes it.
type StoredSignIn struct {
	// SignInFile holds the token, encrypted. It is replaced whenever Entra issues another, so
	// its folder has to be writable.
	SignInFile string `yaml:"sign_in_file"`
	// KeyFile holds the key, 32 bytes in base64, as from `openssl rand -base64 32`.
	KeyFile string `yaml:"key_file"`
}

// Configured reports whether a sign-in may be stored.
func (s StoredSignIn) Configured() bool { return s.SignInFile != "" }

// ErrNotStored says that no sign-in is stored.
var ErrNotStored = errors.New("no sign-in is kept")

const (
	storedPrefix = "pullprint-sign-in-1 " // of the file, with the version of its format
	keyBytes     = 32                     // AES-256
	maxStored    = 64 << 10               // bytes; refresh tokens have some kB
)

// Check reads the key: all that can be wrong before a sign-in is stored.
func (s StoredSignIn) Check() error {
	_, err := s.cipher()
	return err
}

func (s StoredSignIn) cipher() (cipher.AEAD, error) {
	text, err := readSecret("the key of the kept sign-in", "administrator.key_file", s.KeyFile, maxSecret)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != keyBytes {
		return nil, errors.New("administrator.key_file holds no key: make one with `openssl rand -base64 32`")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("the key of the kept sign-in: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// binding is authenticated with the stored token, so that it can be decrypted only for this
// tenant and app.
func binding(tenant, client string) []byte {
	return []byte(storedPrefix + strings.ToLower(tenant+" "+client))
}

// read returns the stored refresh token. No error repeats what is in a file.
func (s StoredSignIn) read(bound []byte) (string, error) {
	raw, err := os.ReadFile(s.SignInFile)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", ErrNotStored
	case err != nil:
		return "", fmt.Errorf("read the kept sign-in: %w", err)
	}
	aead, err := s.cipher()
	if err != nil {
		return "", err
	}
	text, marked := strings.CutPrefix(string(bytes.TrimSpace(raw)), storedPrefix)
	sealed, err := base64.StdEncoding.DecodeString(text)
	if !marked || err != nil || len(raw) > maxStored {
		return "", errors.New("administrator.sign_in_file holds no kept sign-in: delete it, and sign in again with " +
			"`pullprint register plan --keep`")
	}
	plain, err := aead.Open(nil, nil, sealed, bound)
	if err != nil {
		return "", errors.New("the kept sign-in can't be opened: administrator.key_file is not the key that it was kept " +
			"under, or it is of another tenant or app; delete administrator.sign_in_file, and sign in again with `pullprint " +
			"register plan --keep`")
	}
	return string(plain), nil
}

// write stores a refresh token. It replaces the whole file, and gives it to the owner of its
// folder: root registers, and the daemon reads.
func (s StoredSignIn) write(bound []byte, token string) error {
	aead, err := s.cipher()
	if err != nil {
		return err
	}
	sealed := aead.Seal(nil, nil, []byte(token), bound) //nolint:gosec // the AEAD draws a nonce of its own
	text := storedPrefix + base64.StdEncoding.EncodeToString(sealed) + "\n"
	if err := durable.Write(s.SignInFile, []byte(text), durable.OwnerOfFolder); err != nil {
		return fmt.Errorf("keep the sign-in: the folder of administrator.sign_in_file has to be there and writable: %w", err)
	}
	return nil
}

// Forget removes the stored sign-in; it is no error if there is none. Entra accepts it until it
// is revoked there.
func (s StoredSignIn) Forget() error {
	if err := os.Remove(s.SignInFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget the kept sign-in: %w", err)
	}
	return nil
}

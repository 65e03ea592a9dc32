package badge

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// minKey is the least length of a key in bytes.
const minKey = 32

// howKey says what to do about a bad key file.
const howKey = "make one with: openssl rand -base64 32 > FILE"

// ErrKeyFile says that a key file can't be used. It quotes nothing of it.
var ErrKeyFile = errors.New("the badge key file can't be used")

// KeyFileError says what is wrong with a key file, and what to do. It quotes nothing of it.
type KeyFileError struct{ Message, Hint string }

// Error implements error.
func (e *KeyFileError) Error() string {
	return fmt.Sprintf("%v: %s; %s", ErrKeyFile, e.Message, e.Hint)
}

// Unwrap is ErrKeyFile.
func (e *KeyFileError) Unwrap() error { return ErrKeyFile }

// Keys are the keys of the hash: the first makes the hashes of new badges, the
// others still find those of old ones. They never leave this package.
type Keys struct{ list []key }

type key struct {
	id     string
	secret []byte
}

// ParseKeys reads the content of a key file: a key a line, at least 32 bytes in
// base64 or hexadecimal; the first is the current one. To change keys, put a new
// line on top and leave the old one until every badge was shown or enrolled once
// more. Empty lines and those that begin with # are skipped. An error is a *KeyFileError.
func ParseKeys(src []byte) (Keys, error) {
	if bytes.IndexByte(src, 0) >= 0 {
		return Keys{}, &KeyFileError{"it is written in UTF-16 or has NUL characters", "save it as UTF-8"}
	}
	var k Keys
	n := 0
	for line := range bytes.Lines(src) {
		n++
		line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\ufeff")))
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		secret, err := hex.DecodeString(string(line))
		if err != nil {
			secret, err = base64.StdEncoding.DecodeString(string(line))
		}
		if err != nil || len(secret) < minKey {
			return Keys{}, &KeyFileError{
				fmt.Sprintf("line %d is no key of %d bytes or more in base64 or hexadecimal", n, minKey), howKey,
			}
		}
		id := newKey(secret)
		if slices.ContainsFunc(k.list, func(o key) bool { return o.id == id.id }) {
			return Keys{}, &KeyFileError{fmt.Sprintf("line %d has a key that an earlier line has", n), "remove it"}
		}
		k.list = append(k.list, id)
	}
	if len(k.list) == 0 {
		return Keys{}, &KeyFileError{"there is no key in it", howKey}
	}
	return k, nil
}

func newKey(secret []byte) key {
	sum := sha256.Sum256(append([]byte("pullprint badge key id\x00"), secret...))
	return key{hex.EncodeToString(sum[:4]), secret}
}

// IDs are the names of the keys, the current one first. They tell nothing of a
// key.
func (k Keys) IDs() []string {
	ids := make([]string, len(k.list))
	for i, key := range k.list {
		ids[i] = key.id
	}
	return ids
}

// hash is the keyed hash of something that is used for a purpose.
func (k key) hash(purpose, text string) string {
	mac := hmac.New(sha256.New, k.secret)
	mac.Write([]byte("pullprint " + purpose + "\x00" + text))
	return hex.EncodeToString(mac.Sum(nil))
}

// DerivedKey is a secret that was made of a key of the file for another purpose; the key can't be
// found from it.
type DerivedKey struct {
	// ID is that of the key it was made of.
	ID     string
	Secret []byte
}

// Derived are a secret of each key for a purpose, the current one first.
func (k Keys) Derived(purpose string) []DerivedKey {
	derived := make([]DerivedKey, len(k.list))
	for i, key := range k.list {
		mac := hmac.New(sha256.New, key.secret)
		mac.Write([]byte("pullprint derived\x00" + purpose))
		derived[i] = DerivedKey{key.id, mac.Sum(nil)}
	}
	return derived
}

// markLength is how many hexadecimal digits of a keyed hash make a mark: 48 bits,
// so that two of a few hundred are the same once in a thousand million times.
const markLength = 12

// GuessTag names something that somebody tried, as a number that is not enrolled or a
// wrong code, so that it is known again: by all who have the same first key, and
// without telling what it was.
func (reg *Registry) GuessTag(text string) string {
	return reg.keys.list[0].hash("tried", text)[:markLength]
}

// DeviceTags are keyed hashes of a text that a device of ours shows to people: by the current key, then by
// the others. Whoever shows one knows the text and has it from us.
func (reg *Registry) DeviceTags(text string) []string {
	tags := make([]string, len(reg.keys.list))
	for i, key := range reg.keys.list {
		tags[i] = key.hash("device", text)
	}
	return tags
}

package access

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"pullprint/connector/store"
)

// sealKey is where the key of the cookies is stored, which all replicas share.
const sealKey = "sign-in.key"

// sealer encrypts and authenticates what a browser keeps for us.
type sealer struct {
	store KV

	mu   sync.Mutex // guards aead
	aead cipher.AEAD
}

// seal is a pending sign-in for a cookie.
func (s *sealer) seal(ctx context.Context, p pending) (string, error) {
	aead, err := s.key(ctx, false)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encode sign-in: %w", err)
	}
	sealed := aead.Seal(nil, nil, raw, []byte(pendingCookie)) //nolint:gosec // it makes the nonce itself
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// open is the pending sign-in of a cookie; ok is false when it is none that still goes on. The key is
// read again for one that does not fit: the store may have been restored.
func (s *sealer) open(ctx context.Context, cookie string) (p pending, ok bool, err error) {
	for _, again := range []bool{false, true} {
		aead, err := s.key(ctx, again)
		if err != nil {
			return p, false, err
		}
		if p, ok = unseal(aead, cookie); ok {
			return p, time.Now().Before(p.Until), nil
		}
	}
	return pending{}, false, nil
}

// unseal is the pending sign-in of a cookie; ok is false when it was sealed with another key, or by nobody.
func unseal(aead cipher.AEAD, cookie string) (p pending, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		return p, false
	}
	raw, err := aead.Open(nil, nil, sealed, []byte(pendingCookie))
	return p, err == nil && json.Unmarshal(raw, &p) == nil
}

// key is the key of all replicas; the first that needs it makes it.
func (s *sealer) key(ctx context.Context, again bool) (cipher.AEAD, error) {
	s.mu.Lock()
	known := s.aead
	s.mu.Unlock()
	if known != nil && !again {
		return known, nil
	}
	for range store.MaxConflicts {
		raw, revision, err := s.store.Get(ctx, sealKey)
		if err != nil {
			return nil, fmt.Errorf("read key of sign-ins: %w", err)
		}
		if revision != 0 {
			return s.use(raw)
		}
		var made [32]byte
		rand.Read(made[:])
		if _, _, err := s.store.CompareAndSet(ctx, sealKey, made[:], 0, 0); err != nil {
			return nil, fmt.Errorf("store key of sign-ins: %w", err)
		} // whether this one is stored or another replica's: the next turn reads it
	}
	return nil, fmt.Errorf("store key of sign-ins: %w", store.ErrConflicts)
}

func (s *sealer) use(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("key of sign-ins: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("key of sign-ins: %w", err)
	}
	s.mu.Lock()
	s.aead = aead
	s.mu.Unlock()
	return aead, nil
}

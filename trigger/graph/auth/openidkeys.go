package auth

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Bounds of the keys that are taken. Entra has seven of 2,048 bits; a signature takes milliseconds to
// check with one of 8,192, and minutes with one that fills an answer.
const (
	maxKeys    = 32
	minKeyBits = 2048 // RFC 7518, 3.3
	maxKeyBits = 8192 // as crypto/tls takes
)

// errNoKeys says that the keys could not be read.
var errNoKeys = errors.New("the keys of id tokens can't be read")

// keySet checks the signature of one id token. It is not go-oidc's own, which reads the keys in a
// goroutine that a panic would end the process in, takes keys of any length, and does not tell keys
// that can't be read from those that do not fit.
type keySet struct {
	openID   *OpenID
	provider *provider
	failed   error // why the keys could not be read; nil if they were
}

// VerifySignature implements oidc.KeySet. Keys are read anew for a signature that none of those fits
// that are known: Entra changes them at any time
// (https://learn.microsoft.com/entra/identity-platform/signing-key-rollover).
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	if known := k.provider.known.Load(); known != nil {
		if payload, err := known.VerifySignature(ctx, token); err == nil {
			return payload, nil
		}
	}
	began := time.Now()
	found, err := k.fetch(ctx)
	if err != nil {
		k.failed = k.openID.failed(err, began)
		return nil, errNoKeys
	}
	k.provider.known.Store(found)
	return found.VerifySignature(ctx, token)
}

// fetch reads the keys.
func (k *keySet) fetch(ctx context.Context) (*oidc.StaticKeySet, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.provider.keys, nil)
	if err != nil {
		return nil, err
	}
	res, err := k.openID.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body) // bounded by answers
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, &oauth2.RetrieveError{Response: res}
	}
	return parseKeys(body)
}

// parseKeys are the keys of an answer that can sign an id token: Entra signs by RS256.
func parseKeys(body []byte) (*oidc.StaticKeySet, error) {
	var answer struct {
		Keys []struct {
			Type     string `json:"kty"`
			Modulus  string `json:"n"`
			Exponent string `json:"e"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	var set oidc.StaticKeySet
	for _, k := range answer.Keys {
		n, e := number(k.Modulus), number(k.Exponent)
		fits := k.Type == "RSA" && n.BitLen() >= minKeyBits && n.BitLen() <= maxKeyBits && e.BitLen() < 32
		if fits && len(set.PublicKeys) < maxKeys {
			set.PublicKeys = append(set.PublicKeys, &rsa.PublicKey{N: n, E: int(e.Int64())})
		}
	}
	return &set, nil
}

// number is a number of a key (RFC 7518, 2); 0 for what is none.
func number(text string) *big.Int {
	raw, _ := base64.RawURLEncoding.DecodeString(text)
	return new(big.Int).SetBytes(raw)
}

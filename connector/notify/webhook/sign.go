package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What a file of secrets has (Standard Webhooks 1.0.0, "Signature scheme").
const (
	secretPrefix = "whsec_"
	minSecret    = 24
	maxSecret    = 64
	// maxSecrets is the new one, the old one, and one more for a change that went wrong.
	maxSecrets = 3
)

// Secrets are the keys that sign.
type Secrets [][]byte

// ReadSecrets reads the text of a file: whsec_ and 24 to 64 bytes in base64, on one line. While a
// secret is changed the file has the new one and the old one, each on its line: both sign, and the
// receiver may know either. No error repeats what is in the text.
func ReadSecrets(text string) (Secrets, error) {
	var list Secrets
	for i, word := range strings.Fields(text) {
		encoded, ok := strings.CutPrefix(word, secretPrefix)
		key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
		switch {
		case !ok:
			return nil, fmt.Errorf("secret %d does not begin with %s", i+1, secretPrefix)
		case err != nil:
			return nil, fmt.Errorf("secret %d is not base64 after %s", i+1, secretPrefix)
		case len(key) < minSecret || len(key) > maxSecret:
			return nil, fmt.Errorf("secret %d has %d bytes, not %d to %d", i+1, len(key), minSecret, maxSecret)
		case i == maxSecrets:
			return nil, fmt.Errorf("there are more than %d secrets", maxSecrets)
		}
		list = append(list, key)
	}
	if len(list) == 0 {
		return nil, errors.New("there is no secret")
	}
	return list, nil
}

// sign puts the headers of Standard Webhooks into h: one signature of each secret.
func (s Secrets) sign(h http.Header, id string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	var signatures []string
	for _, key := range s {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + stamp + "."))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", stamp)
	h.Set("Webhook-Signature", strings.Join(signatures, " "))
}

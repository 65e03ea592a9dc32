package secretfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What editors leave around a secret is no part of it; UTF-16 is named.
func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"s3cret": "s3cret", "s3cret\r\n": "s3cret", "\ufeffs3cret\n": "s3cret", " \ufeff s3cret\u200b\u2060\u00a0\n": "s3cret", "": "",
		"a b": "a b",
	} {
		if got, err := Text([]byte(in)); err != nil || got != want {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for _, in := range []string{"\xff\xfes\x003\x00", "\xfe\xff\x00s\x003", "s\x003\x00"} {
		if got, err := Text([]byte(in)); !errors.Is(err, ErrUTF16) || got != "" {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
}

// A certificate and a key are read as secrets are; a mark between two certificates hides
// none.
func TestKeyPair(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)},
		&x509.Certificate{}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	cert := "\ufeff" + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	keyFile := put("key", "\ufeff"+string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	if pair, err := KeyPair(put("cert", cert+cert), keyFile); err != nil || len(pair.Certificate) != 2 {
		t.Errorf("%d certificates, %v", len(pair.Certificate), err)
	}
	if _, err := KeyPair(put("wide", "\xff\xfe-\x00"), keyFile); !errors.Is(err, ErrUTF16) || !strings.Contains(err.Error(), "wide") {
		t.Error(err)
	}
	if _, err := KeyPair(filepath.Join(dir, "none"), keyFile); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

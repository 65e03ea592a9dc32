package auth

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

// ErrUTF16 says that an editor wrote a file in an encoding that no secret is read in.
var ErrUTF16 = errors.New("it is written in UTF-16 or has NUL characters; save it as UTF-8, as with `Set-Content " +
	"-Encoding utf8NoBOM -NoNewline`")

// SecretText is the secret in a file: without a byte order mark, and without the white
// space and the characters that nobody sees around it, which editors and the clipboard
// leave there. Every secret and token that is read from a file goes through it. The
// error is ErrUTF16 and tells nothing of the content.
func SecretText(raw []byte) (string, error) {
	if bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) ||
		bytes.IndexByte(raw, 0) >= 0 {
		return "", ErrUTF16
	}
	return TrimSecret(string(raw)), nil
}

// SecretFile is SecretText of a file, which an error names.
func SecretFile(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	text, err := SecretText(raw)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return text, nil
}

// PEMFile reads certificates or a key in PEM. A byte order mark in the middle, as of
// files that were joined, hides no block either.
func PEMFile(file string) ([]byte, error) {
	text, err := SecretFile(file)
	return []byte(strings.ReplaceAll(text, "\ufeff", "")), err
}

// KeyPair is tls.LoadX509KeyPair of files that any editor may have written.
func KeyPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := PEMFile(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := PEMFile(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// TrimSecret is a line of a file with secrets as SecretText has it.
func TrimSecret(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
	})
}

// readSecret takes the one line out of a file. Errors name the file only.
func readSecret(what, key, name string, most int) (string, error) {
	if name == "" {
		return "", errors.New(key + " is not set")
	}
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	defer f.Close()
	raw := make([]byte, most+1)
	n, err := io.ReadFull(f, raw)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	text, wrong := SecretText(raw[:n])
	switch {
	case wrong != nil:
		return "", fmt.Errorf("read %s: %s: %w", what, name, wrong)
	case text == "":
		return "", fmt.Errorf("read %s: %s is empty or can't be read", what, name)
	case n > most || strings.ContainsAny(text, "\n\r") || err != nil:
		return "", fmt.Errorf("read %s: %s must hold its value and nothing else", what, name)
	}
	return text, nil
}

// maxSecret is more than a secret has, and maxToken more than a token, in bytes.
const (
	maxSecret = 4096
	maxToken  = 16 << 10
)

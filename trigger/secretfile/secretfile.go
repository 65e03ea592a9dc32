// Package secretfile reads files with secrets, keys and certificates as any editor may have
// written them.
package secretfile

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
)

// ErrUTF16 says that an editor wrote a file in an encoding that no secret is read in.
var ErrUTF16 = errors.New("it is written in UTF-16 or has NUL characters; save it as UTF-8, as with `Set-Content " +
	"-Encoding utf8NoBOM -NoNewline`")

// Text is the secret in a file: without a byte order mark, and without the white
// space and the characters that nobody sees around it, which editors and the clipboard
// leave there. Every secret and token that is read from a file goes through it. The
// error is ErrUTF16 and tells nothing of the content.
func Text(raw []byte) (string, error) {
	if bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) ||
		bytes.IndexByte(raw, 0) >= 0 {
		return "", ErrUTF16
	}
	return Trim(string(raw)), nil
}

// Read is Text of a file, which an error names.
func Read(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	text, err := Text(raw)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return text, nil
}

// PEM reads certificates or a key in PEM. A byte order mark in the middle, as of
// files that were joined, hides no block either.
func PEM(file string) ([]byte, error) {
	text, err := Read(file)
	return []byte(strings.ReplaceAll(text, "\ufeff", "")), err
}

// KeyPair is tls.LoadX509KeyPair of files that any editor may have written.
func KeyPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := PEM(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := PEM(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// Trim is a line of a file with secrets as Text has it.
func Trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
	})
}

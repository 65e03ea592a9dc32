// Package secretfile reads files with secrets, keys and certificates, whatever editor wrote
// them.
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

// ErrUTF16 says that a file is in an encoding in which secrets are not read.
var ErrUTF16 = errors.New("it is written in UTF-16 or has NUL characters; save it as UTF-8, as with `Set-Content " +
	"-Encoding utf8NoBOM -NoNewline`")

// Text returns the secret in a file, without a byte order mark and without the white space and
// invisible characters around it that editors and clipboards leave. Every secret and token from
// a file goes through it. The error is ErrUTF16 and contains nothing of the file.
func Text(raw []byte) (string, error) {
	if bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) ||
		bytes.IndexByte(raw, 0) >= 0 {
		return "", ErrUTF16
	}
	return Trim(string(raw)), nil
}

// Read is Text for a file; an error contains its name.
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

// PEM reads certificates or a key in PEM. It also removes byte order marks in the middle, as in
// files that were concatenated.
func PEM(file string) ([]byte, error) {
	text, err := Read(file)
	return []byte(strings.ReplaceAll(text, "\ufeff", "")), err
}

// KeyPair is tls.LoadX509KeyPair for files that any editor may have written.
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

// Trim removes around a line of a file with secrets what Text removes around its text.
func Trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
	})
}

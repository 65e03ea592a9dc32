package auth

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"pullprint/trigger/secretfile"
)

// readSecret returns the only line of a file. Errors contain nothing of the file but its name.
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
	text, wrong := secretfile.Text(raw[:n])
	switch {
	case wrong != nil:
		return "", fmt.Errorf("read %s: %s: %w", what, name, wrong)
	case text == "":
		return "", fmt.Errorf("read %s: %s is empty or can't be read", what, name)
	case n > most, strings.ContainsAny(text, "\n\r"), err != nil:
		return "", fmt.Errorf("read %s: %s must hold its value and nothing else", what, name)
	}
	return text, nil
}

// maxSecret is more than a secret has, and maxToken more than a token has, in bytes.
const (
	maxSecret = 4096
	maxToken  = 16 << 10
)

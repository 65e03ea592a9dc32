// Package nkey reads the files that hold the seed of a NATS user's nkey, as
// nats.nkey_file and the second half of a .creds file. It never quotes from them.
package nkey

import (
	"errors"

	"github.com/nats-io/nkeys"

	"pullprint/trigger/secretfile"
)

// ErrNoSeed: a file holds no seed.
var ErrNoSeed = errors.New("the file holds no seed of an nkey")

// Pair is the key pair of the seed in a file; the caller wipes it.
func Pair(file string) (nkeys.KeyPair, error) {
	text, err := secretfile.Read(file)
	if err != nil {
		return nil, err
	}
	pair, err := nkeys.ParseDecoratedNKey([]byte(text))
	if err != nil {
		return nil, ErrNoSeed
	}
	return pair, nil
}

// PublicKey is the public key of the user whose seed a file holds.
func PublicKey(file string) (string, error) {
	pair, err := Pair(file)
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil || !nkeys.IsValidPublicUserKey(public) {
		return "", errors.New("the file holds the seed of another kind of nkey than a user's")
	}
	return public, nil
}

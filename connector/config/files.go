package config

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pullprint/policy/strictyaml"
	"pullprint/trigger/secretfile"
)

// maxSecret is more than any secret has.
const maxSecret = 64 << 10

// secret checks a file that holds a secret; its content is never shown, nor a
// name that looks like one.
func (k *checker) secret(path, file string) {
	st, ok := k.secretStat(path, file, "write the secret's value into it, readable by pullprint only (chmod 600)")
	if !ok {
		return
	}
	if st.Size() > maxSecret {
		k.add(path, "name the file that holds the secret's value and nothing else", "%s names a file of %d bytes: %s", path,
			st.Size(), file)
		return
	}
	text, ok := k.text(path, file)
	switch {
	case !ok:
	case text == "":
		k.add(path, "write the secret's value into it", "%s names an empty file: %s", path, file)
	case path != "auth.private_key_file" && strings.ContainsAny(text, "\r\n"):
		k.add(path, "write the secret's value into it and nothing else", "%s names a file of more than one line: %s", path,
			file)
	}
	k.guarded(path, file, st)
}

// text is what is in a file with a secret or a key; ok is false when it is no text, which
// is said.
func (k *checker) text(path, file string) (text string, ok bool) {
	text, err := secretfile.Read(file)
	switch {
	case errors.Is(err, secretfile.ErrUTF16):
		k.add(path, "save it as UTF-8", "%s names a file that is not UTF-8 text: %v", path, err)
	case err != nil:
		k.unreadable(path, file, err)
	default:
		return text, true
	}
	return "", false
}

// secretText is what is in a file with a secret; ok is false when it can't be read, which is said.
func (k *checker) secretText(path, file, hint string) (text string, ok bool) {
	st, ok := k.secretStat(path, file, hint)
	if !ok {
		return "", false
	}
	k.guarded(path, file, st)
	return k.text(path, file)
}

// inFolder checks that the folder is there of something that is written.
func (k *checker) inFolder(path, file string) {
	if file != "" {
		dir := filepath.Dir(file)
		st, err := os.Stat(dir)
		k.refuse(err != nil || !st.IsDir(), path, "make that folder, writable for the user pullprint runs as",
			"%s is in no folder: %s", path, dir)
	}
}

// authority checks a file with certificates of those that are trusted.
func (k *checker) authority(path, file string) {
	if file == "" {
		return
	}
	const hint = "write the certificate of the CA there, in PEM; one in DER is converted with `openssl x509 -inform der`"
	if _, ok := k.stat(path, file, hint); !ok {
		return
	}
	if _, ok := k.text(path, file); !ok {
		return
	}
	if pem, err := secretfile.PEM(file); err != nil || !x509.NewCertPool().AppendCertsFromPEM(pem) {
		k.add(path, hint, "%s holds no certificate: %s", path, file)
	}
}

// secretStat is stat for a file that holds a secret: what may be the secret itself, in place of the
// file's name, is not shown.
func (k *checker) secretStat(path, file, hint string) (os.FileInfo, bool) {
	if secretLike(cmp.Or(k.written[file], file), k.dir) {
		k.add(path, hint+"; if the secret itself stands here, write it into a file and name that file",
			"%s names a file that does not exist; it is not shown, as it may be the secret itself", path)
		return nil, false
	}
	return k.stat(path, file, hint)
}

// guarded warns of a secret that others can read or its group can write. That
// its group reads it is how systemd and Kubernetes hand secrets out.
func (k *checker) guarded(path, file string, st os.FileInfo) {
	if st.Mode().Perm()&0o027 != 0 {
		k.c.Warnings = append(k.c.Warnings, strictyaml.Problem{
			File: file, Key: path,
			Message: fmt.Sprintf("the secret is open to others (mode %04o)", st.Mode().Perm()), Hint: "chmod 600 " + file,
		})
	}
}

func (k *checker) file(path, file, hint string) {
	if file != "" {
		k.stat(path, file, hint)
	}
}

func (k *checker) stat(path, file, hint string) (os.FileInfo, bool) {
	st, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.add(path, hint, "%s names a file that does not exist: %s", path, file)
	case err != nil:
		k.unreadable(path, file, err)
	case st.IsDir():
		k.add(path, "name the file in it", "%s names a folder: %s", path, file)
	case !st.Mode().IsRegular():
		k.add(path, "name a regular file", "%s names a pipe or a device: %s", path, file)
	default:
		f, err := os.Open(file)
		if err != nil {
			k.unreadable(path, file, err)
			return nil, false
		}
		f.Close()
		return st, true
	}
	return nil, false
}

func (k *checker) unreadable(path, file string, err error) {
	k.add(path, "make it readable for the user pullprint runs as", "%s names a file that can't be read: %s: %s", path,
		file,
		cause(err))
}

func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

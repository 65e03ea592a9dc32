package pages

import (
	"archive/zip"
	"io"
	"strings"
)

// countXPS counts the parts of a package that are fixed pages
// (ECMA-388, Open XML Paper Specification). A part may be in pieces.
func countXPS(r io.ReaderAt, size int64) (n int, err error) {
	defer func() {
		if recover() != nil { // of archive/zip, on what nobody has thought of
			n, err = 0, ErrDamaged
		}
	}()
	z, err := zip.NewReader(r, size)
	if err != nil {
		return 0, ErrDamaged
	}
	pieces := map[string]bool{}
	for _, f := range z.File {
		name := strings.ToLower(f.Name)
		if part, ok := pieceOf(name); ok {
			if strings.HasSuffix(part, ".fpage") {
				pieces[part] = true
			}
			continue
		}
		if strings.HasSuffix(name, ".fpage") {
			n++
		}
	}
	n += len(pieces)
	if n == 0 {
		return 0, ErrDamaged // a package without a page is something else
	}
	return n, nil
}

// pieceOf is the part that a piece belongs to: a.fpage/[0].piece.
func pieceOf(name string) (part string, ok bool) {
	i := strings.LastIndex(name, "/[")
	if i < 0 || !strings.HasSuffix(name, ".piece") {
		return "", false
	}
	return name[:i], true
}

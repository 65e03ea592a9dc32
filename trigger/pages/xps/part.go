package xps

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"

	"pullprint/trigger/pages/document"
)

// open returns a reader of a part.
func (z *pack) open(part string) (io.Reader, error) {
	var all []io.Reader
	list := z.items(part)
	if len(list) == 0 || len(list) > maxPieces {
		return nil, document.ErrDamaged
	}
	for _, it := range list {
		r, err := z.entry(it)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return io.MultiReader(all...), nil
}

// maxPieces limits the pieces of a part that is read. Programs that write pieces do so a few
// times per page, in parts that are not read here.
const maxPieces = 4096

// The compression methods that a package may use (ECMA-376-2, annex B).
const (
	storedEntry   = 0
	deflatedEntry = 8
)

// readable refuses an entry that is encrypted, or compressed with a method that no package
// uses.
func (it *item) readable() error {
	switch {
	case it.flags&1 != 0:
		return document.ErrEncrypted
	case it.method != storedEntry && it.method != deflatedEntry:
		return document.ErrDamaged
	}
	return nil
}

// entry returns a reader of an entry.
func (z *pack) entry(it item) (io.Reader, error) {
	if err := it.readable(); err != nil {
		return nil, err
	}
	return &lazy{open: func() (io.Reader, error) {
		var h [localSize]byte
		at := it.at + z.base
		if n, _ := z.r.ReadAt(h[:], at); n < len(h) || !bytes.HasPrefix(h[:], []byte("PK\x03\x04")) {
			return nil, document.ErrDamaged
		}
		at += localSize + int64(binary.LittleEndian.Uint16(h[26:])) + int64(binary.LittleEndian.Uint16(h[28:]))
		raw := z.b.Metered(io.NewSectionReader(z.r, at, it.packed))
		if it.method == deflatedEntry {
			return newSummed(z.b.Metered(flate.NewReader(raw)), it.size, it.sum), nil
		}
		return newSummed(raw, it.size, it.sum), nil
	}}, nil
}

// lazy opens a reader on the first Read.
type lazy struct {
	open func() (io.Reader, error)
	r    io.Reader
}

// Read implements io.Reader.
func (l *lazy) Read(p []byte) (n int, err error) {
	if l.r == nil {
		if l.r, err = l.open(); err != nil {
			l.r = nil
			return 0, err
		}
	}
	n, err = l.r.Read(p)
	if err == io.EOF { //nolint:errorlint // as io.Reader says
		l.r = ended{} // frees the memory of the decompressor
	}
	return n, err
}

type ended struct{}

// Read implements io.Reader.
func (ended) Read([]byte) (int, error) { return 0, io.EOF }

// summed reads data of known length and CRC-32, and returns ErrDamaged if either is wrong.
type summed struct {
	r    io.Reader
	left int64
	want uint32
	sum  hash.Hash32
}

func newSummed(r io.Reader, length int64, want uint32) *summed {
	return &summed{r: r, left: length, want: want, sum: crc32.NewIEEE()}
}

// Read implements io.Reader.
func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	if s.left -= int64(n); s.left < 0 || (errors.Is(err, io.EOF) && (s.left != 0 || s.sum.Sum32() != s.want)) {
		return 0, document.ErrDamaged
	}
	return n, err
}

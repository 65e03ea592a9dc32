package xps

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"pullprint/trigger/pages/document"
)

// pack is the directory of a zip file: where its parts are. It keeps hashes of the names;
// archive/zip keeps everything about each entry, many times the size of the file.
type pack struct {
	r    *document.Reader
	b    *document.Budget
	size int64
	seed maphash.Seed
	base int64 // bytes before the zip
	list []item
}

// item is an entry: a part, or a piece of one (ECMA-376-2, 8.2.3).
type item struct {
	part             uint64
	at, packed, size int64
	piece            int32 // whole if the part is not in pieces
	last             bool
	method, flags    uint16
	sum              uint32
}

const (
	itemSize = 48
	whole    = -1
	maxName  = 4096
)

// The lengths of the records of a zip file without their variable parts (PKWARE APPNOTE, 4.3).
const (
	endSize       = 22
	locatorSize   = 20
	end64Size     = 56
	directorySize = 46
	localSize     = 30
	maxComment    = 1<<16 - 1
)

func openPack(r *document.Reader, b *document.Budget, size int64) (*pack, error) {
	z := &pack{r: r, b: b, size: size, seed: maphash.MakeSeed()}
	count, length, at, err := z.end()
	if err != nil {
		return nil, err
	}
	if err := z.directory(count, length, at); err != nil {
		return nil, err
	}
	if z.second() {
		return nil, document.ErrDiffer
	}
	slices.SortStableFunc(z.list, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.part, b.part), cmp.Compare(a.piece, b.piece))
	})
	return z, nil
}

// end reads the record at the end of the file: the number of entries, and where they are. A
// file that may be two zip files, one after the other or in its comment, is refused: some
// readers use the first, others the last, others none.
func (z *pack) end() (count, length, at int64, err error) {
	buf := make([]byte, min(z.size, endSize+maxComment+locatorSize))
	n, _ := z.r.ReadAt(buf, z.size-int64(len(buf)))
	buf = buf[:n]
	i := bytes.LastIndex(buf, []byte("PK\x05\x06"))
	if i < 0 || len(buf)-i < endSize {
		return 0, 0, 0, document.ErrDamaged
	}
	le := binary.LittleEndian
	end := z.size - int64(len(buf)) + int64(i)
	b := buf[i:]
	count, length, at = int64(le.Uint16(b[10:])), int64(le.Uint32(b[12:])), int64(le.Uint32(b[16:]))
	if le.Uint16(b[4:]) != le.Uint16(b[6:]) {
		return 0, 0, 0, document.ErrDamaged // a zip file in several files
	}
	if z.earlier(buf[:i], end-int64(i)) {
		return 0, 0, 0, document.ErrDiffer
	}
	if i >= locatorSize && bytes.HasPrefix(buf[i-locatorSize:], []byte("PK\x06\x07")) {
		end = int64(le.Uint64(buf[i-locatorSize+8:])) //nolint:gosec // checked by end64
		wide, err := z.end64(end, [3]int64{count, length, at})
		if err != nil {
			return 0, 0, 0, err
		}
		count, length, at = wide[0], wide[1], wide[2]
	}
	if count < 0 || length < 0 || at < 0 || length > end || count > length/directorySize {
		return 0, 0, 0, document.ErrDamaged
	}
	// Bytes before the zip file shift all its offsets.
	if z.base = end - length - at; z.base < 0 {
		return 0, 0, 0, document.ErrDamaged
	}
	return count, length, at + z.base, nil
}

// end64 reads the record with 64-bit numbers of entries, their length and their offset. Some
// programs write it even if the short record has room for all three; they must then be equal.
func (z *pack) end64(where int64, narrow [3]int64) (wide [3]int64, err error) {
	var b [end64Size]byte
	if n, _ := z.r.ReadAt(b[:], max(where, 0)); n < len(b) || where < 0 || !bytes.HasPrefix(b[:], []byte("PK\x06\x06")) {
		return wide, document.ErrDamaged
	}
	for i := range wide {
		wide[i] = int64(binary.LittleEndian.Uint64(b[32+8*i:])) //nolint:gosec // end refuses negative ones
		if most := [3]int64{0xffff, 0xffffffff, 0xffffffff}[i]; narrow[i] != most && narrow[i] != wide[i] {
			return wide, document.ErrDiffer
		}
	}
	return wide, nil
}

// second reports whether there is another zip file before the first entry.
func (z *pack) second() bool {
	first := z.size
	for _, it := range z.list {
		first = min(first, it.at+z.base)
	}
	if first == 0 {
		return false
	}
	var head [4]byte
	if n, _ := z.r.ReadAt(head[:], 0); string(head[:n]) == "PK\x03\x04" {
		return true
	}
	buf := make([]byte, min(first, endSize+maxComment))
	n, _ := z.r.ReadAt(buf, first-int64(len(buf)))
	return z.earlier(buf[:n], first-int64(len(buf)))
}

// earlier reports whether buf, which begins at offset from, contains the end record of a zip
// file, and not only bytes that look like one.
func (z *pack) earlier(buf []byte, from int64) bool {
	le := binary.LittleEndian
	for {
		i := bytes.LastIndex(buf, []byte("PK\x05\x06"))
		if i < 0 {
			return false
		}
		b := buf[i:]
		if len(b) < endSize {
			buf = buf[:i]
			continue
		}
		length, at := int64(le.Uint32(b[12:])), int64(le.Uint32(b[16:]))
		if wide := length == 0xffffffff || at == 0xffffffff; wide || length+at <= from+int64(i) {
			return true
		}
		buf = buf[:i]
	}
}

// directory reads the entries.
func (z *pack) directory(count, length, at int64) error {
	r := newBuffered(z.b.Metered(io.NewSectionReader(z.r, at, length)))
	if err := z.b.Hold(count * itemSize); err != nil {
		return err
	}
	z.list = make([]item, 0, count)
	var name []byte
	for range count {
		var h [directorySize]byte
		if _, err := io.ReadFull(r, h[:]); err != nil || !bytes.HasPrefix(h[:], []byte("PK\x01\x02")) {
			return z.failed(err)
		}
		le := binary.LittleEndian
		n, extra, comment := int(le.Uint16(h[28:])), int(le.Uint16(h[30:])), int(le.Uint16(h[32:]))
		if n > maxName {
			return document.ErrDamaged
		}
		name = slices.Grow(name[:0], n)[:n]
		if _, err := io.ReadFull(r, name); err != nil {
			return z.failed(err)
		}
		rest := make([]byte, extra)
		if _, err := io.ReadFull(r, rest); err != nil {
			return z.failed(err)
		}
		if _, err := r.Discard(comment); err != nil {
			return z.failed(err)
		}
		it := item{
			method: le.Uint16(h[10:]), flags: le.Uint16(h[8:]), packed: int64(le.Uint32(h[20:])), size: int64(le.Uint32(h[24:])),
			at: int64(le.Uint32(h[42:])), sum: le.Uint32(h[16:]),
		}
		if !it.wide(rest) {
			return document.ErrDamaged
		}
		part, piece, last := pieceOf(string(name))
		it.part, it.piece, it.last = z.hash(part), piece, last
		z.list = append(z.list, it)
	}
	return nil
}

// wide reads the sizes that don't fit into 32 bits.
func (it *item) wide(extra []byte) bool {
	le := binary.LittleEndian
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			return true // not a field that is used
		}
		if field := extra[:n]; id == 1 {
			for _, v := range []*int64{&it.size, &it.packed, &it.at} {
				if *v != 0xffffffff {
					continue
				}
				if len(field) < 8 {
					return false
				}
				*v, field = int64(le.Uint64(field)), field[8:] //nolint:gosec // checked below
			}
		}
		extra = extra[n:]
	}
	return it.size >= 0 && it.packed >= 0 && it.at >= 0
}

// failed returns the error for a directory that can't be read.
func (z *pack) failed(err error) error {
	if document.IsFinal(err) {
		return err
	}
	return document.ErrDamaged
}

// pieceOf returns the part that an entry belongs to, and which piece of it: a.fpage/[0].piece
// is the first of a.fpage, a.fpage/[1].last.piece the second and last.
func pieceOf(name string) (part string, piece int32, last bool) {
	i := strings.LastIndex(name, "/[")
	if i < 0 {
		return name, whole, true
	}
	number, kind, ok := strings.Cut(strings.ToLower(name[i+2:]), "]")
	n, err := strconv.ParseInt(number, 10, 31)
	if !ok || err != nil || n < 0 || (kind != ".piece" && kind != ".last.piece") {
		return name, whole, true
	}
	return name[:i], int32(n), kind == ".last.piece"
}

// partName returns the name of a part in one form for all its spellings: without the first
// slash, unescaped, in lower case.
func partName(s string) string {
	s = strings.TrimLeft(strings.ReplaceAll(s, `\`, "/"), "/")
	if u, err := url.PathUnescape(s); err == nil {
		s = u
	}
	return strings.ToLower(s)
}

func (z *pack) hash(part string) uint64 { return maphash.String(z.seed, partName(part)) }

// items returns the pieces of a part in order; nil if any is missing.
func (z *pack) items(part string) []item {
	h := z.hash(part)
	i, found := slices.BinarySearchFunc(z.list, h, func(a item, h uint64) int { return cmp.Compare(a.part, h) })
	if !found {
		return nil
	}
	to := i
	for to < len(z.list) && z.list[to].part == h {
		to++
	}
	list := z.list[i:to]
	if list[0].piece == whole {
		if len(list) > 1 {
			return nil // two entries of one name: readers differ
		}
		return list
	}
	for j, it := range list {
		if int(it.piece) != j || it.last != (j == len(list)-1) {
			return nil
		}
	}
	return list
}

package disk

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/bus/schema"
	"pullprint/trigger/durable"
)

// The files of the embedded server: a stream's messages are in blocks N.blk, one record
// after the other. A record is a header of recordHeader bytes (length, sequence, time,
// length of the subject), the subject, the message's header with its length before it
// if withHeader is set in the length, the message, and a HighwayHash of all but the
// lengths. Two bits of the sequence say that the record is no message.
const (
	recordHeader  = 22
	recordHash    = 8
	recordMost    = 32 << 20
	withHeader    = 1 << 31
	sequenceFlags = 1<<62 | 1<<63
)

// compressedBlock is how a block begins that is compressed. Ours are not.
const compressedBlock = "cmp"

// Scan reads through the files of every bucket before the server does, and says
// what is damaged. The server does not: it cuts a block off where it can't read on,
// and what was stored there is gone, or back to what it was before, without a word.
//
// The end of the newest block may be a record that was being written when the machine
// lost power. That is no damage as long as the mark does not know it. The streams that
// only grow are not read: the server numbers what it lost in them, and the mark tells.
func Scan(dir string, m *Mark) ([]Loss, error) {
	found := make([][]Loss, len(schema.Streams(1)))
	var g errgroup.Group
	for i, p := range schema.Streams(1) {
		var marked uint64
		if m != nil {
			marked = m.Streams[p.Config.Name].Last
		}
		scan := scanBucket
		if schema.OnlyGrows(p.Config.Name) {
			scan = scanSequences
		}
		g.Go(func() error {
			var err error
			found[i], err = scan(dir, p.Config.Name, marked)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}

// WithMissing adds the streams whose files do not go as far as their mark, of those that
// have no loss yet.
func WithMissing(lost []Loss, dir string, m *Mark) ([]Loss, error) {
	if m == nil {
		return lost, nil
	}
	for _, p := range schema.Streams(1) {
		name := p.Config.Name
		if slices.ContainsFunc(lost, func(l Loss) bool { return l.Stream == name }) {
			continue
		}
		marked := m.Streams[name].Last
		last, err := reach(dir, name)
		if err != nil {
			return nil, err
		}
		if last < marked {
			lost = append(lost, Loss{Stream: name, Marked: marked, Found: last, Missing: marked - last})
		}
	}
	return lost, nil
}

// scanBucket is Scan for one bucket.
func scanBucket(dir, stream string, marked uint64) ([]Loss, error) {
	files, err := blocks(dir, stream)
	if err != nil || len(files) == 0 {
		return nil, err // that a bucket is gone is told by the mark
	}
	var losses []Loss
	var last uint64
	for i, file := range files {
		text, compressed, err := readBlock(file)
		if err != nil || compressed {
			return nil, err
		}
		at, end := records(text, hashOf(stream, file), func(_ []byte, sequence uint64) { last = max(last, sequence) })
		if at < len(text) && (i < len(files)-1 || end || last < marked) {
			damage := fmt.Sprintf("%s can't be read at byte %d", filepath.Join("msgs", filepath.Base(file)), at)
			losses = append(losses, Loss{Stream: stream, Marked: marked, Found: last, Damage: damage})
		}
	}
	if losses == nil && last < marked {
		losses = append(losses, Loss{Stream: stream, Marked: marked, Found: last, Missing: marked - last})
	}
	return losses, nil
}

// maxAhead is how far the sequence of a message may be ahead of the mark, which is a second
// behind at most: no disk takes a million synced writes in that time.
const maxAhead = 1 << 20

// scanSequences looks for messages of one stream whose sequences can't be true. The server
// takes 4 bytes of memory for each sequence that it believes to be missing in a block: one
// bit that flipped in a sequence makes it die of too little memory when it reads the block.
func scanSequences(dir, stream string, marked uint64) ([]Loss, error) {
	files, err := blocks(dir, stream)
	if err != nil || marked == 0 {
		return nil, err
	}
	for _, file := range files {
		block, compressed, err := readBlock(file)
		if err != nil {
			return nil, err
		}
		for at := 0; !compressed && at+recordHeader+recordHash <= len(block); {
			size := int(binary.LittleEndian.Uint32(block[at:]) &^ withHeader)
			sequence := binary.LittleEndian.Uint64(block[at+4:]) &^ sequenceFlags
			if sequence > marked+maxAhead {
				damage := fmt.Sprintf("%s can't be read at byte %d", filepath.Join("msgs", filepath.Base(file)), at)
				return []Loss{{Stream: stream, Marked: marked, Found: marked, Damage: damage}}, nil
			}
			if size < recordHeader+recordHash {
				break // the server can't read on either, and says so
			}
			at += size
		}
	}
	return nil, nil
}

// blocks are the files of a stream's messages, oldest first.
func blocks(dir, stream string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, LiveFolder, "*", "streams", stream, "msgs", "*.blk"))
	if err != nil {
		return nil, fmt.Errorf("look into %s: %w", dir, err)
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Compare(blockNumber(a), blockNumber(b)) })
	return files, nil
}

// readBlock reads a file of messages. A compressed one is not ours, and not looked into.
func readBlock(file string) (text []byte, compressed bool, err error) {
	if text, err = os.ReadFile(file); err != nil {
		return nil, false, fmt.Errorf("read the store: %w", err)
	}
	return text, bytes.HasPrefix(text, []byte(compressedBlock)), nil
}

func blockNumber(file string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSuffix(filepath.Base(file), ".blk"), 10, 32)
	return n
}

// hashKey is a key of HighwayHash-64, with which the server protects each record in its
// files.
type hashKey [highwayhash.Size]byte

// hashOf is the key of the hashes of a block's records.
func hashOf(stream, file string) hashKey {
	return sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, blockNumber(file)))
}

// records calls fn with each record of a block. It returns where the first that is bad
// begins, or the length of the block, and whether good ones follow it.
func records(block []byte, key hashKey, fn func(record []byte, sequence uint64)) (bad int, more bool) {
	bad = len(block)
	for at := 0; at < len(block); {
		rec, ok := recordAt(block[at:], key)
		if !ok {
			// A record whose length is lost: the next may begin anywhere.
			bad = min(bad, at)
			at++
			continue
		}
		more = more || at > bad
		fn(rec, binary.LittleEndian.Uint64(rec[4:])&^sequenceFlags)
		at += len(rec)
	}
	return bad, more
}

// recordAt is the record at the beginning of block.
func recordAt(block []byte, key hashKey) (rec []byte, ok bool) {
	if len(block) < recordHeader+recordHash {
		return nil, false
	}
	length := binary.LittleEndian.Uint32(block)
	skip := int(binary.LittleEndian.Uint16(block[20:]))
	subject := skip
	if length&withHeader != 0 {
		skip += 4
	}
	size := int(length &^ withHeader)
	if size > recordMost || size > len(block) || recordHeader+skip+recordHash > size {
		return nil, false
	}
	rec = block[:size]
	// No subject has a control character or a space. This is cheap, and without it each
	// byte of a block of garbage could ask for the hash of megabytes.
	if bytes.ContainsFunc(rec[recordHeader:recordHeader+subject], func(r rune) bool { return r <= ' ' }) ||
		(subject == 0 && size > recordMost>>10) {
		return nil, false
	}
	hashed := make([]byte, 0, size)
	hashed = append(hashed, rec[4:20]...)
	hashed = append(hashed, rec[recordHeader:recordHeader+subject]...)
	hashed = append(hashed, rec[recordHeader+skip:size-recordHash]...)
	return rec, highwayhash.Sum64(hashed, key[:]) == binary.LittleEndian.Uint64(rec[size-recordHash:])
}

// Repair takes the records that can't be read out of a stream's files, so that the server
// keeps all others, and its index, which it makes anew from what is there. It is done when
// a loss was accepted.
func Repair(dir string, damaged []Loss) error {
	for _, l := range damaged {
		if err := repairStream(dir, l.Stream); err != nil {
			return fmt.Errorf("repair the store: %w", err)
		}
	}
	return nil
}

func repairStream(dir, stream string) error {
	files, err := blocks(dir, stream)
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var good []byte
		at, _ := records(text, hashOf(stream, file), func(rec []byte, _ uint64) { good = append(good, rec...) })
		if at < len(text) {
			err = durable.Write(file, good)
		}
		if err != nil {
			return err
		}
	}
	known, err := indexes(dir, stream)
	for _, file := range known {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// examine reads the files of a store and says what they have lost; damaged says that some of
// them can't be read.
func examine(dir, markFile string) (losses []Loss, damaged bool, err error) {
	m, err := ReadMark(markFile)
	if err != nil {
		return nil, false, err
	}
	if losses, err = Scan(dir, m); err != nil {
		return nil, false, err
	}
	damaged = len(losses) > 0
	losses, err = WithMissing(losses, dir, m) // the whole of it is told at once
	return losses, damaged, err
}

// CheckFiles refuses a store that is damaged, before the server changes anything.
func CheckFiles(dir, markFile string) error {
	losses, damaged, err := examine(dir, markFile)
	if err != nil || !damaged && !slices.ContainsFunc(losses, func(l Loss) bool { return Hidden(dir, l) }) {
		return err // what is lost is told by the mark
	}
	return LossError(losses, markFile)
}

// Hidden says that the server would not tell a loss: where a file of messages is gone, it
// takes from its index how far the stream had come.
func Hidden(dir string, l Loss) bool {
	files, err := indexes(dir, l.Stream)
	return err != nil || len(files) > 0
}

// indexes are the files in which the server keeps what it knows of a stream's blocks.
func indexes(dir, stream string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, LiveFolder, "*", "streams", stream, "msgs", "index.db"))
	if err != nil {
		return nil, fmt.Errorf("look into %s: %w", dir, err)
	}
	return files, nil
}

// Whole reports what a start would refuse an embedded store for that no process has:
// what its files have lost, or can't be read of them. It changes nothing.
func Whole(dir, markFile string) error {
	losses, _, err := examine(dir, markFile)
	if err != nil || len(losses) == 0 {
		return err
	}
	return LossError(losses, markFile)
}

// reach is how far the files of a stream go. One whose messages have all been removed
// has a record of that, with the last sequence.
func reach(dir, stream string) (last uint64, err error) {
	files, err := blocks(dir, stream)
	if err != nil {
		return 0, err
	}
	for _, file := range slices.Backward(files) {
		text, compressed, err := readBlock(file)
		if err != nil {
			return 0, err
		}
		if compressed {
			return math.MaxUint64, nil
		}
		records(text, hashOf(stream, file), func(_ []byte, sequence uint64) { last = max(last, sequence) })
		if last > 0 {
			break
		}
	}
	return last, nil
}

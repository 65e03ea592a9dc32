package bus_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"pullprint/connector/bus/backup"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/fuzztest"
)

const backupMagic = "pullprint backup 1\n"

// frame is a part of a backup file.
func frame(letter byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{letter}, uint32(len(body))), body...)
}

// summed closes a backup file of parts with its right checksum.
func summed(parts ...[]byte) []byte {
	file := append([]byte(backupMagic), bytes.Join(parts, nil)...)
	sum := sha256.Sum256(file)
	return append(file, sum[:]...)
}

// framesOf takes a backup file apart.
func framesOf(file []byte) (list [][]byte) {
	for rest := file[len(backupMagic) : len(file)-sha256.Size]; len(rest) > 0; {
		n := 5 + int(binary.BigEndian.Uint32(rest[1:]))
		list, rest = append(list, rest[:n]), rest[n:]
	}
	return list
}

func verify(file []byte) error {
	_, err := backup.Verify(bytes.NewReader(file), int64(len(file)))
	return err
}

// A file whose parts are wrong is no backup, whatever they are, even when its checksum is
// right; and no length in it makes it take more memory than the file has.
func TestBackupOfWrongParts(t *testing.T) {
	message := frame('M', strings.Repeat("\x00", 7)+"\x01"+strings.Repeat("\x00", 14))
	header := frame('H', `{"format":1,"readable_by":1}`)
	for name, file := range map[string][]byte{
		"a message before any stream": summed(header, message),
		"a header that is no JSON":    summed(frame('H', "{")),
		"an end that is no JSON":      summed(header, frame('Z', "[]")),
		"a message that is cut short": summed(header, frame('S', "PULLPRINT_AUDIT"), frame('M', "\x00")),
		"longer than the file":        summed(header, []byte{'S', 7, 0xff, 0xff, 0xff}),
		"an unknown stream":           summed(header, frame('S', strings.Repeat("x", 1000))),
		"nothing":                     summed(),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := verify(file)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, backup.ErrUnusable) || len(err.Error()) > 300 {
			t.Errorf("%s: %v", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
			t.Errorf("%s: %d bytes were allocated for a file of %d", name, took, len(file))
		}
	}
}

// failing is a file on a disk that fails after a number of readings.
type failing struct {
	io.ReaderAt
	after int
}

var errDisk = errors.New("input/output error")

func (f *failing) ReadAt(p []byte, at int64) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errDisk
	}
	return f.ReaderAt.ReadAt(p, at)
}

// A disk that fails is told as that, wherever the reading is, and not as a file that is cut
// off or whose messages end.
func TestBackupOnFailingDisk(t *testing.T) {
	b := bustest.Open(t)
	stock(t, b, 0, 20)
	file := backedUp(t, b)
	for after := 0; ; after++ {
		disk := &failing{bytes.NewReader(file), after}
		_, err := backup.Verify(disk, int64(len(file)))
		if disk.after >= 0 {
			if err != nil || after < 4 {
				t.Error(after, err)
			}
			return
		}
		if !errors.Is(err, errDisk) || errors.Is(err, backup.ErrUnusable) || !strings.Contains(err.Error(), "read backup") {
			t.Errorf("the disk fails after %d readings: %v", after, err)
		}
	}
}

// FuzzVerifyBackup damages a backup: its bytes are changed, it is cut off, its parts are put
// in another order, and its checksum is made right again.
func FuzzVerifyBackup(f *testing.F) {
	var whole []byte
	f.Add(uint64(0), uint16(0), []byte(nil))
	for i := range uint64(50) {
		f.Add(i, uint16(i*37), frame("HSMZX"[i%5], strings.Repeat("x", int(i))))
	}
	{
		b := bustest.Open(f)
		for i := range 20 {
			if _, err := b.PublishTask(f.Context(), "definition", string(rune('a'+i)), []byte("{}")); err != nil {
				f.Fatal(err)
			}
			if _, _, err := b.State().CompareAndSet(f.Context(), string(rune('a'+i)), []byte("{}"), 0, 0); err != nil {
				f.Fatal(err)
			}
		}
		var file bytes.Buffer
		if _, err := b.Backup(f.Context(), &file); err != nil {
			f.Fatal(err)
		}
		whole = file.Bytes()
	}
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, seed uint64, cut uint16, more []byte) {
		defer watch.Input(t)()
		dice := rand.New(rand.NewPCG(seed, 1))
		parts := framesOf(whole)
		for range dice.IntN(4) {
			i, j := dice.IntN(len(parts)), dice.IntN(len(parts))
			parts[i], parts[j] = parts[j], parts[i]
		}
		parts[dice.IntN(len(parts))] = more
		text := bytes.Join(parts, nil)
		for range dice.IntN(4) {
			text[dice.IntN(len(text))] ^= 1 << dice.IntN(8)
		}
		text = text[:max(0, len(text)-int(cut)%(len(text)+1))]
		for _, file := range [][]byte{summed(text), append([]byte(backupMagic), text...), more} {
			if err := verify(file); err != nil && !errors.Is(err, backup.ErrUnusable) {
				t.Errorf("%v", err)
			}
		}
	})
}

package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Message is a message in the files of a stream.
type Message struct {
	Subject string
	Stored  time.Time
	Body    []byte
}

// Newest are the newest messages of the subjects with a prefix in the files of a stream. Records that are
// damaged are left out. A compressed file, as this program makes none, is an error: what is in it would be
// missing. It changes nothing.
func Newest(dir, stream, prefix string) ([]Message, error) {
	files, err := blocks(dir, stream)
	if err != nil {
		return nil, err
	}
	newest, last := map[string]Message{}, map[string]uint64{}
	for _, file := range files {
		text, compressed, err := readBlock(file)
		if err != nil {
			return nil, err
		}
		if compressed {
			return nil, fmt.Errorf("%s is compressed", file)
		}
		records(text, hashOf(stream, file), func(rec []byte, sequence uint64) {
			m := messageOf(rec)
			if strings.HasPrefix(m.Subject, prefix) && sequence > last[m.Subject] {
				m.Body = bytes.Clone(m.Body)
				newest[m.Subject], last[m.Subject] = m, sequence
			}
		})
	}
	return slices.Collect(maps.Values(newest)), nil
}

// messageOf is the message of a record whose lengths recordAt has checked.
func messageOf(rec []byte) Message {
	subject := recordHeader + int(binary.LittleEndian.Uint16(rec[20:]))
	m := Message{
		Subject: string(rec[recordHeader:subject]),
		Stored:  time.Unix(0, int64(binary.LittleEndian.Uint64(rec[12:]))), //nolint:gosec // bits
		Body:    rec[subject : len(rec)-recordHash],
	}
	if binary.LittleEndian.Uint32(rec)&withHeader != 0 {
		header := uint64(binary.LittleEndian.Uint32(m.Body))
		m.Body = m.Body[min(uint64(len(m.Body)), 4+header):]
	}
	return m
}

package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"iter"
	"strings"
	"time"

	"pullprint/connector/bus/schema"

	"github.com/nats-io/nats.go/jetstream"
)

// Contents is what a backup holds, or what was stored of one.
type Contents struct {
	Created time.Time        `json:"created"`
	Streams []StreamContents `json:"streams"`
}

// StreamContents is what is in one stream.
type StreamContents struct {
	Name     string `json:"name"`
	Messages int    `json:"messages"`
	Bytes    int64  `json:"bytes"`
	// Expired is how many were left out because their time is over.
	Expired int `json:"expired"`
	// SHA256 is the hash of every message with its subject, headers, sequence and
	// time.
	SHA256 string `json:"sha256"`
}

// Short is the name without what they all have in common.
func (c StreamContents) Short() string {
	return strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(c.Name, "PULLPRINT_"), "KV_pullprint_"))
}

// Tally counts and hashes the messages of a stream.
type Tally struct {
	StreamContents
	sum hash.Hash
	buf []byte
}

// NewTally begins to count a stream.
func NewTally(name string) *Tally {
	return &Tally{StreamContents: StreamContents{Name: name}, sum: sha256.New()}
}

// Add counts a message.
func (t *Tally) Add(m *Record) {
	t.buf = m.Encode(t.buf)
	t.sum.Write(t.buf)
	t.Messages++
	t.Bytes += int64(len(m.Body))
}

// Contents returns what was counted.
func (t *Tally) Contents() StreamContents {
	t.SHA256 = hex.EncodeToString(t.sum.Sum(nil))
	return t.StreamContents
}

func (f *File) contents() (Contents, error) {
	c := Contents{Created: f.Header.Created}
	for _, p := range schema.Streams(1) {
		t := NewTally(p.Config.Name)
		if err := f.each(p.Config.Name, func(m *Record) error { t.Add(m); return nil }); err != nil {
			return c, err
		}
		c.Streams = append(c.Streams, t.Contents())
	}
	return c, nil
}

// Verify reads a backup through, checks its sum and its counts, and says
// what is in it.
func Verify(src io.ReaderAt, size int64) (Contents, error) {
	f, err := Open(src, size)
	if err != nil {
		return Contents{}, err
	}
	return f.contents()
}

// All are the messages of each.
func (f *File) All(stream string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		err := f.each(stream, func(m *Record) error {
			if !yield(m, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop { //nolint:errorlint // our own
			yield(nil, err)
		}
	}
}

var errStop = errors.New("enough")

// Expired reports whether a message would be gone by now: a second is left for the
// server's clockwork.
func Expired(m *Record, age time.Duration, now time.Time) bool {
	ttl, _ := time.ParseDuration(m.Header.Get(jetstream.MsgTTLHeader) + "s")
	if d, err := time.ParseDuration(m.Header.Get(jetstream.MsgTTLHeader)); err == nil {
		ttl = d
	}
	for _, life := range []time.Duration{age, ttl} {
		if life > 0 && now.Add(time.Second).After(m.Time.Add(life)) {
			return true
		}
	}
	return false
}

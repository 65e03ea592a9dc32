// Package stored reads and writes what is stored over a link: KV is a bucket, Reader reads a
// stream in order. What a Reader hands over is complete: it notices a message that is missing
// in between, one that can't be read, and a stream that was rolled back, and begins again or
// says so. Every call of a KV ends within the deadline of its context, or write.Limit.
package stored

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pullprint/connector/bus/fault"
	"pullprint/connector/bus/link"
	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/write"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	headerMarkerReason = jetstream.MarkerReasonHeader
	headerExpected     = jetstream.ExpectedLastSubjSeqHeader
	headerTTL          = jetstream.MsgTTLHeader
)

// KV is a bucket. A key is one or more tokens joined by dots; a revision grows
// with every write and is 0 for a key that isn't there. A filter is a key in
// which a token may be *, or the last one >.
type KV struct {
	link   *link.Link
	bucket string
	prefix string // of subjects, ends with a dot
	stream string
	w      *write.Writer
}

// NewKV returns a bucket. w may be nil for one that is only read.
func NewKV(l *link.Link, name string, w *write.Writer) *KV {
	return &KV{link: l, bucket: name, prefix: "$KV." + name + ".", stream: "KV_" + name, w: w}
}

// Name is the name of the bucket.
func (kv *KV) Name() string { return kv.bucket }

// Stream is the name of the stream that holds the bucket.
func (kv *KV) Stream() string { return kv.stream }

// Get reads a key: nil, 0, nil when there is none, or no longer.
func (kv *KV) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	value, revision, absent, err := kv.last(ctx, key)
	if err != nil || absent {
		return nil, 0, err
	}
	return value, revision, nil
}

// CompareAndSet stores value if the key is at revision (0: it isn't there). A
// conflict is swapped false without an error; after an error nobody knows and
// the caller has to look again. With a ttl, rounded up to whole seconds, the
// key vanishes that long after this write, never before, at most about two
// seconds later; 0 means never.
func (kv *KV) CompareAndSet(
	ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
) (newRevision uint64, swapped bool, err error) {
	if !ValidSubject(key) {
		return 0, false, fmt.Errorf("store in %s: key has an empty or forbidden token", kv.bucket)
	}
	res, err := kv.set(ctx, kv.message(key, value, ttl), revision)
	if err == nil && res.Conflict && revision == 0 {
		// What is there may be the mark of a deleted key: then it is to be
		// replaced, by a compare-and-set as well.
		_, mark, absent, lerr := kv.last(ctx, key)
		if lerr != nil {
			return 0, false, lerr
		}
		if absent && mark > 0 {
			res, err = kv.set(ctx, kv.message(key, value, ttl), mark)
		}
	}
	if err != nil {
		return 0, false, fmt.Errorf("store in %s: %w", kv.bucket, err)
	}
	return res.Sequence, !res.Conflict, nil
}

// Delete removes a key that is at revision; false means that it is at another.
func (kv *KV) Delete(ctx context.Context, key string, revision uint64) (bool, error) {
	if !ValidSubject(key) {
		return false, fmt.Errorf("delete in %s: key has an empty or forbidden token", kv.bucket)
	}
	if revision == 0 {
		return false, nil
	}
	// The mark is a purge with a TTL of its own: the only kind that the server
	// lets go without leaving yet another mark.
	msg := kv.message(key, nil, schema.MarkerTTL)
	msg.Header.Set(schema.OperationHeader, schema.Purge)
	res, err := kv.set(ctx, msg, revision)
	if err != nil {
		return false, fmt.Errorf("delete in %s: %w", kv.bucket, err)
	}
	return !res.Conflict, nil
}

// Put stores value whatever the key is at.
func (kv *KV) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	_, err := kv.w.Write(ctx, &write.Message{Msg: kv.message(key, value, ttl)})
	return err
}

func (kv *KV) message(key string, value []byte, ttl time.Duration) *nats.Msg {
	msg := &nats.Msg{Subject: kv.prefix + key, Data: value, Header: nats.Header{}}
	if ttl > 0 {
		seconds := (ttl + time.Second - 1) / time.Second
		msg.Header.Set(headerTTL, strconv.FormatInt(int64(seconds), 10))
	}
	return msg
}

func (kv *KV) set(ctx context.Context, msg *nats.Msg, revision uint64) (write.Result, error) {
	msg.Header.Set(headerExpected, strconv.FormatUint(revision, 10))
	return kv.w.Write(ctx, &write.Message{Msg: msg, Compare: true, Expected: revision})
}

// last reads the last message of a key: a value, or the mark of a deleted one
// (absent, with the revision of the mark), or none (absent, revision 0).
func (kv *KV) last(ctx context.Context, key string) (value []byte, revision uint64, absent bool, err error) {
	if !ValidSubject(key) {
		return nil, 0, false, fmt.Errorf("read from %s: key has an empty or forbidden token", kv.bucket)
	}
	ctx, cancel := context.WithTimeout(ctx, write.Limit)
	defer cancel()
	msg, err := kv.get(ctx, kv.prefix+key)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, true, nil
	}
	if err != nil {
		return nil, 0, false, fmt.Errorf("read from %s: %w", kv.bucket, fault.Unavailable(err))
	}
	return msg.value, msg.revision, msg.value == nil, nil
}

// ValidSubject accepts what can't mean anything else in a subject.
func ValidSubject(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == '*' || c == '>' || c >= 0x7f })
}

// Forget removes the keys that match filter and every trace that they were there.
// Who watches the bucket does not hear of it: delete them first.
func (kv *KV) Forget(ctx context.Context, filter string) error {
	s, err := kv.link.JS.Stream(ctx, kv.stream)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(kv.prefix+filter))
	}
	if err != nil {
		return fmt.Errorf("forget keys of %s: %w", kv.bucket, err)
	}
	return nil
}

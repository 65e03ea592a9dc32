package stored

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pullprint/connector/bus/fault"
	"pullprint/connector/bus/link"
	"pullprint/connector/bus/schema"
	"pullprint/connector/store"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	headerNumPending = "Nats-Num-Pending"
	// maxAnswers is how many keys the server returns at once.
	maxAnswers = 1024
)

var (
	// errTooMany: more than maxAnswers keys match.
	errTooMany = errors.New("too many keys for one answer")
	// errUnreadable: a key that is there can't be read.
	errUnreadable = fmt.Errorf("%w: a key that is stored can't be read; `pullprint restore FILE` from a backup",
		store.ErrDamaged)
)

// noResults is what the server says when it has looked for several keys and there are
// none, unlike for one that it can't read. Both have the status 404.
const noResults = "No Results"

// entry is a message of a bucket; value is nil when it marks a deleted key.
type entry struct {
	subject  string
	value    []byte
	revision uint64
}

// get reads the last message of a subject. Among replicas only the leader is
// sure to have seen the last write, so it is asked; any may answer otherwise.
func (kv *KV) get(ctx context.Context, subject string) (entry, error) {
	if kv.link.Replicated {
		return kv.getFromLeader(ctx, subject)
	}
	msg, err := kv.link.NC.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+kv.stream+"."+subject, nil)
	if err != nil {
		return entry{}, err
	}
	err = directStatus(msg)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return kv.confirmAbsent(ctx, subject)
	}
	if err != nil {
		return entry{}, err
	}
	return directEntry(msg)
}

// confirmAbsent tells a key that is not there from one that can't be read: the server
// answers both in the same way, unless it is asked as for several keys. An account that
// is taken for one that never was would be given its allowance again.
func (kv *KV) confirmAbsent(ctx context.Context, subject string) (entry, error) {
	req, err := json.Marshal(map[string][]string{"multi_last": {subject}})
	if err != nil {
		return entry{}, err
	}
	msg, err := kv.link.NC.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+kv.stream, req)
	if err != nil {
		return entry{}, err
	}
	if err := multiStatus(msg); err != nil {
		return entry{}, err
	}
	return directEntry(msg) // it was made meanwhile
}

// multiStatus is directStatus of an answer about several keys.
func multiStatus(msg *nats.Msg) error {
	err := directStatus(msg)
	if errors.Is(err, jetstream.ErrMsgNotFound) && msg.Header.Get("Description") != noResults {
		return errUnreadable
	}
	return err
}

func (kv *KV) getFromLeader(ctx context.Context, subject string) (entry, error) {
	var m struct {
		Subject  string `json:"subject"`
		Sequence uint64 `json:"seq"`
		Header   []byte `json:"hdrs"`
		Data     []byte `json:"data"`
	}
	err := kv.link.Ask(ctx, "$JS.API.STREAM.MSG.GET."+kv.stream, map[string]string{"last_by_subj": subject}, &m)
	if link.Code(err) == jetstream.JSErrCodeMessageNotFound {
		return entry{}, jetstream.ErrMsgNotFound
	}
	if err != nil {
		return entry{}, err
	}
	var header nats.Header
	if len(m.Header) > 0 {
		if header, err = nats.DecodeHeadersMsg(m.Header); err != nil {
			return entry{}, fmt.Errorf("decode answer: %w", err)
		}
	}
	return newEntry(m.Subject, header, m.Data, m.Sequence), nil
}

// newEntry tells values from marks. A value is never nil, even if empty.
func newEntry(subject string, header nats.Header, data []byte, revision uint64) entry {
	e := entry{subject: subject, revision: revision}
	if header.Get(schema.OperationHeader) != "" || header.Get(headerMarkerReason) != "" {
		return e
	}
	if e.value = data; data == nil {
		e.value = []byte{}
	}
	return e
}

func directEntry(msg *nats.Msg) (entry, error) {
	revision, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return entry{}, fmt.Errorf("decode answer: sequence: %w", err)
	}
	return newEntry(msg.Header.Get(jetstream.SubjectHeader), msg.Header, msg.Data, revision), nil
}

func directStatus(msg *nats.Msg) error {
	switch status := msg.Header.Get("Status"); status {
	case "":
		return nil
	case "404":
		return jetstream.ErrMsgNotFound
	case "413":
		return errTooMany
	default:
		return fmt.Errorf("server answers %s %s", status, msg.Header.Get("Description"))
	}
}

// ReadLimit is how long a reading of many keys may take whose caller sets no limit: half of
// readGiveUp, as whoever asks waits for it, and still time for a cluster to elect a leader.
const ReadLimit = 30 * time.Second

// Each calls fn with every key that matches filter, in the order of their
// revisions; an error of fn ends it and is returned. It is made for the keys of
// one owner: a direct read, whatever else is stored. Up to 1,024 keys are one
// consistent picture; more are read one after the other. With replicas it may
// miss the writes of the last moment.
func (kv *KV) Each(ctx context.Context, filter string, fn func(key string, value []byte, revision uint64) error) error {
	return kv.EachAfter(ctx, filter, 0, fn)
}

// EachAfter is Each for the keys that were written after a revision.
func (kv *KV) EachAfter(
	ctx context.Context, filter string, revision uint64, fn func(key string, value []byte, revision uint64) error,
) error {
	subject := kv.prefix + filter
	ctx, cancel := link.WithLimit(ctx, ReadLimit)
	defer cancel()
	entries, err := kv.matching(ctx, subject)
	if errors.Is(err, errTooMany) {
		return kv.eachOfMany(ctx, subject, revision, fn)
	}
	if err != nil {
		return fmt.Errorf("read keys of %s: %w", kv.bucket, fault.Unavailable(err))
	}
	for _, e := range entries {
		if e.value == nil || e.revision <= revision {
			continue
		}
		if err := fn(strings.TrimPrefix(e.subject, kv.prefix), e.value, e.revision); err != nil {
			return err
		}
	}
	return nil
}

// matching asks for the last messages of all subjects that match. The server
// ends an answer that gets too big early: then the rest is asked for, up to
// the same point in time.
func (kv *KV) matching(ctx context.Context, subject string) ([]entry, error) {
	var found []entry
	var from, upTo uint64
	for {
		part, end, err := kv.matchingPage(ctx, subject, from, upTo)
		if errors.Is(err, jetstream.ErrMsgNotFound) && from == 0 {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		found = append(found, part...)
		if end.pending == 0 || len(part) == 0 {
			return found, nil
		}
		from, upTo = part[len(part)-1].revision+1, end.upTo
	}
}

// pageEnd is what the server says after the last message of an answer.
type pageEnd struct {
	pending int
	upTo    uint64
}

func (kv *KV) matchingPage(ctx context.Context, subject string, from, upTo uint64) ([]entry, pageEnd, error) {
	req, err := json.Marshal(struct {
		MultiLast []string `json:"multi_last"`
		Seq       uint64   `json:"seq,omitempty"`
		UpTo      uint64   `json:"up_to_seq,omitempty"`
	}{[]string{subject}, from, upTo})
	if err != nil {
		return nil, pageEnd{}, err
	}
	nc := kv.link.NC
	ctx, end := kv.link.UntilReconnect(ctx)
	defer end()
	inbox := nc.NewRespInbox()
	answers := make(chan *nats.Msg, maxAnswers+2)
	sub, err := nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, pageEnd{}, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := nc.PublishRequest("$JS.API.DIRECT.GET."+kv.stream, inbox, req); err != nil {
		return nil, pageEnd{}, err
	}
	var entries []entry
	for {
		var msg *nats.Msg
		select {
		case msg = <-answers:
		case <-ctx.Done(): // an answer that stops before its end is no answer
			return nil, pageEnd{}, context.Cause(ctx)
		}
		if msg.Header.Get("Status") == "204" {
			pending, _ := strconv.Atoi(msg.Header.Get(headerNumPending))
			last, _ := strconv.ParseUint(msg.Header.Get("Nats-UpTo-Sequence"), 10, 64)
			return entries, pageEnd{pending: pending, upTo: last}, nil
		}
		if err := multiStatus(msg); err != nil {
			return nil, pageEnd{}, err
		}
		e, err := directEntry(msg)
		if err != nil {
			return nil, pageEnd{}, err
		}
		entries = append(entries, e)
	}
}

// eachOfMany reads through a consumer, which has no limit. After a revision there is
// nothing but last messages either: a bucket keeps one for each key.
func (kv *KV) eachOfMany(
	ctx context.Context, subject string, revision uint64, fn func(key string, value []byte, revision uint64) error,
) error {
	r := Reader{Link: kv.link, Stream: kv.stream, Filter: subject, LastPerSubject: true, Last: revision}
	return r.Read(ctx, func(m Message) error {
		if m.Absent {
			return nil
		}
		return fn(strings.TrimPrefix(m.Subject, kv.prefix), m.Body, m.Sequence)
	}, nil)
}

// Watch calls fn with every key that matches filter, first those that are
// there, then each change as it happens, and caughtUp once in between. A nil
// value says that the key was deleted or has expired. fn is called by one
// goroutine and only ever with a newer revision. Watch survives reconnects and
// returns when ctx ends, with its error, or when it was cut off for so long
// (an hour) that it may have missed deletions: then start afresh.
func (kv *KV) Watch(
	ctx context.Context, filter string, fn func(key string, value []byte, revision uint64), caughtUp func(),
) error {
	r := Reader{
		Link: kv.link, Stream: kv.stream, Filter: kv.prefix + filter, LastPerSubject: true, Follow: true,
		MaxGap: schema.MarkerTTL,
	}
	err := r.Read(ctx, func(m Message) error {
		fn(strings.TrimPrefix(m.Subject, kv.prefix), m.Body, m.Sequence)
		return nil
	}, caughtUp)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("watch %s: %w", kv.bucket, err)
	}
	return err
}

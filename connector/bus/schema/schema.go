// Package schema says what the store consists of: streams, buckets and the consumer of
// tasks, their share of the store, and which form of them on an external server is still
// one that pullprint can work with.
package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pullprint/connector/store"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams.
const (
	Tasks     = "PULLPRINT_TASKS"
	Decisions = "PULLPRINT_DECISIONS"
	Dead      = "PULLPRINT_DEAD"
	Audit     = "PULLPRINT_AUDIT"
	Ledger    = "PULLPRINT_LEDGER"
	Notices   = "PULLPRINT_NOTICES"
)

// The buckets.
const (
	JobsBucket   = "pullprint_jobs"
	BadgesBucket = "pullprint_badges"
	QuotaBucket  = "pullprint_quota"
	StateBucket  = "pullprint_state"
)

// The subjects of the streams; all but those of Dead are prefixes.
const (
	TasksSubject     = "pullprint.tasks."
	DecisionsSubject = "pullprint.decisions."
	DeadSubject      = "pullprint.dead.tasks"
	// DeadNoticesSubject is of notices that were given up.
	DeadNoticesSubject = "pullprint.dead.notices"
	AuditSubject       = "pullprint.audit."
	LedgerSubject      = "pullprint.ledger."
	NoticesSubject     = "pullprint.notices."
)

// OperationHeader marks a message of a bucket as the deletion of its key; Purge is its
// value when nothing is to be left of the key.
const (
	OperationHeader = "KV-Operation"
	Purge           = "PURGE"
)

// Consumer is the name of the durable consumer of tasks.
const Consumer = "connector"

const (
	// DuplicateWindow is how long the server remembers message ids.
	DuplicateWindow = 6 * time.Hour
	// MaxAckPending is how many tasks may be delivered and not acknowledged.
	MaxAckPending = 10_000
	// MarkerTTL is how long a deleted or expired key is remembered as deleted,
	// so that a watch that was cut off meanwhile still hears of it.
	MarkerTTL = time.Hour
)

// ErrIncompatible: a stream, bucket or consumer exists in a form that we can't work
// with. It was not changed.
var ErrIncompatible = errors.New("incompatible configuration")

// OnlyGrows is true of the streams in which nothing is ever taken out of the
// middle but by erasing a person.
func OnlyGrows(stream string) bool { return !strings.HasPrefix(stream, "KV_") }

// AddedLater is true of the streams that backups of earlier versions don't have.
func AddedLater(stream string) bool { return stream == Notices }

// Ephemeral says that a key means nothing once its process has ended.
func Ephemeral(subject string) bool {
	return strings.HasPrefix(subject, "$KV."+StateBucket+".lease.") ||
		strings.HasPrefix(subject, "$KV."+StateBucket+".canary.")
}

// LinkSubject begins the subjects of the links of devices; see package phone. Who renews one ends all before it.
const LinkSubject = "$KV." + StateBucket + ".phone.link."

// EndedByRestore says that a key lets somebody in, or lets them do something once: a session, a sign-in that
// has begun, a visit to a device, that a person is at one, a code. Each may have ended or been used since the
// backup was made.
func EndedByRestore(subject string) bool {
	return slices.ContainsFunc([]string{
		StateBucket + ".session.", StateBucket + ".sign-in.", StateBucket + ".visit.at.", StateBucket + ".phone.at.",
		BadgesBucket + ".c.", BadgesBucket + ".u.",
	}, func(prefix string) bool { return strings.HasPrefix(subject, "$KV."+prefix) })
}

// Stream is a stream that is needed; Share is its part of the embedded store in percent.
type Stream struct {
	Share  int
	Config jetstream.StreamConfig
}

// Streams are all streams, those of the buckets too. Shares add up to 100 less a reserve of 5 for
// the batches being staged.
func Streams(replicas int) []Stream {
	parts := []Stream{
		{30, taskStream()},
		{18, logStream(Decisions, DecisionsSubject+"*", 30*24*time.Hour)},
		{3, logStream(Audit, AuditSubject+"*", 365*24*time.Hour)},
		{6, logStream(Ledger, LedgerSubject+">", 400*24*time.Hour)},
		{2, logStream(Dead, "pullprint.dead.>", 30*24*time.Hour)},
		// A notice takes less than a kilobyte and is of use for a day; a week leaves a bridge time.
		{1, logStream(Notices, NoticesSubject+">", 7*24*time.Hour)},
		{25, bucketStream(JobsBucket)},
		{3, bucketStream(BadgesBucket)},
		{4, bucketStream(QuotaBucket)},
		{3, bucketStream(StateBucket)},
	}
	for i := range parts {
		parts[i].Config.Replicas = replicas
		parts[i].Config.MaxBytes = -1
	}
	return parts
}

// taskStream refuses what it has no room for, so that the sender keeps it.
func taskStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               Tasks,
		Description:        "Print tasks to look at: one Graph changeNotification per message",
		Subjects:           []string{TasksSubject + "*"},
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardNew,
		MaxAge:             7 * 24 * time.Hour,
		Duplicates:         DuplicateWindow,
		Storage:            jetstream.FileStorage,
		AllowDirect:        true,
		AllowAtomicPublish: true,
	}
}

// logStream lets its oldest messages go when it is full.
func logStream(name, subject string, age time.Duration) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               name,
		Subjects:           []string{subject},
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardOld,
		MaxAge:             age,
		Duplicates:         DuplicateWindow,
		Storage:            jetstream.FileStorage,
		AllowDirect:        true,
		AllowAtomicPublish: true,
	}
}

// bucketStream has the form every NATS client knows as a key-value bucket.
func bucketStream(bucket string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:                   "KV_" + bucket,
		Subjects:               []string{"$KV." + bucket + ".>"},
		Retention:              jetstream.LimitsPolicy,
		Discard:                jetstream.DiscardNew,
		MaxMsgsPerSubject:      1,
		Duplicates:             2 * time.Minute,
		Storage:                jetstream.FileStorage,
		AllowDirect:            true,
		AllowRollup:            true,
		DenyDelete:             true,
		AllowMsgTTL:            true,
		SubjectDeleteMarkerTTL: MarkerTTL,
		AllowAtomicPublish:     true,
	}
}

// TaskConsumer is the configuration of Consumer.
func TaskConsumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Name:          Consumer,
		Durable:       Consumer,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       store.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: MaxAckPending,
	}
}

// mismatch collects the fields of one stream or consumer that we can't work with.
type mismatch struct {
	what string
	edit string
	list []string
}

func (m *mismatch) need(ok bool, field string, found, want any) {
	if !ok {
		m.list = append(m.list, fmt.Sprintf("%s is %v, want %v", field, found, want))
	}
}

func (m *mismatch) err() error {
	if len(m.list) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s: %s; nothing was changed: correct it with `%s`, or move it away and let it be created",
		ErrIncompatible, m.what, strings.Join(m.list, "; "), m.edit)
}

// CheckStream accepts every configuration that keeps our promises: sizes and
// ages may differ where nothing is lost by it.
func CheckStream(found, want jetstream.StreamConfig) error {
	m := &mismatch{what: "stream " + want.Name, edit: "nats stream edit " + want.Name}
	m.need(strings.Join(found.Subjects, " ") == strings.Join(want.Subjects, " "), "subjects", found.Subjects,
		want.Subjects)
	m.need(found.Retention == want.Retention, "retention", found.Retention, want.Retention)
	m.need(found.Storage == want.Storage, "storage", found.Storage, want.Storage)
	m.need(found.Replicas == want.Replicas, "num_replicas", found.Replicas, want.Replicas)
	m.need(found.Mirror == nil && len(found.Sources) == 0, "mirror or sources", "set", "none")
	m.need(!found.NoAck, "no_ack", true, false)
	m.need(!found.Sealed, "sealed", true, false)
	m.need(found.SubjectTransform == nil, "subject_transform", "set", "none")
	m.need(found.AllowAtomicPublish, "allow_atomic", false, true)
	m.need(found.AllowDirect, "allow_direct", false, true)
	if want.Discard == jetstream.DiscardNew {
		m.need(found.Discard == want.Discard, "discard", found.Discard, want.Discard)
	}
	if want.MaxAge == 0 {
		m.need(found.MaxAge == 0, "max_age", found.MaxAge, "none")
	} else {
		m.need(found.MaxAge == 0 || found.MaxAge >= DuplicateWindow, "max_age", found.MaxAge,
			fmt.Sprint(DuplicateWindow, " or more"))
		m.need(found.Duplicates >= want.Duplicates, "duplicate_window", found.Duplicates, want.Duplicates)
	}
	if want.MaxMsgsPerSubject > 0 {
		m.need(found.MaxMsgsPerSubject >= 1, "max_msgs_per_subject", found.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
		m.need(found.MaxMsgs <= 0, "max_msgs", found.MaxMsgs, "none")
		m.need(found.AllowMsgTTL, "allow_msg_ttl", false, true)
		m.need(found.SubjectDeleteMarkerTTL > 0, "subject_delete_marker_ttl", found.SubjectDeleteMarkerTTL,
			want.SubjectDeleteMarkerTTL)
	} else {
		m.need(found.MaxMsgsPerSubject <= 0, "max_msgs_per_subject", found.MaxMsgsPerSubject, "none")
	}
	return m.err()
}

// CheckConsumer accepts every configuration of Consumer that keeps our promises.
func CheckConsumer(found, want jetstream.ConsumerConfig) error {
	m := &mismatch{
		what: "consumer " + want.Durable + " of stream " + Tasks,
		edit: "nats consumer edit " + Tasks + " " + want.Durable,
	}
	m.need(found.Durable == want.Durable, "durable_name", found.Durable, want.Durable)
	m.need(found.AckPolicy == want.AckPolicy, "ack_policy", found.AckPolicy, want.AckPolicy)
	m.need(found.AckWait >= want.AckWait, "ack_wait", found.AckWait, want.AckWait)
	m.need(found.MaxDeliver == -1, "max_deliver", found.MaxDeliver, -1)
	m.need(found.MaxAckPending <= 0 || found.MaxAckPending >= 1000, "max_ack_pending", found.MaxAckPending,
		want.MaxAckPending)
	m.need(found.FilterSubject == "" && len(found.FilterSubjects) == 0, "filter_subject", "set", "none")
	m.need(!found.HeadersOnly, "headers_only", true, false)
	return m.err()
}

// AliveFor is how long after its last canary a daemon is taken for alive: it
// writes one every 10 s. A lease ends 10 s after its holder.
const AliveFor = 25 * time.Second

// Canary is the key of the canary of an instance.
func Canary(instance string) string { return "canary." + Token(instance) }

// Token makes one token of a subject out of any text.
func Token(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '.' || r == '*' || r == '>' || r >= 0x7f {
			return '_'
		}
		return r
	}, s)
}

package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pullprint/connector/store"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	streamTasks     = "PULLPRINT_TASKS"
	streamDecisions = "PULLPRINT_DECISIONS"
	streamDead      = "PULLPRINT_DEAD"
	streamAudit     = "PULLPRINT_AUDIT"
	streamLedger    = "PULLPRINT_LEDGER"

	bucketJobs   = "pullprint_jobs"
	bucketBadges = "pullprint_badges"
	bucketQuota  = "pullprint_quota"
	bucketState  = "pullprint_state"

	subjectTasks     = "pullprint.tasks."
	subjectDecisions = "pullprint.decisions."
	subjectDead      = "pullprint.dead.tasks"
	subjectAudit     = "pullprint.audit."
	subjectLedger    = "pullprint.ledger."

	consumerName = "connector"

	duplicateWindow = 6 * time.Hour
	maxAckPending   = 10_000
	// adjustWithin bounds the change of a stream: who may not gets no answer.
	adjustWithin = 5 * time.Second
	// markerTTL is how long a deleted or expired key is remembered as deleted,
	// so that a watch that was cut off meanwhile still hears of it.
	markerTTL = time.Hour
)

// part is a stream we need; share is its part of the embedded store in percent.
type part struct {
	share int
	cfg   jetstream.StreamConfig
}

// schema is everything we keep. Shares add up to 100 less a reserve of 5 for
// the batches being staged.
func schema(replicas int) []part {
	parts := []part{
		{30, taskStream()},
		{19, logStream(streamDecisions, subjectDecisions+"*", 30*24*time.Hour)},
		{3, logStream(streamAudit, subjectAudit+"*", 365*24*time.Hour)},
		{6, logStream(streamLedger, subjectLedger+">", 400*24*time.Hour)},
		{2, logStream(streamDead, "pullprint.dead.>", 30*24*time.Hour)},
		{25, bucketStream(bucketJobs)},
		{3, bucketStream(bucketBadges)},
		{4, bucketStream(bucketQuota)},
		{3, bucketStream(bucketState)},
	}
	for i := range parts {
		parts[i].cfg.Replicas = replicas
		parts[i].cfg.MaxBytes = -1
	}
	return parts
}

// taskStream refuses what it has no room for, so that the sender keeps it.
func taskStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               streamTasks,
		Description:        "Print tasks to look at: one Graph changeNotification per message",
		Subjects:           []string{subjectTasks + "*"},
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardNew,
		MaxAge:             7 * 24 * time.Hour,
		Duplicates:         duplicateWindow,
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
		Duplicates:         duplicateWindow,
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
		SubjectDeleteMarkerTTL: markerTTL,
		AllowAtomicPublish:     true,
	}
}

func taskConsumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Name:          consumerName,
		Durable:       consumerName,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       store.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: maxAckPending,
	}
}

// wanted is the schema as this configuration has it.
func (c Config) wanted() []part {
	parts := schema(c.replicas())
	for i := range parts {
		cfg := &parts[i].cfg
		switch {
		case c.Embedded != nil:
			cfg.MaxBytes = c.Embedded.maxStore() / 100 * int64(parts[i].share)
		case c.MaxBytes > 0:
			cfg.MaxBytes = int64(c.MaxBytes) / 100 * int64(parts[i].share)
		}
		if age, _, ok := c.Retention.age(cfg.Name); ok {
			cfg.MaxAge = age
		}
	}
	return parts
}

// ensure creates what is missing and checks what is there. Nothing that exists is
// changed but how long records are kept, and the sizes of our own embedded store.
func (b *Bus) ensure(ctx context.Context) error {
	var changed []jetstream.StreamConfig
	if b.cfg.Embedded == nil {
		if err := b.checkExternal(ctx); err != nil {
			return err
		}
	}
	for _, p := range b.cfg.wanted() {
		found, err := b.ensureStream(ctx, p.cfg)
		if err != nil {
			return err
		}
		if want, differs := b.adjusted(found, p.cfg); differs {
			changed = append(changed, want)
		}
	}
	if err := b.adjust(ctx, changed); err != nil {
		return err
	}
	return b.ensureConsumer(ctx)
}

// adjusted is a stream as it is to be. Whoever runs an external server may have
// given it an age of their own, which stands unless the configuration says one.
func (b *Bus) adjusted(found, want jetstream.StreamConfig) (jetstream.StreamConfig, bool) {
	before := found
	if b.cfg.Embedded != nil {
		found.MaxBytes = want.MaxBytes
	}
	if _, told, ok := b.cfg.Retention.age(found.Name); ok && (told || b.cfg.Embedded != nil) {
		found.MaxAge = want.MaxAge
	}
	return found, found.MaxBytes != before.MaxBytes || found.MaxAge != before.MaxAge
}

// adjust gives streams their share of a max_store and their retention when those
// have changed. No size loses anything stored: a smaller limit than what is stored
// is refused by the streams that must not lose anything. An external server may
// not let us: then it stays as it is, and the log says so.
func (b *Bus) adjust(ctx context.Context, streams []jetstream.StreamConfig) error {
	for _, cfg := range streams {
		within, cancel := context.WithTimeout(ctx, adjustWithin)
		_, err := b.js.UpdateStream(within, cfg)
		cancel()
		if err != nil && b.cfg.Embedded == nil {
			b.log.Warn("retention not changed: the server does not let us", zap.String("stream", cfg.Name), zap.Error(err))
			continue
		}
		if err != nil {
			return fmt.Errorf("set the size of stream %s to %v (nats.embedded.max_store) and its age to %v (retention): %w",
				cfg.Name, store.Size(cfg.MaxBytes), cfg.MaxAge, err)
		}
		b.log.Info("stream adjusted", zap.String("stream", cfg.Name), zap.Int64("max_bytes", cfg.MaxBytes),
			zap.Duration("max_age", cfg.MaxAge))
	}
	return nil
}

func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.StreamConfig, error) {
	s, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = b.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another replica was faster
			s, err = b.js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return jetstream.StreamConfig{}, fmt.Errorf("create or read stream %s: %w", want.Name, limited(err))
	}
	found := s.CachedInfo().Config
	if found.Metadata[restoring] != "" {
		return found, fmt.Errorf("%w: stream %s; run it again", ErrHalfRestored, want.Name)
	}
	return found, checkStream(found, want)
}

// codeConsumerStore is the server's answer when the files of a consumer can't be read, or made.
const codeConsumerStore = 10012

// consumerDir is where the server keeps the state of the consumer of tasks.
func (e *Embedded) consumerDir() string {
	return filepath.Join(e.StoreDir, liveFolder, "$G", "streams", streamTasks, "obs", consumerName)
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (b *Bus) ensureConsumer(ctx context.Context) error {
	want := taskConsumer()
	c, err := b.js.Consumer(ctx, streamTasks, consumerName)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c, err = b.js.CreateConsumer(ctx, streamTasks, want)
		var api *jetstream.APIError
		if errors.As(err, &api) && api.ErrorCode == codeMaxAckPending {
			less := want
			less.MaxAckPending = 0 // as many as the server allows
			c, err = b.js.CreateConsumer(ctx, streamTasks, less)
		}
		if errors.Is(err, jetstream.ErrConsumerExists) {
			c, err = b.js.Consumer(ctx, streamTasks, consumerName)
		}
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeConsumerStore && b.cfg.Embedded != nil {
		if dir := b.cfg.Embedded.consumerDir(); isThere(dir) { // else it can't be made, as on a full disk
			return fmt.Errorf("%w: what is kept of the deliveries of tasks can't be read: %w; remove the folder %s and start "+
				"again: the tasks are looked at again, and nothing prints twice", store.ErrDamaged, err, dir)
		}
	}
	if err != nil {
		return fmt.Errorf("create or read consumer %s of stream %s: %w", consumerName, streamTasks, limited(err))
	}
	return checkConsumer(c.CachedInfo().Config, want)
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

// checkStream accepts every configuration that keeps our promises: sizes and
// ages may differ where nothing is lost by it.
func checkStream(found, want jetstream.StreamConfig) error {
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
		m.need(found.MaxAge == 0 || found.MaxAge >= duplicateWindow, "max_age", found.MaxAge,
			fmt.Sprint(duplicateWindow, " or more"))
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

func checkConsumer(found, want jetstream.ConsumerConfig) error {
	m := &mismatch{
		what: "consumer " + want.Durable + " of stream " + streamTasks,
		edit: "nats consumer edit " + streamTasks + " " + want.Durable,
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

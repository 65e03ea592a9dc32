package bus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/stored"
	"pullprint/connector/bus/write"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// PublishTask stores a task notification of a definition. Within six hours one
// msgID (the task id) is stored once: duplicate says that it was there already,
// which is as good. After an error try again: a repeat does no harm.
func (b *Bus) PublishTask(ctx context.Context, definition, msgID string, body []byte) (duplicate bool, err error) {
	res, err := b.publish(ctx, schema.Tasks, schema.TasksSubject+definition, msgID, body)
	return res.Duplicate, err
}

// PublishDecision stores the audit record of a decision, once per msgID.
func (b *Bus) PublishDecision(ctx context.Context, verdict, msgID string, body []byte) error {
	_, err := b.publish(ctx, schema.Decisions, schema.DecisionsSubject+verdict, msgID, body)
	return err
}

// PublishDead stores a dead letter, once per msgID.
func (b *Bus) PublishDead(ctx context.Context, msgID string, body []byte) error {
	_, err := b.publish(ctx, schema.Dead, schema.DeadSubject, msgID, body)
	return err
}

// PublishNotice stores a notice to a person, once per msgID.
func (b *Bus) PublishNotice(ctx context.Context, kind, msgID string, body []byte) error {
	_, err := b.publish(ctx, schema.Notices, schema.NoticesSubject+kind, msgID, body)
	return err
}

// PublishDeadNotice stores a notice that was given up, once per msgID.
func (b *Bus) PublishDeadNotice(ctx context.Context, msgID string, body []byte) error {
	_, err := b.publish(ctx, schema.Dead, schema.DeadNoticesSubject, msgID, body)
	return err
}

// PublishAudit stores the audit record of an action through the API or a page, once
// per msgID.
func (b *Bus) PublishAudit(ctx context.Context, action, msgID string, body []byte) error {
	_, err := b.publish(ctx, schema.Audit, schema.AuditSubject+action, msgID, body)
	return err
}

// action is an audit record of what was done to the store itself, in the form that
// those of the API have.
func (b *Bus) action(action, by, note string) (id string, body []byte, err error) {
	id = rand.Text()
	body, err = json.Marshal(map[string]any{
		"id": id, "at": time.Now(), "action": action, "actor": by, "by": b.instance, "note": note,
	})
	return id, body, err
}

// AuditVerb records that a verb worked on the store itself, without a daemon.
func (b *Bus) AuditVerb(ctx context.Context, action, by string) error {
	id, body, err := b.action(action, by, "")
	if err != nil {
		return fmt.Errorf("encode audit record: %w", err)
	}
	return b.PublishAudit(ctx, action, id, body)
}

// PublishLedger stores an entry of an account, once per msgID.
func (b *Bus) PublishLedger(ctx context.Context, account, msgID string, body []byte) error {
	_, err := b.publish(ctx, schema.Ledger, schema.LedgerSubject+account, msgID, body)
	return err
}

func (b *Bus) publish(ctx context.Context, stream, subject, msgID string, body []byte) (write.Result, error) {
	if !stored.ValidSubject(subject) {
		return write.Result{}, fmt.Errorf("store in %s: subject has an empty or forbidden token", stream)
	}
	msg := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}
	if msgID != "" {
		msg.Header.Set(jetstream.MsgIDHeader, msgID)
	}
	res, err := b.writers[stream].Write(ctx, &write.Message{Msg: msg, ID: msgID})
	if err != nil {
		return write.Result{}, fmt.Errorf("store in %s: %w", stream, err)
	}
	return res, nil
}

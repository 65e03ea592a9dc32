package admin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"pullprint/trigger/graph"
)

// Audit stores actions before they are carried out, and reads actions and decisions back;
// *bus.Bus is one.
type Audit interface {
	PublishAudit(ctx context.Context, action, msgID string, body []byte) error
	Actions(ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error) error
	Decisions(ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error) error
	Dead(ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error) error
}

// Action is a record of PULLPRINT_AUDIT: an action that somebody asked for, stored before it
// is carried out. Its result is in the decisions and the records.
type Action struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Action string    `json:"action"`
	Actor  string    `json:"actor"`
	By     string    `json:"by"` // the instance that was asked
	graph.Ref
	Device string `json:"device,omitempty"`
	// Owner is whose jobs or badges it is about, To a delegate.
	Owner string `json:"owner,omitempty"`
	To    string `json:"to,omitempty"`
	// Badge is the id of a badge, never its number.
	Badge string `json:"badge,omitempty"`
	// Count is how many badges an import holds, Replace that it takes them away from
	// whoever has them, AsIs that odd numbers are taken, SkipInvalid that rows that are wrong
	// are left out.
	Count   int  `json:"count,omitempty"`
	Replace bool `json:"replace,omitempty"`
	AsIs    bool `json:"as_is,omitempty"`

	SkipInvalid bool `json:"skip_invalid,omitempty"`
	// Account is the key of an account that is changed, Note why.
	Account string `json:"account,omitempty"`
	Note    string `json:"note,omitempty"`
}

// StoreAction stores an action that its Actor asks for. If it fails, the action must not be carried
// out.
func (a *API) StoreAction(ctx context.Context, about Action) error {
	about.ID, about.At, about.By = rand.Text(), time.Now(), a.Instance
	body, err := json.Marshal(about)
	if err != nil {
		return fmt.Errorf("encode audit record: %w", err)
	}
	if err := a.Audit.PublishAudit(ctx, about.Action, about.ID, body); err != nil {
		return fmt.Errorf("store audit record: %w", err)
	}
	return nil
}

package admin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"pullprint/connector/admin/apiclient"
)

// Audit stores actions before they are carried out, and reads actions and decisions back;
// *bus.Bus is one.
type Audit interface {
	PublishAudit(ctx context.Context, action, msgID string, body []byte) error
	Actions(ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error) error
	Decisions(ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error) error
	Dead(ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error) error
}

// StoreAction stores an action that its Actor asks for. If it fails, the action must not be carried
// out.
func (a *API) StoreAction(ctx context.Context, about apiclient.Action) error {
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

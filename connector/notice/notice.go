// Package notice is what people are told beside the audit: the messages on pullprint.notices.
package notice

import (
	"context"
	"time"

	"pullprint/trigger/graph"
)

// Notice is a message on pullprint.notices, which a bridge can pass to a person by mail or chat.
type Notice struct {
	// Kind is "expiry": the job will be aborted at HoldUntil.
	Kind string `json:"kind"`
	graph.Ref
	Queue string `json:"queue"`
	// Owner is the Entra object id of whom to tell.
	Owner     string    `json:"owner"`
	Created   time.Time `json:"created"`
	HoldUntil time.Time `json:"hold_until"`
	// Devices are those at which the job can be released.
	Devices []string `json:"devices"`
}

// Notices publishes notices to bridges, which pass them to people; *bus.Bus is one.
type Notices interface {
	Notify(ctx context.Context, msgID string, body []byte) error
}

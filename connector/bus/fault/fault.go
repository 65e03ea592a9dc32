// Package fault tells the errors of NATS apart: those that may pass by themselves, those that
// say that a write did not happen, and those of a connection that ended.
package fault

import (
	"context"
	"errors"
	"fmt"

	"pullprint/connector/store"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrClosed: the bus is closed.
	ErrClosed = errors.New("bus is closed")
	// ErrCutOff: the connection was lost and is back, so that what waits has to ask again.
	ErrCutOff = errors.New("connection was lost meanwhile")
)

// What the server answers while a cluster has no leader or too few servers yet.
const (
	codeNoPeers      = 10005 // no suitable peers for placement
	codeClusterNotUp = 10008 // JetStream system temporarily unavailable
	codeNotAvailable = 10009 // JetStream cluster not available
)

// Temporary reports whether an error of JetStream may pass by itself.
func Temporary(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case codeNoPeers, codeClusterNotUp, codeNotAvailable:
			return true
		}
		return false
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, nats.ErrConnectionReconnecting) || errors.Is(err, ErrCutOff)
}

// Unavailable marks an error of the store that may pass by itself.
func Unavailable(err error) error {
	if err == nil || !Temporary(err) || errors.Is(err, store.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// IsConflict reports whether a write was refused because its key is at another revision.
func IsConflict(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	return api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

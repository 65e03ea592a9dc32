package schema

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// What a server answers when a stream or consumer is more than it allows.
const (
	codeAccountResources = 10002
	codeMaxConsumers     = 10026
	codeMaxStreams       = 10027
	codeStorageResources = 10047
	codeStreamConfig     = 10052
	codeMaxBytesRequired = 10113
	// CodeMaxAckPending: the consumer may have fewer unacknowledged tasks than asked for.
	CodeMaxAckPending  = 10121
	codeMaxStreamBytes = 10122
)

// ExplainLimit adds to an error of making a stream or consumer what to do about it.
func ExplainLimit(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	remedy := map[jetstream.ErrorCode]string{
		codeMaxBytesRequired: "the account wants a size for each stream: set nats.max_bytes to what all of ours may take " +
			"together",
		codeMaxStreamBytes: "the account limits the size of one stream: the largest of ours takes 30 % of " +
			"nats.max_bytes, set that lower, or have the limit raised (max_bytes of the account)",
		codeMaxStreams: fmt.Sprintf(
			"we need %d streams and buckets: have the limit of the account raised (max_streams)", len(Streams(1))),
		codeMaxConsumers: "have the limit of the account raised (max_consumers): we need one consumer, and one for " +
			"each reading under way",
		codeStorageResources: "the servers have too little storage for us: have max_file of the account or max_file_store " +
			"of the servers raised, or set nats.max_bytes lower",
		codeAccountResources: "the account has too little storage for us: have its max_file raised, or set nats.max_bytes " +
			"lower",
		codeStreamConfig: fmt.Sprintf(
			"the servers' limits of JetStream may be below what we need: a duplicate_window of %s", DuplicateWindow),
		CodeMaxAckPending: fmt.Sprintf("have the limit raised (max_ack_pending), to %d or 1000 at least", MaxAckPending),
	}[api.ErrorCode]
	if remedy == "" {
		return err
	}
	return fmt.Errorf("%w; %s (deploy/docs/cluster.md, Limits)", err, remedy)
}

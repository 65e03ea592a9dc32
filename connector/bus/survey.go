package bus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"pullprint/connector/bus/schema"
	"pullprint/connector/store"

	"github.com/nats-io/nats.go/jetstream"
)

// Streams says how our streams and buckets are; those that are not there are left
// out.
func (b *Bus) Streams(ctx context.Context) ([]store.StreamState, error) {
	return survey(ctx, b.link.JS)
}

func survey(ctx context.Context, js jetstream.JetStream) ([]store.StreamState, error) {
	list := []store.StreamState{}
	for _, p := range schema.Streams(1) {
		s, err := js.Stream(ctx, p.Config.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return list, fmt.Errorf("read stream %s: %w", p.Config.Name, err)
		}
		st := stateOf(s.CachedInfo())
		if st.Name == schema.Tasks {
			if c, err := js.Consumer(ctx, schema.Tasks, schema.Consumer); err == nil {
				in := c.CachedInfo()
				st.Pending, st.Unacked = in.NumPending, in.NumAckPending
			}
		}
		list = append(list, st)
	}
	return list, nil
}

func stateOf(in *jetstream.StreamInfo) store.StreamState {
	st := store.StreamState{
		Name: in.Config.Name, Messages: in.State.Msgs, Bytes: in.State.Bytes, MaxBytes: in.Config.MaxBytes,
		First: in.State.FirstSeq, Last: in.State.LastSeq, Replicas: in.Config.Replicas,
	}
	if in.Cluster == nil {
		return st
	}
	st.Leader = in.Cluster.Leader
	for _, peer := range in.Cluster.Replicas {
		if peer.Offline || !peer.Current {
			st.Away = append(st.Away, peer.Name)
		}
	}
	return st
}

// taken is how much the files below a folder take on disk.
func taken(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // what went away meanwhile takes nothing
		}
		if info, err := d.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				bytes += st.Blocks * 512
			}
		}
		return nil
	})
	return bytes
}

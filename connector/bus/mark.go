package bus

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/schema"
)

func (e Embedded) markFile() string {
	if e.MarkFile != "" {
		return e.MarkFile
	}
	return filepath.Clean(e.StoreDir) + ".mark"
}

// streamPosition is how far a stream has come, by the server.
type streamPosition struct {
	found   bool
	last    uint64
	created time.Time
	gaps    int
}

func (st streamPosition) position() disk.Position {
	return disk.Position{Last: st.last, Created: st.created, Gaps: st.gaps}
}

func (b *Bus) positionOf(ctx context.Context, stream string) (streamPosition, error) {
	s, err := b.link.JS.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return streamPosition{}, nil
	}
	if err != nil {
		return streamPosition{}, fmt.Errorf("read stream %s: %w", stream, err)
	}
	info := s.CachedInfo()
	st := streamPosition{found: true, last: info.State.LastSeq, created: info.Created}
	if schema.OnlyGrows(stream) {
		st.gaps = info.State.NumDeleted
	}
	return st, nil
}

// losses compares the store with a mark.
func (b *Bus) losses(ctx context.Context, m *disk.Mark) ([]disk.Loss, error) {
	var lost []disk.Loss
	for _, p := range schema.Streams(1) {
		name := p.Config.Name
		was, known := m.Streams[name]
		if !known {
			continue
		}
		is, err := b.positionOf(ctx, name)
		if err != nil {
			return nil, err
		}
		replaced := is.found && !was.Created.IsZero() && !is.created.Equal(was.Created)
		switch {
		case is.last < was.Last:
			lost = append(lost,
				disk.Loss{Stream: name, Marked: was.Last, Found: is.last, Missing: was.Last - is.last, Replaced: replaced})
		case replaced && was.Last > 0:
			lost = append(lost, disk.Loss{Stream: name, Marked: was.Last, Found: is.last, Missing: was.Last, Replaced: true})
		case is.gaps > was.Gaps:
			missing := uint64(is.gaps - was.Gaps) //nolint:gosec // positive
			lost = append(lost, disk.Loss{Stream: name, Marked: was.Last, Found: is.last, Missing: missing})
		}
	}
	return lost, nil
}

// checkMark refuses an embedded store that is behind its mark. No mark is that of
// a store that was made before there were any, or of none.
func (b *Bus) checkMark(ctx context.Context) error {
	file := b.cfg.Embedded.markFile()
	m, err := disk.ReadMark(file)
	if err != nil || m == nil {
		return err
	}
	lost, err := b.losses(ctx, m)
	if err != nil || len(lost) == 0 {
		return err
	}
	return disk.LossError(lost, file)
}

// newMarker takes what is there for what the mark has to be, and writes it.
func (b *Bus) newMarker(ctx context.Context) (*disk.Marker, error) {
	m := disk.Mark{Streams: map[string]disk.Position{}}
	for _, p := range schema.Streams(1) {
		st, err := b.positionOf(ctx, p.Config.Name)
		if err != nil {
			return nil, err
		}
		m.Streams[p.Config.Name] = st.position()
	}
	return disk.NewMarker(b.cfg.Embedded.markFile(), m, b.log.Named("mark"))
}

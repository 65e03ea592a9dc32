package bus

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/stored"
	"pullprint/connector/store"

	"github.com/nats-io/nats.go/jetstream"
)

// linksOf are the links of devices in an embedded store that is to be replaced, as far as its files can be
// read: no server is started on a store that may be damaged.
func linksOf(dir string) ([]disk.Message, error) {
	links, err := disk.Newest(dir, "KV_"+schema.StateBucket, schema.LinkSubject)
	if err != nil {
		return nil, fmt.Errorf("look for renewed links of devices, nothing was changed: %w; look at the disk, or move %s away "+
			"to restore without them", err, filepath.Join(dir, disk.LiveFolder))
	}
	return links, nil
}

// links are those of an external store that is to be replaced. A restore that dies between the removal of
// the bucket and keepLinks, a moment, has lost them.
func (b *Bus) links(ctx context.Context) (list []disk.Message, err error) {
	stream := "KV_" + schema.StateBucket
	if _, err := b.link.JS.Stream(ctx, stream); errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	r := stored.Reader{Link: b.link, Stream: stream, Filter: schema.LinkSubject + ">", LastPerSubject: true}
	err = r.Read(ctx, func(m stored.Message) error {
		if !m.Absent {
			list = append(list, disk.Message{Subject: m.Subject, Stored: m.Stored, Body: m.Raw.Data()})
		}
		return nil
	}, nil)
	if errors.Is(err, store.ErrDamaged) { // which may be why a backup is restored
		err = nil
	}
	return list, err
}

// keepLinks stores links again that were renewed after those of the backup, and names their devices: a sheet
// whose link was ended does not become valid again.
func (b *Bus) keepLinks(ctx context.Context, links []disk.Message) (devices []string, err error) {
	for _, l := range links {
		switch kept, err := b.keepLink(ctx, l); {
		case err != nil:
			return nil, fmt.Errorf("keep the link of a device: %w", err)
		case kept:
			devices = append(devices, strings.TrimPrefix(l.Subject, schema.LinkSubject))
		}
	}
	slices.Sort(devices)
	return devices, nil
}

func (b *Bus) keepLink(ctx context.Context, l disk.Message) (kept bool, err error) {
	s, err := b.link.JS.Stream(ctx, "KV_"+schema.StateBucket)
	if err != nil {
		return false, err
	}
	was, err := s.GetLastMsgForSubject(ctx, l.Subject)
	switch {
	case err == nil && !was.Time.Before(l.Stored):
		return false, nil
	case err != nil && !errors.Is(err, jetstream.ErrMsgNotFound):
		return false, err
	}
	_, err = b.link.JS.Publish(ctx, l.Subject, l.Body)
	return err == nil, err
}

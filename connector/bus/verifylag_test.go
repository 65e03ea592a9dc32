package bus

import (
	"errors"
	"testing"
	"testing/synctest"

	"pullprint/connector/store"

	"github.com/nats-io/nats.go/jetstream"
)

// A server of a cluster that is behind gives out less for a moment, which is no damage; a
// server of our own has nobody to wait for.
func TestVerifyOfAServerThatIsBehind(t *testing.T) {
	holds := jetstream.StreamState{Msgs: 3, LastSeq: 7}
	for name, c := range map[string]struct {
		cfg     Config
		behind  int // readings
		damaged bool
	}{
		"cluster, behind for 3 s": {Config{URL: "nats://nats.contoso.com"}, 3, false},
		"cluster, for ever":       {Config{URL: "nats://nats.contoso.com"}, 1000, true},
		"embedded":                {Config{Embedded: &Embedded{}}, 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &Bus{cfg: c.cfg}
				n := 0
				err := b.verifyReading(t.Context(), "KV_pullprint_quota", func() (readThrough, error) {
					p := readThrough{before: holds, after: holds, read: 3}
					if n++; n <= c.behind {
						p.read = 2
					}
					return p, nil
				})
				if errors.Is(err, store.ErrDamaged) != c.damaged || !c.damaged && err != nil {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

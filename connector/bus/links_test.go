package bus_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/racetest"
)

// wantKeys holds the state against keys with their values, "" for one that must not be there.
func wantKeys(t *testing.T, b *bus.Bus, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if got, _, err := b.State().Get(t.Context(), key); string(got) != value || err != nil {
			t.Errorf("%s is %q, want %q: %v", key, got, value, err)
		}
	}
}

// replace restores a backup over a store and reports whose links were kept.
func replace(t *testing.T, cfg bus.Config, file []byte, want ...string) {
	t.Helper()
	r, err := bus.Restore(t.Context(), cfg, bytes.NewReader(file), int64(len(file)), bus.RestoreOptions{Replace: true})
	if err != nil || !slices.Equal(r.RenewedLinks, want) {
		t.Errorf("kept %v, want %v: %v", r.RenewedLinks, want, err)
	}
}

// The links of devices that were renewed since a backup stay when it is restored over the store that has them,
// also when files of that are damaged, and sessions don't come back. The copy of a migration is whole.
func TestRestoreOverRenewedLinks(t *testing.T) {
	racetest.Skip(t, "one after the other")
	dir := filepath.Join(bustest.TempDir(t), "nats")
	stores := map[string]bus.Config{"embedded": config(dir), "external": {URL: bustest.External(t)}}
	for name, cfg := range stores {
		t.Run(name, func(t *testing.T) {
			b, err := bus.Open(t.Context(), cfg, bus.Options{Instance: "daemon"})
			if err != nil {
				t.Fatal(err)
			}
			kept := mustSet(t, b.State(), "phone.link.kept", "1", 0, 0)
			mustSet(t, b.State(), "phone.link.same", "1", 0, 0)
			mustSet(t, b.State(), "session.x", "1", 0, 0)
			mustSet(t, b.Badges(), "c.x", "1", 0, 0)
			file := backedUp(t, b)
			mustSet(t, b.State(), "phone.link.kept", "2", kept, 0)
			mustSet(t, b.State(), "phone.link.new", "2", 0, 0)
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			if cfg.Embedded != nil {
				damageEnd(t, dir)
			}
			replace(t, cfg, file, "kept", "new")
			replace(t, cfg, file, "kept", "new") // the second finds what the first has kept
			if cfg.Embedded != nil {
				if err := cfg.Embedded.Whole(); err != nil {
					t.Error(err)
				}
			}
			if b, err = bus.Open(t.Context(), cfg, bus.Options{Instance: "daemon"}); err != nil {
				t.Fatal(err)
			}
			wantKeys(t, b, map[string]string{
				"phone.link.kept": "2", "phone.link.same": "1", "phone.link.new": "2", "session.x": "",
			})
			mustSet(t, b.State(), "session.y", "1", 0, 0)
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			moved := config(filepath.Join(bustest.TempDir(t), "moved"))
			if _, err := bus.Migrate(t.Context(), cfg, moved, bus.RestoreOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := bus.Compact(t.Context(), moved, bus.Options{}); err != nil {
				t.Fatal(err)
			}
			if b, err = bus.Open(t.Context(), moved, bus.Options{}); err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			wantKeys(t, b, map[string]string{"phone.link.kept": "2", "session.y": "1"})
		})
	}
}

// damageEnd writes garbage behind the messages of the state.
func damageEnd(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "KV_pullprint_state", "msgs", "*.blk"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	f, err := os.OpenFile(files[len(files)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("garbage that is no record of a message"); err != nil {
		t.Fatal(err)
	}
}

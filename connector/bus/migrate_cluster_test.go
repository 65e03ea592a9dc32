package bus_test

import (
	"path/filepath"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

// From embedded to a cluster of three, where each stream has three copies, and back.
func TestMigrateToCluster(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(bustest.TempDir(t), "nats")
	b, err := bus.Open(t.Context(), config(dir), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stock(t, b, 0, 200)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	cluster := bus.Config{URL: bustest.StartCluster(t).URL(), Replicas: 3}
	begun := time.Now()
	there, err := bus.Migrate(t.Context(), config(dir), cluster, bus.RestoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("there in %s", time.Since(begun))
	other, err := bus.Open(t.Context(), cluster, bus.Options{Instance: "daemon"})
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := other.Jobs().Get(t.Context(), "owner.printer.199"); string(v) != `{"job":199}` || err != nil {
		t.Error(string(v), err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	back := config(filepath.Join(bustest.TempDir(t), "back"))
	begun = time.Now()
	here, err := bus.Migrate(t.Context(), cluster, back, bus.RestoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("back in %s", time.Since(begun))
	for i := range there.Streams {
		if a, b := there.Streams[i], here.Streams[i]; a.Name != "KV_pullprint_state" && a != b {
			t.Errorf("there %+v, back %+v", a, b)
		}
	}
}

package bus_test

import (
	"os"
	"path/filepath"
	"testing"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

// Streams tells of each of ours, and of tasks how many wait.
func TestStreams(t *testing.T) {
	b := bustest.Open(t)
	for _, id := range []string{"a", "b", "c"} {
		if _, err := b.PublishTask(t.Context(), "definition", id, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := b.Streams(t.Context())
	if err != nil || len(list) != 10 {
		t.Fatalf("%d streams, %v", len(list), err)
	}
	if tasks := list[0]; tasks.Name != "PULLPRINT_TASKS" || tasks.Messages != 3 || tasks.Last != 3 || tasks.Bytes == 0 ||
		tasks.Pending != 3 || tasks.MaxBytes <= 0 {
		t.Errorf("%+v", tasks)
	}
}

// From outside: an external server tells its streams, and an embedded store needs the
// less of the disk the more it has.
func TestInspect(t *testing.T) {
	cfg := bus.Config{URL: bustest.External(t)}
	before, err := bus.Inspect(t.Context(), cfg)
	if err != nil || before.Embedded || before.Version == "" || len(before.Streams) != 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	b, err := bus.Open(t.Context(), cfg, bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if after, err := bus.Inspect(t.Context(), cfg); err != nil || len(after.Streams) != 10 || after.Streams[0].Replicas != 1 {
		t.Errorf("%+v, %v", after, err)
	}
	dir := bustest.TempDir(t)
	embedded := bus.Config{Embedded: &bus.Embedded{StoreDir: dir, MaxStore: 256 << 20}}
	empty, err := bus.Inspect(t.Context(), embedded)
	if err != nil || !empty.Embedded || empty.Free <= 0 || empty.Needed < 255<<20 {
		t.Fatalf("%+v, %v", empty, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "block"), make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if used, err := bus.Inspect(t.Context(), embedded); err != nil || empty.Needed-used.Needed < 4<<20 {
		t.Errorf("%+v after %+v, %v", used, empty, err)
	}
}

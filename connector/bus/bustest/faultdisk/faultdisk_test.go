package faultdisk_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"pullprint/connector/bus/bustest/faultdisk"
)

// write appends to a file and syncs it.
func write(name, text string, sync bool) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Each fault is met by who writes to what it is for, and by nobody else.
func TestFaults(t *testing.T) {
	d := faultdisk.New(t)
	bad, good := filepath.Join(d.Dir, "bad"), filepath.Join(d.Dir, "good")
	for fault, want := range map[faultdisk.Fault]error{
		faultdisk.Full: syscall.ENOSPC, faultdisk.WriteError: syscall.EIO, faultdisk.SyncError: syscall.EIO,
		faultdisk.Short: syscall.ENOSPC, faultdisk.ReadOnly: syscall.EROFS, faultdisk.SlowSync: nil,
	} {
		for _, name := range []string{bad, good} {
			if err := write(name, "before ", true); err != nil {
				t.Fatal(fault, err)
			}
		}
		if fault == faultdisk.SlowSync {
			time.AfterFunc(100*time.Millisecond, func() { d.Heal() })
		}
		d.Fail(fault, "bad")
		began := time.Now()
		if err := write(bad, "after", true); !errors.Is(err, want) {
			t.Errorf("%s: %v", fault, err)
		}
		if took := time.Since(began); fault == faultdisk.SlowSync && took < 100*time.Millisecond {
			t.Errorf("%s took %s", fault, took)
		}
		if err := write(good, "after", true); err != nil {
			t.Errorf("%s: the other file: %v", fault, err)
		}
		if d.Struck() == 0 {
			t.Errorf("%s never struck", fault)
		}
		d.Heal()
		if err := write(bad, "well", true); err != nil {
			t.Errorf("%s: healed: %v", fault, err)
		}
	}
}

// What was not synced is gone after a power cut, and the rest is there.
func TestPowerCut(t *testing.T) {
	d := faultdisk.New(t)
	kept, lost, cut := filepath.Join(d.Dir, "kept"), filepath.Join(d.Dir, "lost"), filepath.Join(d.Dir, "cut")
	for _, err := range []error{
		write(kept, "synced", true), write(kept, " not synced", false), write(lost, "never synced", false),
		write(cut, "synced", true), os.Truncate(cut, 3), os.Rename(cut, cut+".renamed"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := d.PowerCut(); n != 3 {
		t.Errorf("%d files were affected", n)
	}
	for name, want := range map[string]string{kept: "synced", lost: "", cut + ".renamed": "synced"} {
		if text, err := os.ReadFile(name); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v; want %q", name, text, err, want)
		}
	}
}

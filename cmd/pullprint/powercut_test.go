package main

import (
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

var (
	diskCuts  = flag.Int("disk.cuts", 2, "how often TestPowerCut cuts the power")
	imageCuts = flag.Int("disk.imagecuts", 0, "how often TestPowerCutOfImage cuts the power; 0 leaves it out: it has to be root")
)

// TestPowerCut cuts the power under load: the process is gone, and with it all that was
// written and not synced. Nothing that was acknowledged is lost.
func TestPowerCut(t *testing.T) {
	racetest.Skip(t, "TestKill9 kills the same program")
	t.Parallel()
	c, disk, _ := onFaultyDisk(t)
	affected := 0
	c.cutPower(*diskCuts, func() { affected += disk.PowerCut() })
	t.Logf("%d cuts, %d files were not synced", *diskCuts, affected)
}

// TestPowerCutOfImage is TestPowerCut on a file system of Linux: what the power leaves is what has come to
// the image of its disk, and the journal is replayed.
func TestPowerCutOfImage(t *testing.T) {
	if *imageCuts == 0 {
		t.Skip("only with -disk.imagecuts N")
	}
	c := newChaos(t, graphtest.Calm(), 1)
	c.outages, c.every = true, 50*time.Millisecond
	disk := newImageDisk(t)
	c.on(disk.dir)
	c.cutPower(*imageCuts, disk.powerCut)
	t.Logf("%d cuts", *imageCuts)
}

// cutPower kills the process n times under load, each time with cut, and looks that nothing that was
// acknowledged is lost.
func (c *chaos) cutPower(n int, cut func()) {
	c.Helper()
	p := c.start()
	c.ready(p)
	c.enrol()
	stop, sent := make(chan struct{}), make(chan struct{})
	go c.send(stop, sent)
	stopTaps := c.tap()
	defer stopTaps()
	for range n {
		c.ready(p)
		c.swept(p)
		<-time.After(time.Duration(rand.IntN(1500)) * time.Millisecond)
		p.kill()
		cut()
		p = c.start()
	}
	close(stop)
	<-sent
	c.finish(p)
	stopTaps()
	c.judge()
}

// imageDisk is an ext4 file system on the image of a disk.
type imageDisk struct {
	t          *testing.T
	image, dir string
}

// imageSize has room for a store of 256 MiB with what is staged, and is sparse.
const imageSize = 768 << 20

func newImageDisk(t *testing.T) *imageDisk {
	t.Helper()
	d := &imageDisk{t: t, image: filepath.Join(t.TempDir(), "disk"), dir: t.TempDir()}
	f, err := os.Create(d.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(imageSize); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	d.run("mkfs.ext4", "-q", "-F", d.image)
	d.mount()
	t.Cleanup(d.unmount)
	return d
}

func (d *imageDisk) mount() { d.run("mount", "-o", "loop", d.image, d.dir) }

// unmount goes on when somebody has a file open: a process that another test is just starting.
func (d *imageDisk) unmount() {
	if err := syscall.Unmount(d.dir, syscall.MNT_DETACH); err != nil {
		d.t.Error(err)
	}
}

// powerCut goes on with a copy of what has come to the image so far.
func (d *imageDisk) powerCut() {
	d.t.Helper()
	left := d.image + ".cut"
	d.run("cp", "--sparse=always", d.image, left)
	d.unmount()
	if err := os.Rename(left, d.image); err != nil {
		d.t.Fatal(err)
	}
	d.mount()
}

func (d *imageDisk) run(command string, args ...string) {
	d.t.Helper()
	if out, err := exec.CommandContext(d.t.Context(), command, args...).CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/dial"
	"pullprint/connector/bus/disk"
	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/connector/terminal"
)

// diskBroken is too little for a store to go on: it compacts by writing anew.
const diskBroken = 64 << 20

// accountNearlyFull is the part of an account of NATS that is worth a word.
const accountNearlyFull = 0.9

func (ds *diagnostics) store(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	in, err := bus.Inspect(ctx, daemon.StoreConfig(ds.Config))
	switch {
	case errors.Is(err, dial.ErrTooOld):
		ds.say("store", Failed, err.Error(), "upgrade the servers, one after the other")
	case err != nil:
		ds.say("store", Failed, err.Error(), storeAdvice(ds.Config.NATS))
	case in.Embedded:
		ds.embedded(ctx, in)
	default:
		ds.external(in)
	}
}

func storeAdvice(c config.NATS) string {
	if c.Embedded != nil {
		return "make the folder, writable for the user pullprint runs as"
	}
	return "check nats.url, the credentials, and that the servers run with JetStream"
}

func (ds *diagnostics) embedded(ctx context.Context, in bus.Inspection) {
	ds.say("fsync", OK, "embedded: every write is on disk before it counts", "")
	text := fmt.Sprintf("%s are free, and the store may take %s more", size(in.Free), size(in.Needed))
	switch {
	case in.Free < diskBroken:
		ds.say("disk", Failed, text, "make room now: a store on a full disk stays Failed until the daemon starts again")
	case in.Free < in.Needed:
		ds.say("disk", Warning, text, "make room, or lower nats.embedded.max_store")
	default:
		ds.say("disk", OK, text, "")
	}
	ds.usable(ctx)
}

// usable tells whether a daemon of this user could work with the embedded store.
func (ds *diagnostics) usable(ctx context.Context) {
	if ds.Config.NATS.Embedded == nil {
		return
	}
	err := daemon.StoreConfig(ds.Config).Embedded.Usable()
	runs := DaemonRuns(ctx, ds.Config)
	switch {
	case errors.Is(err, disk.ErrLocked) && runs:
		ds.say("store", OK, "embedded in the daemon, which has it; one copy: "+ds.Config.NATS.Embedded.StoreDir, "")
	case err == nil && runs:
		ds.say("store", Warning, fmt.Sprintf("the daemon that runs here has another store than %s", ds.Config.NATS.Embedded.StoreDir),
			"name the configuration that the daemon has with --config, or restart the daemon with this one")
	case errors.Is(err, disk.ErrLocked):
		ds.say("store", Failed, err.Error(), "stop that process, or give this daemon a nats.embedded.store_dir of its own")
	case err != nil:
		ds.cannotWrite("store", err)
	default:
		ds.whole()
	}
}

// whole tells whether a daemon would take an embedded store that none has now.
func (ds *diagnostics) whole() {
	embedded := daemon.StoreConfig(ds.Config).Embedded
	// one that began meanwhile writes to it
	if err := embedded.Whole(); err != nil && !errors.Is(embedded.Usable(), disk.ErrLocked) {
		ds.say("store", Failed, err.Error(),
			"deploy/docs/operations.md tells in which order, under: A store that lost something")
		return
	}
	ds.say("store", OK, "embedded in the daemon, one copy: "+embedded.StoreDir, "")
}

// cannotWrite tells of a path that the daemon has to write, and this user can't.
func (ds *diagnostics) cannotWrite(about string, err error) {
	path := "the folder"
	var at *fs.PathError
	if errors.As(err, &at) {
		path = at.Path
	}
	ds.say(about, Failed, fmt.Sprintf("%s (as %s)", err, terminal.User()),
		"run doctor as the user that the daemon runs as; if this is that user, give it the path: chown -R USER "+path)
}

// written looks at what else the daemon writes.
func (ds *diagnostics) written(context.Context) {
	if dir := ds.Config.LedgerExport.Dir; dir != "" {
		if err := disk.Creatable(filepath.Join(dir, "x")); err != nil {
			ds.cannotWrite("ledger export", fmt.Errorf("ledger_export.dir: %w", err))
		} else {
			ds.say("ledger export", OK, "its folder can be written", "")
		}
	}
	if file := ds.Config.Administrator.SignInFile; file != "" {
		if err := disk.Creatable(file); err != nil {
			ds.cannotWrite("administrator", fmt.Errorf("administrator.sign_in_file: %w", err))
		}
	}
}

// external tells of servers that others run.
func (ds *diagnostics) external(in bus.Inspection) {
	want := max(1, ds.Config.NATS.Replicas)
	ds.say("store", OK, fmt.Sprintf("NATS %s, %s", in.Version, copies(want)), "")
	ds.fsync(want)
	var few, away, leaderless []string
	for _, s := range in.Streams {
		if s.Replicas < want {
			few = append(few, s.Name)
		}
		if len(s.Away) > 0 {
			away = append(away, s.Name+" on "+strings.Join(s.Away, " and "))
		}
		if in.Cluster != "" && s.Leader == "" {
			leaderless = append(leaderless, s.Name)
		}
	}
	switch {
	case len(leaderless) > 0:
		ds.say("replicas", Failed, "no server leads "+strings.Join(leaderless, ", "),
			"start the servers that are down: a stream needs most of its copies")
	case len(away) > 0:
		ds.say("replicas", Warning, "copies are offline or behind: "+strings.Join(away, "; "), "look at those servers")
	case len(few) > 0:
		ds.say("replicas", Warning, fmt.Sprintf("fewer than nats.replicas (%d): %s", want, strings.Join(few, ", ")),
			fmt.Sprintf("`nats stream edit --replicas %d` changes a stream that is there", want))
	case len(in.Streams) == 0:
		ds.say("replicas", OK, "there are no streams yet: the daemon makes them", "")
	default:
		ds.say("replicas", OK, fmt.Sprintf("%s, all copies are there", terminal.Counted(len(in.Streams), "stream")), "")
	}
	if in.Limit > 0 {
		text := fmt.Sprintf("the account has %s of %s", size(in.Used), size(in.Limit))
		if float64(in.Used) > accountNearlyFull*float64(in.Limit) {
			ds.say("disk", Warning, text, "raise the account's limit of JetStream")
		} else {
			ds.say("disk", OK, text, "")
		}
	}
}

// fsync tells what can't be asked for: no interface of NATS tells how often a
// server syncs.
func (ds *diagnostics) fsync(copies int) {
	if copies > 1 {
		ds.say("fsync", OK,
			fmt.Sprintf("not told by NATS; %d copies stand for it while servers don't lose power together", copies), "")
		return
	}
	ds.say("fsync", Warning, "NATS does not tell how often it syncs: by default every 2 minutes, and a power cut loses "+
		"what came since", "set `sync_interval: always` in the jetstream section of the server, or keep 3 copies "+
		"(nats.replicas)")
}

// size is a number of bytes, for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

func copies(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return fmt.Sprintf("%d copies", n)
}

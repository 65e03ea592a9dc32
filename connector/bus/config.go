package bus

import (
	"errors"

	"pullprint/connector/bus/dial"
	"pullprint/connector/bus/disk"
	"pullprint/connector/store"
)

// defaultMaxStore has room for 450,000 held jobs in the share of their bucket.
const defaultMaxStore = store.Size(2 << 30)

// Config says where streams and buckets live: in a server inside this process
// (Embedded) or in one that others run (URL). Exactly one of the two.
type Config struct {
	// Embedded runs a server inside this process: no port, nothing to install,
	// every write on disk (fsync) before it is acknowledged.
	Embedded *Embedded
	// URL of an external server or cluster, 2.14 or newer, with JetStream:
	// nats://host:4222, tls://host:4222; several separated by commas.
	URL string
	// CredentialsFile is a NATS .creds file, for URL only. It is read again at
	// every connect.
	CredentialsFile string
	// NkeyFile holds the seed of an nkey (SU…), for URL only; instead of
	// CredentialsFile. Another nkey needs a restart.
	NkeyFile string
	// TLS is how URL is spoken to, beyond tls:// and the roots of this machine.
	TLS TLS
	// Replicas of every stream and bucket, for URL only: 1, 3 or 5; 0 means 1.
	Replicas int
	// MaxBytes is what all streams and buckets may take together when they are made, for
	// URL only; each has a fixed share, as in the embedded store. 0 is no limit of ours.
	MaxBytes store.Size
	// Retention is how long records are kept.
	Retention Retention
}

// TLS configures connections to an external server.
type TLS = dial.TLS

// Embedded configures the server inside this process.
type Embedded struct {
	// StoreDir holds everything; created with mode 0700 when missing. One
	// process at a time: a second one is refused.
	StoreDir string
	// MaxStore caps what is stored, 2GiB by default and 64MiB at least. Each
	// stream and bucket has a fixed share (see the package comment); a full
	// one refuses writes. Files can take up to about twice as much until they
	// are compacted.
	MaxStore store.Size
	// MarkFile is where it is noted how far the store has come, so that one that
	// was rolled back or deleted is noticed at start: StoreDir with .mark behind
	// it when empty. On another disk it outlives this one.
	MarkFile string
}

// check refuses a configuration that says nothing, or two things, of where to connect.
func (c Config) check() error {
	switch {
	case c.Embedded == nil && c.URL == "":
		return errors.New("nats: set embedded.store_dir (a server in this process) or url (an external one)")
	case c.Embedded != nil && c.URL != "":
		return errors.New("nats: embedded and url exclude each other")
	case c.Embedded != nil && c.Embedded.StoreDir == "":
		return errors.New("nats.embedded.store_dir: missing")
	}
	return nil
}

func (c Config) server() dial.Server {
	return dial.Server{URL: c.URL, CredentialsFile: c.CredentialsFile, NkeyFile: c.NkeyFile, TLS: c.TLS}
}

func (c Config) replicas() int { return max(1, c.Replicas) }

func (e Embedded) maxStore() int64 {
	if e.MaxStore == 0 {
		return int64(defaultMaxStore)
	}
	return int64(e.MaxStore)
}

// Usable reports what keeps the current user from working with an embedded store: a
// folder or a file that it can't read or write, or another process that has the store.
// It changes nothing. That there is no store yet is no error, if one can be made.
func (e *Embedded) Usable() error { return disk.Usable(e.StoreDir, e.markFile()) }

// Whole reports what a start would refuse an embedded store for that no process has:
// what its files have lost, or can't be read of them. It changes nothing.
func (e *Embedded) Whole() error { return disk.Whole(e.StoreDir, e.markFile()) }

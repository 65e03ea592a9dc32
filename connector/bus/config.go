package bus

import (
	"path/filepath"
	"strings"

	"pullprint/connector/store"
)

const (
	defaultMaxStore = store.Size(2 << 30)
	minMaxStore     = store.Size(64 << 20)
)

// Config says where streams and buckets live: in a server inside this process
// (Embedded) or in one that others run (URL). Exactly one of the two.
type Config struct {
	// Embedded runs a server inside this process: no port, nothing to install,
	// every write on disk (fsync) before it is acknowledged.
	Embedded *Embedded `yaml:"embedded"`
	// URL of an external server or cluster, 2.14 or newer, with JetStream:
	// nats://host:4222, tls://host:4222; several separated by commas.
	URL string `yaml:"url"`
	// CredentialsFile is a NATS .creds file, for URL only. It is read again at
	// every connect.
	CredentialsFile string `yaml:"credentials_file"`
	// NkeyFile holds the seed of an nkey (SU…), for URL only; instead of
	// CredentialsFile. Another nkey needs a restart.
	NkeyFile string `yaml:"nkey_file"`
	// TLS is how URL is spoken to, beyond tls:// and the roots of this machine.
	TLS TLS `yaml:"tls"`
	// Replicas of every stream and bucket, for URL only: 1, 3 or 5; 0 means 1.
	Replicas int `yaml:"replicas"`
	// MaxBytes is what all streams and buckets may take together when they are made, for
	// URL only; each has a fixed share, as in the embedded store. 0 is no limit of ours.
	MaxBytes store.Size `yaml:"max_bytes"`
	// Retention is how long records are kept.
	Retention Retention `yaml:"-"`
}

// TLS configures connections to an external server. Its files are read again at
// every connect, so that a new certificate needs no restart.
type TLS struct {
	// CAFile are the certificates of the CA that signed the server's, instead of
	// the roots of this machine.
	CAFile string `yaml:"ca_file"`
	// CertFile and KeyFile are our own certificate, for servers that ask for one.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// Embedded configures the server inside this process.
type Embedded struct {
	// StoreDir holds everything; created with mode 0700 when missing. One
	// process at a time: a second one is refused.
	StoreDir string `yaml:"store_dir"`
	// MaxStore caps what is stored, 2GiB by default and 64MiB at least. Each
	// stream and bucket has a fixed share (see the package comment); a full
	// one refuses writes. Files can take up to about twice as much until they
	// are compacted.
	MaxStore store.Size `yaml:"max_store"`
	// MarkFile is where it is noted how far the store has come, so that one that
	// was rolled back or deleted is noticed at start: StoreDir with .mark behind
	// it when empty. On another disk it outlives this one.
	MarkFile string `yaml:"mark_file"`
}

// Validate reports everything that is wrong with c, as Problems.
func (c Config) Validate() error {
	var ps Problems
	switch {
	case c.Embedded == nil && c.URL == "":
		ps.add("nats", seeExample, "set embedded.store_dir (a server in this process) or url (an external one)")
	case c.Embedded != nil && c.URL != "":
		ps.add("nats", seeExample, "embedded and url exclude each other")
	}
	if c.Embedded != nil {
		c.Embedded.validate(&ps)
		c.onlyExternal(&ps)
	}
	if c.URL != "" && c.CredentialsFile != "" && c.NkeyFile != "" {
		ps.add("nats.nkey_file", "leave one of them", "a second kind of credentials beside credentials_file")
	}
	if m := c.MaxBytes; m != 0 && m < minMaxStore {
		ps.add("nats.max_bytes", seeExample, "%v is too small, want %v at least", m, minMaxStore)
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		ps.add("nats.tls", leaveOut, "a certificate and its key go together")
	}
	switch c.Replicas {
	case 0, 1, 3, 5:
	default:
		hint := "write 1, 3 or 5"
		if c.URL == "" {
			hint = oneCopy
		}
		ps.add("nats.replicas", hint, "%d, want 1, 3 or 5", c.Replicas)
	}
	return ps.err()
}

// What to do about a problem.
const (
	seeExample = "see config.example.yaml"
	leaveOut   = "leave it out, or name an external server in nats.url"
	oneCopy    = "leave it out: one server has one copy"
)

// validate reports what is wrong with the embedded server.
func (e Embedded) validate(ps *Problems) {
	if e.StoreDir == "" {
		ps.add("nats.embedded.store_dir", seeExample, "missing")
	}
	if m := e.MaxStore; m != 0 && m < minMaxStore {
		ps.add("nats.embedded.max_store", "write that or more, or leave it out for 2GiB",
			"%v is too small, want %v at least", m, minMaxStore)
	}
	if f := e.MarkFile; f != "" && e.StoreDir != "" && within(f, e.StoreDir) {
		ps.add("nats.embedded.mark_file", "name a file outside of it, best on another disk, or leave it out",
			"it is in store_dir, and would be lost together with it")
	}
}

// onlyExternal reports what an embedded server has no use for.
func (c Config) onlyExternal(ps *Problems) {
	if c.CredentialsFile != "" {
		ps.add("nats.credentials_file", leaveOut, "only with url")
	}
	if c.NkeyFile != "" {
		ps.add("nats.nkey_file", leaveOut, "only with url")
	}
	if c.TLS != (TLS{}) {
		ps.add("nats.tls", leaveOut, "only with url")
	}
	if c.Replicas > 1 {
		ps.add("nats.replicas", oneCopy, "only with url")
	}
	if c.MaxBytes != 0 {
		ps.add("nats.max_bytes", seeExample, "only with url; the embedded store has embedded.max_store")
	}
}

// within reports whether a file is in a folder or below it.
func within(file, dir string) bool {
	rel, err := filepath.Rel(dir, file)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func (c Config) replicas() int { return max(1, c.Replicas) }

func (e Embedded) maxStore() int64 {
	if e.MaxStore == 0 {
		return int64(defaultMaxStore)
	}
	return int64(e.MaxStore)
}

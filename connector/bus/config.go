package bus

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

const (
	defaultMaxStore = Size(2 << 30)
	minMaxStore     = Size(64 << 20)
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
	MaxBytes Size `yaml:"max_bytes"`
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
	MaxStore Size `yaml:"max_store"`
	// MarkFile is where it is noted how far the store has come, so that one that
	// was rolled back or deleted is noticed at start: StoreDir with .mark behind
	// it when empty. On another disk it outlives this one.
	MarkFile string `yaml:"mark_file"`
}

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case c.Embedded == nil && c.URL == "":
		add("nats: set embedded.store_dir (a server in this process) or url (an external one)")
	case c.Embedded != nil && c.URL != "":
		add("nats: embedded and url exclude each other")
	}
	if c.Embedded != nil {
		if c.Embedded.StoreDir == "" {
			add("nats.embedded.store_dir: missing")
		}
		if m := c.Embedded.MaxStore; m != 0 && m < minMaxStore {
			add("nats.embedded.max_store: %v is too small, want %v at least", m, minMaxStore)
		}
		if f := c.Embedded.MarkFile; f != "" && c.Embedded.StoreDir != "" && within(f, c.Embedded.StoreDir) {
			add("nats.embedded.mark_file: it is in store_dir, and would be lost together with it")
		}
		if c.CredentialsFile != "" {
			add("nats.credentials_file: only with url")
		}
		if c.NkeyFile != "" {
			add("nats.nkey_file: only with url")
		}
		if c.TLS != (TLS{}) {
			add("nats.tls: only with url")
		}
		if c.Replicas > 1 {
			add("nats.replicas: only with url")
		}
		if c.MaxBytes != 0 {
			add("nats.max_bytes: only with url; the embedded store has embedded.max_store")
		}
	}
	if c.URL != "" && c.CredentialsFile != "" && c.NkeyFile != "" {
		add("nats.nkey_file: a second kind of credentials beside credentials_file")
	}
	if m := c.MaxBytes; m != 0 && m < minMaxStore {
		add("nats.max_bytes: %v is too small, want %v at least", m, minMaxStore)
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		add("nats.tls: a certificate and its key go together")
	}
	switch c.Replicas {
	case 0, 1, 3, 5:
	default:
		add("nats.replicas: %d, want 1, 3 or 5", c.Replicas)
	}
	return errors.Join(errs...)
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

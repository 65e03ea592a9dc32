package config

import (
	"path/filepath"
	"slices"
	"strings"

	"pullprint/connector/bus/nkey"
	"pullprint/connector/store"
	"pullprint/trigger/webhook"
)

// NATS says where streams and buckets live: in a server inside this process
// (Embedded) or in one that others run (URL). Exactly one of the two.
type NATS struct {
	// Embedded runs a server inside this process: no port, nothing to install,
	// every write on disk (fsync) before it is acknowledged.
	Embedded *EmbeddedNATS `yaml:"embedded"`
	// URL of an external server or cluster, 2.14 or newer, with JetStream:
	// nats://host:4222, tls://host:4222; several separated by commas.
	URL string `yaml:"url"`
	// CredentialsFile is a NATS .creds file, for URL only. It is read again at
	// every connect.
	CredentialsFile string `yaml:"credentials_file"`
	// NkeyFile holds the seed of an nkey (SU…), for URL only; instead of
	// CredentialsFile. Another nkey needs a restart.
	NkeyFile string `yaml:"nkey_file"`
	// TLS configures connections to URL, beyond tls:// and the roots of this machine.
	TLS NATSTLS `yaml:"tls"`
	// Replicas of every stream and bucket, for URL only: 1, 3 or 5; 0 means 1.
	Replicas int `yaml:"replicas"`
	// MaxBytes is what all streams and buckets may take together when they are made, for
	// URL only; each has a fixed share, as in the embedded store. 0 is no limit of ours.
	MaxBytes store.Size `yaml:"max_bytes"`
}

// NATSTLS configures connections to an external server. Its files are read again at
// every connect, so that a new certificate needs no restart.
type NATSTLS struct {
	// CAFile are the certificates of the CA that signed the server's, instead of
	// the roots of this machine.
	CAFile string `yaml:"ca_file"`
	// CertFile and KeyFile are our own certificate, for servers that ask for one.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// EmbeddedNATS configures the server inside this process.
type EmbeddedNATS struct {
	// StoreDir holds everything; created with mode 0700 when missing. One
	// process at a time: a second one is refused.
	StoreDir string `yaml:"store_dir"`
	// MaxStore caps what is stored, 2GiB by default and 64MiB at least. Each
	// stream and bucket has a fixed share (see package bus); a full one refuses
	// writes. Files can take up to about twice as much until they are compacted.
	MaxStore store.Size `yaml:"max_store"`
	// MarkFile records how far the store has come, so that one that was rolled back
	// or deleted is noticed at start: StoreDir with .mark behind it when empty. On
	// another disk it outlives this one.
	MarkFile string `yaml:"mark_file"`
}

// minMaxStore leaves the smallest share, 2 %, room for 1.3 MB of records.
const minMaxStore = store.Size(64 << 20)

// What to do about a setting that the kind of store does not have.
const (
	leaveOut = "leave it out, or name an external server in nats.url"
	oneCopy  = "leave it out: one server has one copy"
)

func (k *checker) nats() {
	n := k.c.NATS
	switch {
	case n.URL != "" && n.Embedded != nil:
		k.add("nats", "keep embedded for one machine, or url for a cluster of your own", "nats has both embedded and url")
	case n.URL != "":
		k.externalNATS(n)
	default:
		k.embeddedNATS(*n.Embedded)
		k.onlyExternal(n)
	}
}

func (k *checker) externalNATS(n NATS) {
	k.natsURL(n.URL)
	if file := n.CredentialsFile; file != "" {
		k.secretText("nats.credentials_file", file, "name the .creds file of the account")
	}
	k.nkey(n.NkeyFile)
	k.natsTLS(n.TLS)
	k.refuse(n.CredentialsFile != "" && n.NkeyFile != "", "nats.nkey_file", "leave one of them",
		"nats.nkey_file: a second kind of credentials beside credentials_file")
	k.atLeast("nats.max_bytes", n.MaxBytes, "see config.example.yaml")
	k.refuse(!slices.Contains([]int{0, 1, 3, 5}, n.Replicas), "nats.replicas", "write 1, 3 or 5",
		"nats.replicas: %d, want 1, 3 or 5", n.Replicas)
}

func (k *checker) embeddedNATS(e EmbeddedNATS) {
	k.atLeast("nats.embedded.max_store", e.MaxStore, "write that or more, or leave it out for 2GiB")
	k.refuse(e.MarkFile != "" && within(e.MarkFile, e.StoreDir), "nats.embedded.mark_file",
		"name a file outside of it, best on another disk, or leave it out",
		"nats.embedded.mark_file: it is in store_dir, and would be lost together with it")
}

// atLeast checks what a store may take, which may be left out.
func (k *checker) atLeast(path string, size store.Size, hint string) {
	k.refuse(size != 0 && size < minMaxStore, path, hint, "%s: %v is too small, want %v at least", path, size, minMaxStore)
}

// onlyExternal reports the settings that an embedded server does not have.
func (k *checker) onlyExternal(n NATS) {
	only := func(set bool, path, hint, more string) { k.refuse(set, path, hint, "%s: only with url%s", path, more) }
	only(n.CredentialsFile != "", "nats.credentials_file", leaveOut, "")
	only(n.NkeyFile != "", "nats.nkey_file", leaveOut, "")
	only(n.TLS != NATSTLS{}, "nats.tls", leaveOut, "")
	only(n.Replicas != 0 && n.Replicas != 1, "nats.replicas", oneCopy, "")
	only(n.MaxBytes != 0, "nats.max_bytes", "see config.example.yaml", "; the embedded store has embedded.max_store")
}

// within reports whether a file is in a folder or below it.
func within(file, dir string) bool {
	rel, err := filepath.Rel(dir, file)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// nkey checks a file with the seed of an nkey; the seed is never shown.
func (k *checker) nkey(file string) {
	const path = "nats.nkey_file"
	if file == "" {
		return
	}
	_, ok := k.secretText(path, file, "make one with `nsc generate nkey --user`, and keep its seed (SU…) there, chmod 600")
	if !ok || k.c.NATS.CredentialsFile != "" { // one of the two is too many already
		return
	}
	if _, err := nkey.PublicKey(file); err != nil {
		k.add(path, "write the line that begins with SU into it, as `nsc generate nkey --user` prints it",
			"nats.nkey_file: %v", err)
	}
}

// natsTLS checks the files of nats.tls.
func (k *checker) natsTLS(t NATSTLS) {
	k.pair("nats.tls", webhook.TLS{CertFile: t.CertFile, KeyFile: t.KeyFile})
	k.authority("nats.tls.ca_file", t.CAFile)
}

package config

import (
	"strings"

	"pullprint/connector/bus"
	"pullprint/trigger/webhook"
)

// natsHint says what to do about what bus.Config.Validate finds.
func natsHint(path string, external bool) string {
	switch path {
	case "nats.replicas":
		if external {
			return "write 1, 3 or 5"
		}
		return "leave it out: one server has one copy"
	case "nats.nkey_file":
		if external {
			return "leave one of them"
		}
		return "leave it out, or name an external server in nats.url"
	case "nats.credentials_file", "nats.tls":
		return "leave it out, or name an external server in nats.url"
	case "nats.embedded.mark_file":
		return "name a file outside of it, best on another disk, or leave it out"
	case "nats.embedded.max_store":
		return "write that or more, or leave it out for 2GiB"
	}
	return "see config.example.yaml"
}

func (k *checker) nats() {
	n := k.c.NATS
	switch {
	case n.URL != "" && n.Embedded != nil:
		k.add("nats", "keep embedded for one machine, or url for a cluster of your own", "nats has both embedded and url")
		return
	case n.URL != "":
		k.natsURL(n.URL)
		if file := n.CredentialsFile; file != "" {
			if st, ok := k.stat("nats.credentials_file", file, "name the .creds file of the account"); ok {
				k.guarded("nats.credentials_file", file, st)
				k.text("nats.credentials_file", file)
			}
		}
		k.nkey(n.NkeyFile)
		k.natsTLS(n.TLS)
	}
	err := n.Validate()
	if err == nil {
		return
	}
	told := map[string]bool{}
	for _, line := range strings.Split(err.Error(), "\n") {
		path, message, ok := strings.Cut(line, ": ")
		if !ok || !strings.HasPrefix(path, "nats") {
			path, message = "nats", line
		}
		if path == "nats.tls" && n.URL != "" {
			continue // the pair was looked at
		}
		if !told[path] {
			k.add(path, natsHint(path, n.URL != ""), "%s: %s", path, message)
		}
		told[path] = true
	}
}

// nkey checks a file with the seed of an nkey; the seed is never shown.
func (k *checker) nkey(file string) {
	const path = "nats.nkey_file"
	if file == "" || k.pasted(path, file) {
		return
	}
	st, ok := k.stat(path, file, "make one with `nsc generate nkey --user`, and keep its seed (SU…) there, chmod 600")
	if !ok {
		return
	}
	k.guarded(path, file, st)
	if k.c.NATS.CredentialsFile != "" {
		return // one of them is too many already
	}
	if _, ok := k.text(path, file); !ok {
		return
	}
	if err := bus.CheckNkey(file); err != nil {
		k.add(path, "write the line that begins with SU into it, as `nsc generate nkey --user` prints it",
			"nats.nkey_file: %v", err)
	}
}

// natsTLS checks the files of nats.tls.
func (k *checker) natsTLS(t bus.TLS) {
	k.pair("nats.tls", webhook.TLS{CertFile: t.CertFile, KeyFile: t.KeyFile})
	k.authority("nats.tls.ca_file", t.CAFile)
}

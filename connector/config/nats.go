package config

import (
	"errors"

	"pullprint/connector/bus"
	"pullprint/trigger/webhook"
)

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
	var problems bus.Problems
	errors.As(n.Validate(), &problems)
	told := map[string]bool{}
	for _, p := range problems {
		if p.Path == "nats.tls" && n.URL != "" {
			continue // the pair was looked at
		}
		if !told[p.Path] {
			k.add(p.Path, p.Hint, "%s: %s", p.Path, p.Message)
		}
		told[p.Path] = true
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

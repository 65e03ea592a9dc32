package daemon

import (
	"pullprint/connector/bus"
	"pullprint/connector/config"
)

// StoreConfig is the store of a configuration, as package bus takes it.
func StoreConfig(c *config.Config) bus.Config {
	n, r := c.NATS, c.Retention
	return bus.Config{
		Embedded: (*bus.Embedded)(n.Embedded), URL: n.URL, CredentialsFile: n.CredentialsFile, NkeyFile: n.NkeyFile,
		TLS: bus.TLS(n.TLS), Replicas: n.Replicas, MaxBytes: n.MaxBytes,
		Retention: bus.Retention{Decisions: r.Decisions, Audit: r.Audit, Ledger: r.Ledger, Dead: r.Dead},
	}
}

package doctor

import (
	"context"

	"pullprint/connector/daemon"
)

// webhooks connects to the systems that are told of notices, and posts nothing.
func (ds *diagnostics) webhooks(ctx context.Context) {
	senders, err := daemon.WebhookSenders(ds.Config)
	if err != nil {
		ds.say("webhook", Failed, err.Error(), "correct the URL")
		return
	}
	for _, s := range senders {
		if err := s.Check(ctx); err != nil {
			ds.say("webhook", Failed, err.Error(), "correct the entry of notices.webhooks, or let the firewall pass it; no proxy is used")
			continue
		}
		ds.say("webhook", OK, s.Host()+" can be connected to; whether it takes notices, `pullprint notices test USER` finds out", "")
	}
}

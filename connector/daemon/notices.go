package daemon

import (
	"pullprint/connector/config"
	"pullprint/connector/notify"
	"pullprint/connector/notify/mail"
)

// newNotifier is what tells people of their jobs, by the channels that are configured.
func (d *daemon) newNotifier() (*notify.Notifier, error) {
	cfg := d.o.Config.Notices
	texts, err := notify.LoadTexts(cfg.Templates)
	if err != nil {
		return nil, err
	}
	channels, err := NoticeChannels(cfg, d.graph)
	if err != nil {
		return nil, err
	}
	return notify.New(notify.Options{
		Records: d.bus, State: d.bus.State(), Stream: d.bus, Dead: d.bus, Channels: channels, Texts: texts,
		Registerer: d.o.Registry, Logger: d.o.Logger,
	}), nil
}

// NoticeChannels are the channels to people that a configuration has, in the order in which they are
// tried.
func NoticeChannels(cfg config.Notices, addresses mail.Addresses) ([]notify.Channel, error) {
	if !cfg.Mail.Configured() {
		return nil, nil
	}
	sender, err := mail.New(mail.Options{From: cfg.Mail.From, SMTP: cfg.Mail.SMTP, Addresses: addresses})
	if err != nil {
		return nil, err
	}
	return []notify.Channel{sender}, nil
}

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
	var channels []notify.Channel
	sender, err := MailSender(cfg, d.graph)
	if err != nil {
		return nil, err
	}
	if sender != nil {
		channels = append(channels, sender)
	}
	return notify.New(notify.Options{
		Records: d.bus, State: d.bus.State(), Stream: d.bus, Dead: d.bus, Channels: channels, Texts: texts,
		Registerer: d.o.Registry, Logger: d.o.Logger,
	}), nil
}

// MailSender sends notices by mail; nil when that is not configured.
func MailSender(cfg config.Notices, addresses mail.Addresses) (*mail.Sender, error) {
	if !cfg.Mail.Configured() {
		return nil, nil //nolint:nilnil // no mail is no error
	}
	return mail.New(mail.Options{From: cfg.Mail.From, SMTP: cfg.Mail.SMTP, Addresses: addresses})
}

package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/config"
	"pullprint/connector/notice"
	"pullprint/connector/notify"
	"pullprint/connector/notify/mail"
	"pullprint/connector/notify/teams"
	"pullprint/connector/notify/webhook"
	"pullprint/connector/printer"
)

// newNotifier is what tells people of their jobs, by the channels that are configured.
func (d *daemon) newNotifier() (*notify.Notifier, error) {
	cfg := d.o.Config.Notices
	texts, err := notify.LoadTexts(cfg.Templates)
	if err != nil {
		return nil, err
	}
	texts.Zone, texts.Place, texts.Languages, texts.People = d.zone, d.place, d.languages, d.graph
	texts.Titles, texts.Show = d.graph, cfg.Titles
	texts.Currency = func() string { return d.jobs.Evaluator.Policy().Currency() }
	if at := d.o.Config.SignIn.PublicURL; at != "" {
		texts.Link = strings.TrimSuffix(at, "/") + "/me"
	}
	d.texts = texts
	senders, err := Senders(d.o.Config, d.graph)
	if err != nil {
		return nil, err
	}
	var channels []notify.Channel
	for _, s := range senders {
		channels = append(channels, s)
	}
	hooks, err := WebhookSenders(d.o.Config)
	if err != nil {
		return nil, err
	}
	var webhooks []notify.Webhook
	for _, h := range hooks {
		webhooks = append(webhooks, h)
	}
	return notify.New(notify.Options{
		Records: d.bus, State: d.bus.State(), Stream: d.bus, Dead: d.bus, Channels: channels, Webhooks: webhooks,
		Texts: texts, BudgetLow: cfg.BudgetLow, Choices: notice.NewChoices(d.bus.State()), Registerer: d.o.Registry, Logger: d.o.Logger,
	}), nil
}

// Sender is a channel to people that tells what was answered.
type Sender interface {
	notify.Channel
	Deliver(ctx context.Context, m notify.Message) (answer string, err error)
}

// Graph sends messages to people; *graph.Client is one.
type Graph interface {
	mail.Graph
	teams.Graph
}

// Senders are the channels to people that are configured, in the order in which they are tried: mail, then
// Teams, which fewer people look at and phones may not show.
func Senders(cfg *config.Config, g Graph) (list []Sender, err error) {
	sender, err := MailSender(cfg.Notices, g)
	if err != nil {
		return nil, err
	}
	if sender != nil {
		list = append(list, sender)
	}
	if cfg.Notices.Teams.Configured() {
		sender, err := teams.New(cfg.Notices.Teams.AppID, cfg.SignIn.PublicURL, g)
		if err != nil {
			return nil, err
		}
		list = append(list, sender)
	}
	return list, nil
}

// MailSender sends notices by mail, by SMTP or Microsoft Graph; nil when neither is configured.
func MailSender(cfg config.Notices, g mail.Graph) (Sender, error) {
	switch {
	case cfg.Mail.Graph:
		return mail.NewGraph(cfg.Mail.From, g)
	case cfg.Mail.Configured():
		return mail.New(mail.Options{From: cfg.Mail.From, SMTP: cfg.Mail.SMTP, Addresses: g})
	}
	return nil, nil //nolint:nilnil // no mail is no error
}

// WebhookSenders post notices to the webhooks that are configured.
func WebhookSenders(cfg *config.Config) ([]*webhook.Sender, error) {
	var list []*webhook.Sender
	for i, w := range cfg.Notices.Webhooks {
		s, err := webhook.New(webhook.Options{
			URL: w.URL, SecretFile: w.SecretFile, Events: w.Events, Private: w.Private, Source: "/pullprint/" + cfg.TenantID,
			UserAgent: "pullprint/" + ReadBuild().Version,
		})
		if err != nil {
			return nil, fmt.Errorf("notices.webhooks[%d]: %w", i, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// languages are those of the stations and of the policy.
func (d *daemon) languages() []string {
	return []string{d.o.Config.Station.Language, d.jobs.Evaluator.Policy().Language()}
}

// reloadTexts reads the templates of notices again, since somebody asked.
func (d *daemon) reloadTexts() {
	dir := d.o.Config.Notices.Templates
	if dir == "" {
		return
	}
	if err := d.texts.Reload(); err != nil {
		d.log.Error("texts of notices not loaded, the previous ones stay in force", zap.String("folder", dir), zap.Error(err))
		return
	}
	d.log.Info("texts of notices loaded", zap.String("folder", dir))
}

// zone is the one in which people are told times: that of the stations, else that of the policy, else that of the
// machine.
func (d *daemon) zone() *time.Location {
	if name := d.o.Config.Station.Zone; name != "" {
		if zone, err := time.LoadLocation(name); err == nil { // else the configuration was refused
			return zone
		}
	}
	if zone := d.jobs.Evaluator.Policy().Zone(); zone != time.UTC { // also when the policy says nothing
		return zone
	}
	return time.Local
}

// place is what people call a device; one that is configured no more has its id.
func (d *daemon) place(device string) string {
	if one, ok := printer.DeviceByID(d.o.Config.Devices, device); ok {
		return one.Place()
	}
	return device
}

package config

import (
	"cmp"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"

	"pullprint/connector/display"
	"pullprint/connector/notify"
	"pullprint/connector/notify/mail"
	"pullprint/policy/strictyaml"
	"pullprint/trigger/graph"
)

// Notices says how people hear of what became of their jobs.
type Notices struct {
	// Mail sends them by mail, if it is configured.
	Mail Mail `yaml:"mail"`
	// Teams sends them to the activity feed in Microsoft Teams, if it is configured, to who is not reached by mail.
	Teams Teams `yaml:"teams"`
	// Webhooks are systems that are told of notices.
	Webhooks []Webhook `yaml:"webhooks"`
	// Titles says how messages to people show the titles of their jobs: hidden, masked or shown. They are
	// read from Graph when a message is sent, and are in nothing else.
	Titles string `yaml:"titles"`
	// Templates is a folder with texts that take the place of the program's own.
	Templates string `yaml:"templates"`
	// BudgetLow is of how many percent of their budget people are told, or less.
	BudgetLow int `yaml:"budget_low"`
}

// Mail is the channel mail.
type Mail struct {
	// From is the sender's address.
	From string    `yaml:"from"`
	SMTP mail.SMTP `yaml:"smtp"`
	// Graph sends by Microsoft Graph instead of SMTP.
	Graph bool `yaml:"graph"`
}

// Teams is the channel teams.
type Teams struct {
	// AppID is the id of the Teams app in the organisation's catalog.
	AppID string `yaml:"app_id"`
}

// Configured reports whether notices are sent to Teams.
func (t Teams) Configured() bool { return t.AppID != "" }

// Webhook is a system that is told of notices.
type Webhook struct {
	// URL is https, or http to this machine.
	URL string `yaml:"url"`
	// SecretFile has the secrets that sign.
	SecretFile string `yaml:"secret_file"`
	// Events are kinds of notices; none are all.
	Events []string `yaml:"events"`
	// Private lets it have an address of a private network.
	Private bool `yaml:"private"`
}

// Configured reports whether mail is sent.
func (m Mail) Configured() bool { return m != Mail{} }

// fill puts in the defaults of what is not said.
func (n *Notices) fill(doc *strictyaml.Document) {
	if doc.Has("notices.mail") && !n.Mail.Graph {
		or(&n.Mail.SMTP.TLS, mail.StartTLS)
	}
	or(&n.Titles, display.Hidden)
}

// maxBudgetLow is the largest part of a budget, in percent, that can be called low.
const maxBudgetLow = 50

// notices checks how people are told.
func (k *checker) notices() {
	n := k.c.Notices
	mail, teams := k.doc.Has("notices.mail"), k.doc.Has("notices.teams")
	if mail {
		k.mail("notices.mail", n.Mail)
	}
	if teams {
		k.teams("notices.teams", n.Teams)
	}
	k.refuse(k.doc.Has("notices") && !mail && !teams && len(n.Webhooks) == 0, "notices.mail",
		"write notices.mail with from and smtp or graph, notices.teams, or notices.webhooks, as in config.example.yaml, or leave "+
			"notices out: notices on NATS need no configuration", "notices without a channel: nothing would be sent")
	k.webhooks(n.Webhooks)
	k.oneOf("notices.titles", n.Titles, display.Hidden, display.Masked, display.Full)
	if k.doc.Has("notices.budget_low") && (n.BudgetLow < 1 || n.BudgetLow > maxBudgetLow) {
		k.add("notices.budget_low", fmt.Sprintf("write 1 to %d, as 10 for a tenth", maxBudgetLow), "notices.budget_low is out of range")
	}
	if n.Templates == "" {
		return
	}
	_, err := notify.LoadTexts(n.Templates)
	if err == nil {
		return
	}
	for wrong := range strings.SplitSeq(err.Error(), "\n") {
		k.add("notices.templates", "correct the file; deploy/docs/notices.md has the fields that a text can use",
			"notices.templates can't be used: %s", wrong)
	}
}

// tlsOf is how TLS begins at the ports to which programs submit messages (RFC 8314, section 3.3).
var tlsOf = map[string]string{"465": mail.TLS, "587": mail.StartTLS}

func (k *checker) mail(at string, m Mail) {
	if k.need(at+".from", m.From, "write the address that messages are sent from, as printing@example.com") {
		if _, err := netmail.ParseAddress(m.From); err != nil {
			k.add(at+".from", "write it as printing@example.com, or as Printing <printing@example.com>",
				"%s.from is not a mail address", at)
		}
	}
	if m.Graph {
		k.refuse(m.SMTP != mail.SMTP{}, at+".smtp", "leave smtp out, or graph", "%s has both graph and smtp", at)
		a, err := netmail.ParseAddress(m.From)
		k.refuse(err == nil && !graph.ValidUserName(a.Address), at+".from", "write the user name of the mailbox in Entra",
			"%s.from is not a user name of Entra", at)
		return
	}
	k.oneOf(at+".smtp.tls", m.SMTP.TLS, mail.StartTLS, mail.TLS, mail.None)
	if k.need(at+".smtp.address", m.SMTP.Address,
		"write the host and port of your mail server, as smtp.example.com:587; or graph: true, to send by Microsoft Graph") {
		host, port, err := net.SplitHostPort(m.SMTP.Address)
		switch {
		case err != nil, host == "", port == "":
			k.add(at+".smtp.address", "write the host and port of your mail server, as smtp.example.com:587",
				"%s.smtp.address is not a host and a port", at)
		case m.SMTP.TLS != mail.None && cmp.Or(tlsOf[port], m.SMTP.TLS) != m.SMTP.TLS:
			k.warn(at+".smtp.tls", fmt.Sprintf("%s.smtp.tls is %s, and port %s is for %s", at, m.SMTP.TLS, port, tlsOf[port]),
				"port 465 is for TLS from the beginning (tls), 587 for STARTTLS (starttls): change one of them")
		case m.SMTP.TLS == mail.None && !loopback(host):
			k.add(at+".smtp.tls", "write starttls or tls; none is for a mail server on this machine",
				"%s.smtp.tls is none, and the mail server is not on this machine", at)
		}
	}
	k.smtpUser(at+".smtp", m.SMTP)
}

// smtpUser checks that a user and a password come together.
func (k *checker) smtpUser(at string, s mail.SMTP) {
	switch {
	case s.User == "" && s.PasswordFile == "":
	case s.User == "":
		k.add(at+".user", "write the user name that belongs to the password", "%s has a password without its user", at)
	case s.PasswordFile == "":
		k.add(at+".password_file", fmt.Sprintf("write the password of %s.user into a file, readable by pullprint only (chmod 600), "+
			"and name it here", at), "%s has a user without a password", at)
	default:
		k.secret(at+".password_file", s.PasswordFile)
	}
}

func (k *checker) teams(at string, t Teams) {
	const write = "write the id that Teams has given the app: in the Teams admin center under Manage apps, App ID"
	if k.need(at+".app_id", t.AppID, write) {
		_, guid := graph.CanonicalGUID(t.AppID)
		k.refuse(!guid, at+".app_id", write+", as 0d820ecd-def2-4297-adad-78056cde7c78", "%s.app_id is not a GUID", at)
		k.refuse(strings.EqualFold(t.AppID, k.c.Auth.ClientID), at+".app_id", write,
			"%s.app_id is auth.client_id, the id of the app registration, not of the app in the catalog of Teams", at)
	}
	k.refuse(!k.c.SignIn.Configured(), at, "configure sign_in: a notice in Teams opens the person's own page",
		"%s needs sign_in", at)
}

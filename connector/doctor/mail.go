package doctor

import (
	"context"
	"time"

	"pullprint/connector/daemon"
	"pullprint/connector/notify/mail"
)

// mailWithin is how long the mail server may take to greet and to let us in: some delay strangers by
// half a minute.
const mailWithin = 45 * time.Second

// mail connects to the mail server and signs in, and sends nothing.
func (ds *diagnostics) mail(ctx context.Context) {
	sender, err := daemon.MailSender(ds.Config.Notices, nil)
	if sender == nil && err == nil {
		return
	}
	if ds.Config.Notices.Mail.Graph && err == nil {
		// The right may be Exchange's, of which no token tells: only a message proves it.
		ds.say("mail", OK, "is sent by Microsoft Graph; whether it lets us, `pullprint notices test USER` finds out", "")
		return
	}
	if smtp, ok := sender.(*mail.Sender); ok && err == nil {
		ctx, cancel := context.WithTimeout(ctx, mailWithin)
		defer cancel()
		err = smtp.Check(ctx)
	}
	if err != nil {
		ds.say("mail", Failed, err.Error(), "correct notices.mail.smtp: address, tls, user, password_file; or let the firewall pass it")
		return
	}
	ds.say("mail", OK, ds.Config.Notices.Mail.SMTP.Address+
		" lets us in; whether it takes messages, `pullprint notices test USER` finds out", "")
}

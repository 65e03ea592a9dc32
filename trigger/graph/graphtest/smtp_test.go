package graphtest_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"pullprint/trigger/graph/graphtest"
)

// The mail server keeps what it is sent as people read it, refuses what is too large or no mail, and goes
// on after that.
func TestServeMail(t *testing.T) {
	sim := graphtest.New(graphtest.Calm())
	defer sim.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sim.ServeMail(ctx, ln) }()
	send := func(text string) error {
		c, err := smtp.Dial(ln.Addr().String())
		if err != nil {
			return err
		}
		defer c.Close()
		return c.SendMail("printing@contoso.com", []string{"student@contoso.com"}, strings.NewReader(text))
	}
	const mail = "Message-ID: <1@contoso.com>\r\nSubject: =?utf-8?q?Nicht_gedruckt_=E2=80=93_zu_lang?=\r\n" +
		"Content-Transfer-Encoding: quoted-printable\r\n\r\nF=C3=BCr Sie\r\n"
	for name, text := range map[string]string{
		"too large": "Subject: x\r\n\r\n" + strings.Repeat("0123456789012345678901234567890123456789\r\n", 10_000), "no mail": "\x00\r\n",
	} {
		if err := send(text); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := send(mail); err != nil {
		t.Fatal(err)
	}
	got := sim.Messages()
	if len(got) != 1 || got[0].By != "SMTP" || got[0].To != "student@contoso.com" || got[0].Subject != "Nicht gedruckt – zu lang" ||
		!strings.HasPrefix(got[0].Text, "Für Sie") || got[0].ID != "<1@contoso.com>" {
		t.Errorf("%+v", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

package mail

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	netmail "net/mail"
	"strings"
	"time"

	"pullprint/connector/notify"
	"pullprint/trigger/graph"
)

// Graph sends mail by Microsoft Graph; *graph.Client is one.
type Graph interface {
	Addresses
	SendMail(ctx context.Context, from string, m graph.Mail) error
}

// GraphSender is the channel graph: mail that Microsoft Graph sends from a mailbox.
type GraphSender struct {
	from, domain string
	graph        Graph
}

// NewGraph makes a GraphSender. from is the mailbox, by user principal name; a name before it is left
// out, as recipients are shown that of the mailbox.
func NewGraph(from string, g Graph) (*GraphSender, error) {
	a, err := netmail.ParseAddress(from)
	if err != nil || !graph.ValidUserName(a.Address) {
		return nil, errors.New("address of the sender: it is no user name of Entra")
	}
	return &GraphSender{a.Address, a.Address[strings.LastIndexByte(a.Address, '@')+1:], g}, nil
}

// Name implements notify.Channel.
func (s *GraphSender) Name() string { return "graph" }

// Send implements notify.Channel.
func (s *GraphSender) Send(ctx context.Context, m notify.Message) error {
	to, err := s.graph.MailAddress(ctx, m.Owner)
	if err != nil {
		return &notify.Down{Why: "the mail address could not be looked up", Err: err, After: asked(err)}
	}
	if a, err := netmail.ParseAddress(to); err != nil || a.Address != to {
		return notify.ErrNoAddress
	}
	err = s.graph.SendMail(ctx, s.from, graph.Mail{
		To: to, Subject: m.Subject, Text: m.Text + "\n", MessageID: "<" + m.ID + "@" + s.domain + ">",
	})
	return s.classify(err)
}

// Deliver is Send that returns what was answered.
func (s *GraphSender) Deliver(ctx context.Context, m notify.Message) (answer string, err error) {
	return "202 Accepted", s.Send(ctx, m)
}

// classify says what an error of sending means for others and for another try. 400 is about the message
// or its recipient; all else would happen to every message.
func (s *GraphSender) classify(err error) error {
	failed, ok := errors.AsType[*graph.Error](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return &notify.Down{Why: "Microsoft Graph could not be asked", Err: err}
	case failed.Status == http.StatusBadRequest:
		return &notify.Refused{Why: fmt.Sprintf("Microsoft Graph answered 400 %s to the message", failed.Code)}
	case failed.Status == http.StatusForbidden:
		return &notify.Down{Why: "Microsoft Graph does not let us send as " + s.from, Err: err}
	case failed.Status == http.StatusNotFound:
		return &notify.Down{Why: "there is no mailbox " + s.from, Err: err}
	}
	return &notify.Down{Why: "Microsoft Graph has not taken the message", Err: err, After: failed.RetryAfter}
}

// asked is how long Graph asked to be left alone.
func asked(err error) (after time.Duration) {
	if e, ok := errors.AsType[*graph.Error](err); ok {
		after = e.RetryAfter
	}
	return after
}

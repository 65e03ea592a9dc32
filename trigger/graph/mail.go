package graph

import "context"

// Mail is a message that SendMail sends, as plain text.
type Mail struct {
	// To is one address, and Subject one line.
	To, Subject, Text string
	// MessageID is the header of that name, with its angle brackets.
	MessageID string
}

type mailBody struct {
	Message mailMessage `json:"message"`
	// Save is false: what was sent to whom is not collected in the mailbox.
	Save bool `json:"saveToSentItems"`
}

type mailMessage struct {
	Subject   string          `json:"subject"`
	Body      mailText        `json:"body"`
	To        []mailRecipient `json:"toRecipients"`
	MessageID string          `json:"internetMessageId,omitempty"`
	Headers   []mailHeader    `json:"internetMessageHeaders"`
}

type mailText struct {
	Type string `json:"contentType"`
	Text string `json:"content"`
}

type mailRecipient struct {
	Address struct {
		Address string `json:"address"`
	} `json:"emailAddress"`
}

// mailHeader can be one that begins with X- only (https://learn.microsoft.com/graph/api/resources/message).
type mailHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SendMail sends a message from the mailbox of a user, by user principal name
// (https://learn.microsoft.com/graph/api/user-sendmail, permission Mail.Send, or Exchange's role
// Application Mail.Send for that mailbox, of which the token does not tell). Without an error the
// message was accepted, not delivered. After an error that is Ambiguous it may have been. No error
// contains an address.
func (c *Client) SendMail(ctx context.Context, from string, m Mail) error {
	cl := c.on(sendMail)
	if !ValidUserName(from) {
		return cl.failed(refused, errInvalidID)
	}
	cl.url = c.at("/users/"+from+"/sendMail", "")
	body := mailBody{Message: mailMessage{
		Subject: m.Subject, Body: mailText{"text", m.Text}, To: make([]mailRecipient, 1), MessageID: m.MessageID,
		// No absence notes come back
		// (https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxcmail, X-Auto-Response-Suppress).
		Headers: []mailHeader{{"X-Auto-Response-Suppress", "All"}},
	}}
	body.Message.To[0].Address.Address = m.To
	return c.do(ctx, cl.with(body))
}

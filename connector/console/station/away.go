package station

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"pullprint/connector/console/view"
)

// A browser keeps the forms that it sent in its history: going back and reloading sends the
// card of somebody who has left once more, and would show their jobs. Therefore the answer to
// a card is a redirect to the next page, whose address works once: the form is then not in
// the history. The script sends forms in another way, which leaves nothing in it.

// byAddress is a response that redirects to a page of a station instead of showing it.
type byAddress struct {
	http.ResponseWriter
	req *http.Request
}

// awayFromCard is how a form with a card is answered.
func awayFromCard(rw http.ResponseWriter, req *http.Request) http.ResponseWriter {
	if !strings.Contains(req.Header.Get("Accept"), "text/html") { // the script, which asks for anything
		return rw
	}
	return byAddress{rw, req}
}

// lead redirects to a page that can show wrong.
func (r byAddress) lead(name string, s stationPage, wrong string) {
	to, q := Path(s.Device), url.Values{}
	switch name {
	case "jobs", "claim", "pin":
		to += "/" + name
		q.Set("visit", s.Ticket)
	case "enrol":
		to += "/enrol"
	}
	if wrong != "" {
		i := max(0, slices.IndexFunc(messages, func(m message) bool { return m.text == wrong }))
		q.Set("said", strconv.Itoa(i))
	}
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	http.Redirect(r, r.req, to, http.StatusSeeOther)
}

type message struct {
	text   string
	status int
}

// messages are the answers to a card that a page can show, by their numbers in an address: an
// address with the text itself could show whatever its author likes. The first is for errors
// that are not listed.
var messages = []message{
	{view.AtTheMoment, http.StatusServiceUnavailable},
	{unknownBadge, http.StatusOK},
	{codeFirst, http.StatusOK},
	{visitEnded, http.StatusOK},
	{twoBadges, http.StatusOK},
	{tooManyUnknown, http.StatusTooManyRequests},
	{wrongPIN, http.StatusOK},
	{wrongName, http.StatusOK},
	{lockedPIN, http.StatusTooManyRequests},
	{busyPIN, http.StatusOK},
	{wrongCode, http.StatusUnprocessableEntity},
	{tooManyTries, http.StatusTooManyRequests},
}

// said is the message that the address of a page has.
func said(req *http.Request) (status int, text string) {
	i, err := strconv.Atoi(req.URL.Query().Get("said"))
	if err != nil || i < 0 || i >= len(messages) {
		return http.StatusOK, ""
	}
	return messages[i].status, messages[i].text
}

// stationVisit shows the first page of a visit by its address, once: going back to it later
// shows nobody's jobs.
func (p *Pages) stationVisit(rw http.ResponseWriter, req *http.Request) {
	ticket := req.URL.Query().Get("visit")
	if ticket == "" {
		p.stationAgain(rw, req)
		return
	}
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	ctx := context.WithoutCancel(req.Context())
	who, u, err := p.Visits.use(ctx, device, ticket)
	switch {
	case err != nil:
		p.failAt(rw, device, err)
		return
	case u != useFirst:
		p.idle(rw, http.StatusOK, device, visitEnded)
		return
	}
	switch ok, err = p.goesOn(ctx, device, ticket, who); {
	case err != nil:
		p.failAt(rw, device, err)
		return
	case !ok:
		p.idle(rw, http.StatusOK, device, unknownBadge)
		return
	}
	switch ticket, ok, err = p.Visits.turn(ctx, device, ticket); {
	case err != nil:
		p.failAt(rw, device, err)
	case !ok:
		p.idle(rw, http.StatusOK, device, visitEnded)
	default:
		p.visit(rw, req, stationPage{Device: device, Ticket: ticket}, who.Owner)
	}
}

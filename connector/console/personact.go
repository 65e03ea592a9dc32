package console

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/policy/badge"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// doneTo are what a page says was done to a person, by what its address says.
var doneTo = map[string]string{
	"revoked":  "The badge is revoked.",
	"adjusted": "The account is changed.",
	"ended":    "The person is signed out at every browser.",
}

// errNoReason is the answer to an act without a reason.
var errNoReason = &apiclient.Problem{
	Title: "Nothing was done", Status: http.StatusUnprocessableEntity, Detail: "Write a reason: the audit tells it.",
}

// toPerson carries out do to the person in the path, for a reason, in the name of who is signed in;
// what failed is told on the person's page.
func (p *Pages) toPerson(
	may func(http.ResponseWriter, *http.Request) (access.Caller, bool), done string,
	do func(ctx context.Context, api *apiclient.Client, req *http.Request, id, reason string) error,
) http.HandlerFunc {
	return func(rw http.ResponseWriter, req *http.Request) {
		c, ok := may(rw, req)
		if !ok {
			return
		}
		id, reason := req.PathValue("person"), strings.TrimSpace(req.PostFormValue("reason"))
		var err error
		switch _, ok := graph.CanonicalGUID(id); {
		case !ok: // showPerson says so
		case reason == "":
			err = errNoReason
		default:
			if err = do(req.Context(), p.API(c), req, id, reason); err == nil {
				http.Redirect(rw, req, personPath(id)+"?done="+done, http.StatusSeeOther)
				return
			}
		}
		p.showPerson(rw, req, c, err)
	}
}

func revokeBadge(ctx context.Context, api *apiclient.Client, req *http.Request, id, reason string) error {
	which := badge.Which{ID: req.PostFormValue("badge"), Owner: id}
	if which.ID == "" { // which would mean all of them
		return &apiclient.Problem{
			Title: "Nothing was done", Status: http.StatusUnprocessableEntity, Detail: "Choose the badge to revoke.",
		}
	}
	_, err := api.Revoke(ctx, which, reason)
	return err
}

func adjustAccount(ctx context.Context, api *apiclient.Client, req *http.Request, id, reason string) error {
	delta, err := quota.ParseAmount(strings.TrimSpace(req.PostFormValue("delta")))
	if err != nil {
		return &apiclient.Problem{
			Title: "Nothing was done", Status: http.StatusUnprocessableEntity,
			Detail: "Write how much is given as a number, as 20, or what is taken, as -5.",
		}
	}
	_, err = api.AdjustQuota(ctx, id, delta, reason)
	return err
}

func endSessions(ctx context.Context, api *apiclient.Client, _ *http.Request, id, reason string) error {
	_, err := api.EndSessions(ctx, id, reason)
	return err
}

// maxCodes is how many codes are remembered for who loads their page once more: more than a help desk makes in
// codeLife.
const maxCodes = 500

// maxFormID bounds the id of a form, which is that of rand.Text.
const maxFormID = 64

// codeTitles are what the console calls one-time codes, by what they are for.
var codeTitles = map[badge.Purpose]string{
	badge.ForBadge: "Code for a new badge",
	badge.ForVisit: "Code to print once without a badge",
	badge.ForPIN:   "Code to set a PIN",
}

// codePage is a code that was just made.
type codePage struct {
	apiclient.CodeIssued
	For string
}

// issueCode shows a one-time code of a person: the same as long as it is valid for a form that is sent once
// more, as by loading the page again. It is remembered in this process; at another replica that makes a new one.
func (p *Pages) issueCode(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.Callers.Operator(rw, req)
	if !ok {
		return
	}
	id, form := req.PathValue("person"), req.PostFormValue("form")
	purpose := cmp.Or(req.PostFormValue("for"), "badge")
	key := strings.Join([]string{c.Name, id, purpose, form}, "\x00")
	issued, known := p.issued.Get(key)
	var err error
	if !known || form == "" {
		issued, err = p.API(c).Code(req.Context(), apiclient.CodeBody{Owner: id, For: purpose, ValidFor: codeLife.String()})
	}
	if err != nil {
		p.showPerson(rw, req, c, err)
		return
	}
	if form != "" && len(form) <= maxFormID {
		p.issued.PutFor(key, issued, time.Until(issued.Expires))
	}
	what, _ := badge.PurposeOf(purpose) // the API has refused any other
	shown := p.page(rw, req, c, codeTitles[what])
	shown.Home, shown.Data = personPath(id), codePage{issued, purpose}
	p.Site.Show(rw, http.StatusOK, "code", shown)
}

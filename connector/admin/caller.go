package admin

import (
	"net/http"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/decision"
)

// crossOrigin tells requests that another site has a browser send, with its cookies.
var crossOrigin = http.NewCrossOriginProtection()

// caller returns who asks, or the problem if they have no access: whoever has the token in the
// header Authorization, or without that header the person who is signed in at the browser.
func (a *API) caller(need audience, req *http.Request) (access.Caller, *apiclient.Problem) {
	if who, ok := req.Context().Value(insideKey{}).(access.Caller); ok {
		return who, need.allows(who, "You may not do this")
	}
	header := req.Header.Values("Authorization")
	if need == forAll || a.Sessions == nil || len(header) > 0 {
		return a.authorize(need, header)
	}
	who, state, err := a.Sessions.Person(req)
	switch {
	case err != nil:
		p, _ := ProblemOf(err)
		return access.Caller{}, p
	case state == access.Nobody:
		return a.authorize(need, nil)
	case crossOrigin.Check(req) != nil:
		return who, failure(http.StatusForbidden, "cross-origin", "The request comes from another site",
			"Send it from a page of this site, or with a token.")
	case state == access.Unconfirmed:
		return who, failure(http.StatusUnauthorized, "sign-in-again", "The sign-in has to be confirmed",
			"Load a page of the console or /me in this browser, and send it again.")
	}
	return who, need.allows(who, "You may not do this")
}

// Asked is what asks for a decision when a caller does, as release.Order.Asked wants it.
func Asked(c access.Caller) decision.Origin {
	if c.Person != "" {
		return decision.AskedBySignIn
	}
	return decision.AskedByToken
}

// authorize returns the caller, or the problem if they have no access.
func (a *API) authorize(need audience, authorization []string) (access.Caller, *apiclient.Problem) {
	if need == forAll {
		return access.Caller{}, nil
	}
	if len(authorization) > 1 {
		return access.Caller{}, badRequest("the header Authorization is given twice")
	}
	token := ""
	if len(authorization) == 1 {
		token = access.Bearer(authorization[0])
	}
	caller, ok := a.Tokens.Who(token)
	switch {
	case !ok && token != "":
		return caller, failure(http.StatusUnauthorized, "no-token", "A token is needed", "The one that was sent is none "+
			"of this service's, or was taken away. Its configuration names the files that hold them: admin.token_file, "+
			"admin.tokens, devices[].token_file.")
	case !ok:
		return caller, failure(http.StatusUnauthorized, "no-token", "A token is needed",
			"Send the header Authorization: Bearer TOKEN with a token of this service.")
	}
	return caller, need.allows(caller, "The token may not do this")
}

// allows returns a problem of a title if a caller may not use a route.
func (need audience) allows(c access.Caller, title string) *apiclient.Problem {
	if need == forReaders && (c.Device != "" || c.May(access.RoleOperate)) || need != forReaders && c.May(access.Role(need)) {
		return nil
	}
	return failure(http.StatusForbidden, "not-allowed", title, "It needs the role "+string(need)+".")
}

package auth

import (
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/oauth2"

	"pullprint/trigger/graph/transport"
)

// Error says that no token could be obtained. Its text never repeats a sentence of the
// authority, only its code and what to check.
type Error struct {
	// Code is the AADSTS code, as AADSTS7000215; without one the OAuth error code; or empty.
	Code string
	// Hint says in a sentence what to check; empty if nothing is known.
	Hint string
	// Status is the HTTP status of the authority, 0 if it could not be reached.
	Status int
	// TraceID finds the request in the sign-in logs.
	TraceID string
	// RetryAfter is how long the authority asked to wait, at most 5 minutes.
	RetryAfter time.Duration
	// Err is why the authority could not be reached, else nil.
	Err error
}

// Error returns the code and what to check.
func (e *Error) Error() string {
	s := "no token"
	switch {
	case e.Code != "":
		s += ": " + e.Code
	case e.Status != 0:
		s += ": the authority answered status " + strconv.Itoa(e.Status)
	case e.Err == nil:
		s += " yet"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	if e.TraceID != "" {
		s += " (trace id " + e.TraceID + ")"
	}
	return s
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Permanent reports whether the authority refused the tenant, the client or the secret, so that
// a retry is useless. It is false if the authority could not be reached or failed.
func (e *Error) Permanent() bool {
	return e.Status >= 400 && e.Status < 500 && e.Status != 408 && e.Status != 429 && e.Code != "" && !transient[e.Code]
}

// hints are for the codes that a wrong configuration causes
// (https://learn.microsoft.com/entra/identity-platform/reference-error-codes). Microsoft warns
// that codes may change; one that is not listed has no hint.
var hints = map[string]string{
	"AADSTS7000215": "the client secret is wrong: copy the secret's value, not its id, into " +
		"auth.client_secret_file",
	"AADSTS7000222": "the client secret has expired: make a new one in the app registration and put its value " +
		"into auth.client_secret_file",
	"AADSTS7000216": "the authority got no client secret: check auth.client_secret_file",
	"AADSTS7000218": "the authority got no client secret: check auth.client_secret_file",
	"AADSTS7000112": "the application is disabled: enable it under Enterprise applications",
	"AADSTS7000229": "the application has no service principal in this tenant: check auth.client_id and " +
		"tenant_id, then grant admin consent",
	"AADSTS700016": "there is no such application in this tenant: check auth.client_id and tenant_id",
	"AADSTS700038": "auth.client_id is no application id: copy the Application (client) ID of the app " +
		"registration",
	"AADSTS90002":  "there is no such tenant in this cloud: check tenant_id and cloud",
	"AADSTS900023": "tenant_id is neither a tenant's id nor a domain name: copy the Directory (tenant) ID",
	"AADSTS900382": "the application lives in another cloud: check cloud",
	"AADSTS900432": "the application lives in another cloud: check cloud",
	"AADSTS50034":  "the account does not exist in this tenant: check tenant_id and auth.client_id",
	"AADSTS50059":  "no tenant could be told: check tenant_id",
	"AADSTS50128":  "the domain name is not known: check tenant_id",
	"AADSTS50194":  "the application is of one tenant only: set tenant_id to that tenant's id",
	"AADSTS53003": "a Conditional Access policy blocks the application: look at the sign-in logs of service " +
		"principals",
	"AADSTS53004": "a Conditional Access policy blocks the application: look at the sign-in logs of service " +
		"principals",
	"AADSTS65001": "consent is missing: have an administrator grant admin consent to the application's " +
		"permissions",
	"AADSTS650057": "a permission is missing from the app registration: add the Microsoft Graph permissions " +
		"and grant admin consent",
	"AADSTS500011":        "Microsoft Graph is not known in this tenant by that name: check cloud",
	"AADSTS500014":        "Microsoft Graph is disabled in this tenant: enable it under Enterprise applications",
	"AADSTS500341":        "the account was deleted from this tenant: check tenant_id and auth.client_id",
	"AADSTS70011":         "the scope is not known: check cloud",
	"AADSTS1002012":       "the scope is not known: check cloud",
	"invalid_client":      "check auth.client_id and the value in auth.client_secret_file",
	"unauthorized_client": "check auth.client_id and tenant_id",
	"AADSTS700027": "the certificate is not one of the app registration: upload that of " +
		"auth.certificate_file under Certificates & secrets",
	"AADSTS700024": "the assertion is not valid at this time: check the clock of this machine, and that " +
		"auth.federated_token_file is refreshed",
	"AADSTS700211": "nobody trusts who issued the token in auth.federated_token_file: add a federated " +
		"credential with that issuer to the app registration",
	"AADSTS700212": "the token in auth.federated_token_file is for another audience: it has to be " +
		"api://AzureADTokenExchange",
	"AADSTS700213": "the token in auth.federated_token_file is of another subject: add a federated " +
		"credential for it to the app registration",
	"AADSTS70018":            "the administrator declined the sign-in: run it again, and accept",
	"authorization_declined": "the administrator declined the sign-in: run it again, and accept",
	"access_denied":          "the administrator declined the sign-in: run it again, and accept",
	"AADSTS70019":            "the code was not entered in time: run it again, and enter the new one",
	"AADSTS70020":            "the code was not entered in time: run it again, and enter the new one",
	"expired_token":          "the code was not entered in time: run it again, and enter the new one",
	"AADSTS530035": "security defaults of the tenant block the device code flow: ask who looks after " +
		"Conditional Access",
	"AADSTS7000274": "the certificate is not valid at this time, or the assertion is not signed with it: check the " +
		"clock of this machine and how long auth.certificate_file is valid",
	"AADSTS1000502": "the certificate is not valid at this time: put a new one into the app registration and into " +
		"auth.certificate_file",
	"AADSTS7000214": "the certificate was revoked: put a new one into the app registration and into auth.certificate_file",
	"AADSTS7000277": "the certificate was revoked: put a new one into the app registration and into auth.certificate_file",
	"AADSTS50105": "who signs in is not assigned to the application: assign them under Enterprise applications, or " +
		"set Assignment required to No there",
	"AADSTS90094": "consent is missing: have an administrator grant admin consent to the application's permissions",
	"AADSTS530032": "a security policy of the tenant blocks this sign-in: look at the sign-in logs, and ask who looks " +
		"after Conditional Access",
	"AADSTS1002016": "the connection uses a TLS version that is no longer accepted: check the proxy in between",
}

// transient are the codes of failures of the authority itself, and of its requests to slow
// down. It sends some of them with a 4xx.
var transient = map[string]bool{
	"AADSTS50033": true, "AADSTS50196": true, "AADSTS90006": true, "AADSTS90020": true, "AADSTS90024": true,
	"AADSTS90033": true, "AADSTS90036": true, "AADSTS90051": true, "AADSTS90055": true, "AADSTS90090": true,
	"temporarily_unavailable": true, "server_error": true, "slow_down": true,
}

var (
	aadsts    = regexp.MustCompile(`\bAADSTS[0-9]{4,9}\b`)
	traceID   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	oauthWord = regexp.MustCompile(`^[a-z_]{1,40}$`)
)

// errorOf makes an Error of an error of the token endpoint.
func errorOf(err error) *Error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		var failed *url.Error
		if !errors.As(err, &failed) {
			err = transport.ErrNotJSON // or incomplete; the text of err may quote the answer
		}
		return &Error{Err: transport.Error{Cause: err}}
	}
	e := &Error{Status: answer.Response.StatusCode, RetryAfter: transport.RetryAfter(answer.Response.Header,
		transport.ServerTime(answer.Response.Header))}
	var body struct {
		Codes []int  `json:"error_codes"`
		Trace string `json:"trace_id"`
	}
	_ = json.Unmarshal(answer.Body, &body) // what is missing stays empty
	if traceID.MatchString(body.Trace) {
		e.TraceID = body.Trace
	}
	switch {
	case aadsts.MatchString(answer.ErrorDescription):
		e.Code = aadsts.FindString(answer.ErrorDescription)
	case len(body.Codes) > 0 && body.Codes[0] > 0:
		e.Code = "AADSTS" + strconv.Itoa(body.Codes[0])
	case oauthWord.MatchString(answer.ErrorCode):
		e.Code = answer.ErrorCode
	}
	e.Hint = hints[e.Code]
	if ahead, told := transport.Skew(answer.Response.Header); told && e.Code == "AADSTS700024" {
		e.Hint = clockHint(ahead, e.Hint)
	}
	return e
}

// assertionSkew is the difference of clocks from which the clock is named as the cause of
// AADSTS700024, an assertion outside of its validity. Clocks synchronized by NTP differ by less
// than a second; assertionLife is five times as long.
const assertionSkew = assertionLife / 5

// clockHint returns a hint about the clock if it is far enough off, else otherwise.
func clockHint(ahead time.Duration, otherwise string) string {
	switch {
	case ahead >= assertionSkew:
		return "the clock of this machine is " + ahead.String() + " ahead of the authority's: synchronize it with NTP"
	case ahead <= -assertionSkew:
		return "the clock of this machine is " + (-ahead).String() + " behind the authority's: synchronize it with NTP"
	}
	return otherwise
}

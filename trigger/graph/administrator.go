package graph

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/oauth2"

	"pullprint/trigger/graph/transport"
)

// Prompt is what an administrator has to do to sign in.
type Prompt struct {
	// URL is the page to open, Code what to enter there.
	URL, Code string
	// Expires is until when.
	Expires time.Time
}

// TriggerRights are the delegated permissions that reading and changing task
// triggers needs (https://learn.microsoft.com/graph/api/printer-list-tasktriggers,
// https://learn.microsoft.com/graph/api/printer-post-tasktriggers).
var TriggerRights = []string{"Printer.Read.All", "Printer.ReadWrite.All"}

// ReportRights are those that DailyPrintUsage needs. No app has them: Graph gives
// the report to a person only
// (https://learn.microsoft.com/graph/api/reportroot-list-dailyprintusagebyuser).
var ReportRights = []string{"Reports.Read.All"}

// hints of the device code flow, where they differ from those of an app.
var deviceHints = map[string]string{
	"AADSTS7000218": "the app registration does not allow this sign-in: under Authentication, set Allow public client flows to Yes",
	"AADSTS65001":   "consent is missing: grant admin consent to the delegated permissions that are asked for (Printer.Read.All and Printer.ReadWrite.All; PrinterShare.ReadWrite.All with queues[].create; Reports.Read.All for usage)",
	"AADSTS53003":   "a Conditional Access policy blocks the device code flow: sign in from where it is allowed, or have it excepted",
	"AADSTS90094":   "consent is missing: grant admin consent to the delegated permissions that are asked for (the page on the app registration lists them)",
	"AADSTS530032":  "a security policy of the tenant blocks the device code flow: have it excepted for who signs in and this app, for as long as it takes",
	"AADSTS53004":   "a Conditional Access policy blocks the device code flow: sign in from where it is allowed, or have it excepted",
}

// again is what to do when Entra does not honour a sign-in any more that it once
// gave: it expired, the password changed, or an administrator revoked it.
const again = "the sign-in is not honoured any more: sign in again with `pullprint register plan --keep`"

// SignInPerson signs somebody in for some delegated permissions by a device code
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code) and
// gives a Client that acts for them: show is told what they have to do, and the
// call waits until they have done it. The token is in memory alone, until
// KeepSignIn. The error is an *AuthError, ctx's, or one of the configuration.
func SignInPerson(ctx context.Context, cfg Config, o Options, rights []string, show func(Prompt)) (*Client, error) {
	c, p, err := blankPerson(cfg, o, rights)
	if err != nil {
		return nil, err
	}
	if err := p.signIn(ctx, show); err != nil {
		return nil, err
	}
	return c, nil
}

// blankPerson makes a Client for a person who has not signed in yet.
func blankPerson(cfg Config, o Options, rights []string) (*Client, *person, error) {
	c, at, err := blank(cfg, o)
	if err != nil {
		return nil, nil, err
	}
	resource := strings.TrimSuffix(at.scope, "/.default")
	scopes := []string{"offline_access"}
	for _, right := range rights {
		scopes = append(scopes, resource+"/"+right)
	}
	p := &person{
		conf: oauth2.Config{
			ClientID: cfg.Auth.ClientID, Scopes: scopes,
			Endpoint: oauth2.Endpoint{
				DeviceAuthURL: strings.TrimSuffix(at.token, "/token") + "/devicecode", TokenURL: at.token, AuthStyle: oauth2.AuthStyleInParams,
			},
		},
		client:  transport.Client(c.transport),
		metrics: c.metrics, cfg: cfg,
		stale: func(err error) { c.log.Warn("sign-in not kept anew, the one before serves on", zap.Error(err)) },
	}
	c.tokens = p
	return c, p, nil
}

// person is the credential of somebody who signed in.
type person struct {
	conf    oauth2.Config
	client  *http.Client
	metrics *metrics
	cfg     Config
	stale   func(error) // told when a sign-in can't be kept

	mu     sync.Mutex
	token  *oauth2.Token
	bearer *bearer
	keep   Keep
	kept   string // the token that is kept, as far as is known
}

func (p *person) signIn(ctx context.Context, show func(Prompt)) error {
	began := time.Now()
	octx := context.WithValue(ctx, oauth2.HTTPClient, p.client)
	code, err := p.conf.DeviceAuth(octx)
	if err == nil {
		show(Prompt{code.VerificationURI, code.UserCode, code.Expiry})
		p.token, err = p.conf.DeviceAccessToken(octx, code)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = &AuthError{Code: "expired_token", Hint: hints["expired_token"], Status: http.StatusBadRequest}
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && !printable(p.token.AccessToken):
		err = transport.ErrNotJSON
	}
	if err != nil {
		return p.failed(err, began)
	}
	p.metrics.observe(signIn, strconv.Itoa(http.StatusOK), began)
	p.bearer = bearerOf(p.token, began)
	return nil
}

// failed is the error of a sign-in with what to do about it.
func (p *person) failed(err error, began time.Time) error {
	var e *AuthError
	if !errors.As(err, &e) {
		e = authError(err)
	}
	if hint, ok := deviceHints[e.Code]; ok {
		e.Hint = hint
	}
	p.metrics.observe(signIn, label(e.Status, e.Err), began)
	return e
}

// get implements credential.
func (p *person) get(ctx context.Context) (*bearer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bearer.live(time.Now().Add(expiryMargin)) {
		return p.bearer, nil
	}
	began := time.Now()
	token, err := p.conf.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, p.client), &oauth2.Token{RefreshToken: p.token.RefreshToken}).Token()
	if err == nil && !printable(token.AccessToken) {
		err = transport.ErrNotJSON
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var e *AuthError
		if err = p.failed(err, began); errors.As(err, &e) && e.Permanent() && e.Hint == "" {
			e.Hint = again
		}
		return nil, err
	}
	p.metrics.observe(signIn, strconv.Itoa(http.StatusOK), began)
	p.token, p.bearer = token, bearerOf(token, began)
	p.keepAnew()
	return p.bearer, nil
}

// renewed implements credential: a person's token that Graph refuses is not to
// be insisted on.
func (p *person) renewed(context.Context, *bearer) (*bearer, error) { return nil, nil }

// distrusted implements credential.
func (p *person) distrusted() {}

type wireTrigger struct {
	ID         string         `json:"id"`
	Definition wireDefinition `json:"definition"`
}

// Triggers lists the task triggers of a printer with their definitions
// (https://learn.microsoft.com/graph/api/printer-list-tasktriggers). It needs the
// token of a Printer Administrator.
func (c *Client) Triggers(ctx context.Context, printer string) ([]Trigger, error) {
	if err := ids(listTriggers, printer); err != nil {
		return nil, err
	}
	var all []Trigger
	err := each(ctx, c, call{op: listTriggers, url: c.at("/print/printers/"+printer+"/taskTriggers", "$expand=definition")}, func(t wireTrigger) bool {
		all = append(all, Trigger{t.ID, t.Definition.definition()})
		return true
	})
	return all, err
}

// CreateTrigger has jobs of a printer start tasks of a definition
// (https://learn.microsoft.com/graph/api/printer-post-tasktriggers). A printer has
// one trigger at most: Graph refuses a second with status 400. It needs the token
// of a Printer Administrator who signed in to the app of the definition.
func (c *Client) CreateTrigger(ctx context.Context, printer, definition string) error {
	if err := ids(createTrigger, printer, definition); err != nil {
		return err
	}
	cl := call{op: createTrigger, url: c.at("/print/printers/"+printer+"/taskTriggers", "")}
	if err := cl.encode(map[string]string{
		"event": "jobStarted", "definition@odata.bind": c.at("/print/taskDefinitions/"+definition, "").String(),
	}); err != nil {
		return err
	}
	return c.do(ctx, &cl)
}

// DeleteTrigger takes a trigger off a printer
// (https://learn.microsoft.com/graph/api/printer-delete-tasktrigger); one that is
// gone already is no error. It needs the token of a Printer Administrator.
func (c *Client) DeleteTrigger(ctx context.Context, printer, trigger string) error {
	if err := ids(deleteTrigger, printer, trigger); err != nil {
		return err
	}
	return gone(c.do(ctx, &call{op: deleteTrigger, url: c.at("/print/printers/"+printer+"/taskTriggers/"+trigger, "")}))
}

// DeleteDefinition deletes a task definition of this app
// (https://learn.microsoft.com/graph/api/printtaskdefinition-delete) with its tasks;
// one that is gone already is no error.
func (c *Client) DeleteDefinition(ctx context.Context, definition string) error {
	if err := ids(deleteDefinition, definition); err != nil {
		return err
	}
	return gone(c.do(ctx, &call{op: deleteDefinition, url: c.at("/print/taskDefinitions/"+definition, "")}))
}

// gone is err, but nil when it says that what was to be deleted is not there.
func gone(err error) error {
	var e *Error
	if errors.As(err, &e) && e.NotFound() {
		return nil
	}
	return err
}

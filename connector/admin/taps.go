package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/connector/tap"
)

func (a *API) tap(r *request) (any, error) {
	var in apiclient.TapBody
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	return a.tapped(r.Context(), r.caller, in)
}

// tapped carries out a tap over HTTP or NATS. It goes on when ctx ends: the jobs may be on
// their way to the printer.
func (a *API) tapped(ctx context.Context, caller access.Caller, in apiclient.TapBody) (release.Outcome, error) {
	if a.Taps == nil {
		return release.Outcome{}, ErrNoBadges
	}
	if caller.Device != "" && in.Device == "" {
		in.Device = caller.Device
	}
	switch {
	case in.Device == "", in.Badge == "" && in.User == "":
		return release.Outcome{}, badRequest("device and badge are needed, or user in the place of badge")
	case in.Badge != "" && in.User != "":
		return release.Outcome{}, badRequest("either badge or user is needed, not both")
	case caller.Device != "" && caller.Device != in.Device:
		return release.Outcome{}, failure(http.StatusForbidden, "not-allowed", "The token may not do this",
			"It is the token of another device.")
	}
	ctx = context.WithoutCancel(ctx)
	if !a.hasDevice(in.Device) {
		return release.Outcome{}, a.noDevice(in.Device)
	}
	if a.Visits != nil { // a station may stand at the same device: a card ends the visit before it
		if err := a.Visits.End(ctx, in.Device); err != nil {
			return release.Outcome{}, err
		}
	}
	shown := tap.Shown{Device: in.Device, Number: in.Badge, User: in.User, PIN: in.PIN}
	if caller.Device != "" {
		if a.Readers != nil {
			a.Readers.Asked(ctx, in.Device)
		}
		return a.Taps.Tap(ctx, shown)
	}
	// A token that may show any badge at any device is audited, as for any other release.
	if err := a.StoreAction(ctx, apiclient.Action{Action: actionTap, Actor: caller.Name, Device: in.Device}); err != nil {
		return release.Outcome{}, err
	}
	shown.Actor = caller.Name
	return a.Taps.Tap(ctx, shown)
}

// ErrNoBadges is the answer to whatever needs badges when none are configured.
var ErrNoBadges error = failure(http.StatusNotFound, "no-badges", "Badges are not configured",
	"Set badges.key_file in the configuration.")

// AnswerTap answers a tap over NATS as POST /v1/taps would.
func (a *API) AnswerTap(ctx context.Context, t store.TapRequest) store.TapReply {
	out, err := a.answerTap(ctx, t)
	status, answer := http.StatusOK, any(out)
	if err != nil {
		p, logged := ProblemOf(err)
		if logged {
			a.log.Warn("tap over NATS failed", zap.String("device", t.Device), zap.Error(err))
		}
		status, answer = p.Status, p
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return store.TapReply{Status: http.StatusInternalServerError}
	}
	return store.TapReply{Status: status, Body: body}
}

// busBody is the body of a tap over NATS. A message of MQTT has no headers: its token
// stands in the body.
type busBody struct {
	apiclient.TapBody
	Token string `json:"token"`
}

func (a *API) answerTap(ctx context.Context, t store.TapRequest) (release.Outcome, error) {
	var in busBody
	var wrong error
	if len(t.Body) > maxBody {
		wrong = badRequest("the body is too large")
	} else {
		wrong = decodeStrict(t.Body, &in)
	}
	if t.Authorization == "" && in.Token != "" {
		t.Authorization = "Bearer " + in.Token
	}
	caller, p := a.authorize(forReaders, []string{t.Authorization})
	switch {
	case p != nil:
		return release.Outcome{}, p
	case wrong != nil:
		return release.Outcome{}, wrong
	}
	free, p := a.share(caller)
	if p != nil {
		return release.Outcome{}, p
	}
	defer free()
	if cmp.Or(in.Device, t.Device) != t.Device {
		return release.Outcome{}, badRequest("device is not the one of the subject")
	}
	in.Device = t.Device
	return a.tapped(ctx, caller, in.TapBody)
}

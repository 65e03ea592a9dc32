package admin

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/arrival"
	"pullprint/connector/decision"
)

// listWithin bounds the reading of a list out of a stream, within answerWithin.
const listWithin = 10 * time.Second

func (a *API) listDecisions(r *request) (any, error) {
	out := apiclient.DecisionList{Decisions: []decision.Decision{}}
	next, err := list(r, a.Audit.Decisions, func(d decision.Decision) { out.Decisions = append(out.Decisions, d) })
	out.Next = next
	return out, err
}

func (a *API) listDead(r *request) (any, error) {
	out := apiclient.DeadList{Dead: []arrival.DeadLetter{}}
	next, err := list(r, a.Audit.Dead, func(d arrival.DeadLetter) { out.Dead = append(out.Dead, d) })
	out.Next = next
	return out, err
}

func (a *API) listActions(r *request) (any, error) {
	out := apiclient.ActionList{Actions: []apiclient.Action{}}
	next, err := list(r, a.Audit.Actions, func(d apiclient.Action) { out.Actions = append(out.Actions, d) })
	out.Next = next
	return out, err
}

type readStream func(
	ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error,
) error

// sinceOf is the time in a parameter: a time, or a duration back from now. Without a
// parameter it is otherwise back from now.
func sinceOf(text string, otherwise time.Duration) (time.Time, error) {
	if text == "" {
		return time.Now().Add(-otherwise), nil
	}
	since, err := time.Parse(time.RFC3339Nano, text)
	if err == nil {
		return since, nil
	}
	back, err := time.ParseDuration(text)
	if err != nil || back < 0 {
		return since, badRequest("since must be a time, as 2026-12-24T12:00:00Z, or a duration, as 24h")
	}
	return time.Now().Add(-back), nil
}

// list reads a page of a stream. since is a time, or a duration back from now;
// an hour when it is not given.
func list[T any](r *request, read readStream, add func(T)) (next string, err error) {
	q, err := Query(r.URL.Query(), "since", "limit")
	if err != nil {
		return "", err
	}
	limit, err := pageSize(q.Get("limit"))
	if err != nil {
		return "", err
	}
	text, after, counted := strings.Cut(q.Get("since"), "/")
	since, err := sinceOf(text, time.Hour)
	if err != nil {
		return "", err
	}
	skip := 0
	if counted {
		if skip, err = strconv.Atoi(after); err != nil || skip < 0 {
			return "", badRequest(
				"since is not valid: send next of an earlier page as it is, or a time, as 2026-12-24T12:00:00Z")
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), listWithin)
	defer cancel()
	n, moment, same := 0, since, 0 // same is how many of the moment came, on this page or before
	err = read(ctx, since, false, func(stored time.Time, body []byte) error {
		if !stored.Equal(moment) {
			moment, same = stored, 0
		}
		if same++; stored.Equal(since) && same <= skip {
			return nil
		}
		if n == limit {
			if next = stored.UTC().Format(time.RFC3339Nano); same > 1 {
				next += "/" + strconv.Itoa(same-1)
			}
			return errEnough
		}
		var v T
		if err := json.Unmarshal(body, &v); err != nil {
			return nil //nolint:nilerr // a record of another version is left out, not the page
		}
		add(v)
		n++
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return next, err
}

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/sweep"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// Ledger changes accounts, in the name of who asks; *ledger.Ledger is one.
type Ledger interface {
	SetLimit(ctx context.Context, a quota.Account, limit *quota.Amount, n quota.Note) error
	Adjust(ctx context.Context, a quota.Account, delta quota.Amount, n quota.Note) error
}

// History reads what happened on accounts; *bus.Bus is one.
type History interface {
	LedgerSince(ctx context.Context, account string, since time.Time, fn func(body []byte) error) error
}

// maxEntries bounds a history: more than a person prints in a month, at some 300 bytes
// each. maxWhy bounds the reason of a change, which is a column of a table.
const (
	maxEntries = 5000
	maxWhy     = 200
)

// accountOf is the account that a path names; find is owner or, to change it, stored.
func accountOf(r *request, find func(ctx context.Context, field, user string) (string, error)) (quota.Account, error) {
	key := r.PathValue("account")
	if acc, err := quota.ParseAccount(key); err == nil && acc.Kind != quota.User {
		return acc, nil
	}
	if _, ok := graph.CanonicalGUID(key); !ok && !graph.ValidUserName(key) {
		return quota.Account{}, badRequest("the account must be an Entra object ID (a GUID), a user name like " +
			"anna@contoso.com, group.NAME or center.NAME")
	}
	id, err := find(r.Context(), "account", key)
	return quota.Account{Kind: quota.User, Name: id}, err
}

func (a *API) showQuota(r *request) (any, error) {
	acc, err := accountOf(r, a.owner)
	if err != nil {
		return nil, err
	}
	return a.Evaluator.AccountStatus(r.Context(), acc)
}

func (a *API) putQuota(r *request) (any, error) {
	acc, err := accountOf(r, a.newOwnerID)
	if err != nil {
		return nil, err
	}
	var in struct {
		Limit json.RawMessage `json:"limit"` // null says something, and nothing does not
		Why   string          `json:"why"`
	}
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if in.Limit == nil {
		return nil, badRequest("limit is needed: a number of units, or null for the limit of the policy")
	}
	var limit *quota.Amount
	if err := json.Unmarshal(in.Limit, &limit); err != nil {
		return nil, badRequest("limit: %s", decodeError(err))
	}
	if limit != nil && *limit < 0 {
		return nil, badRequest("limit is negative")
	}
	if err := checkLine("why", in.Why); err != nil {
		return nil, err
	}
	about := apiclient.Action{Account: acc.Key(), Note: in.Why}
	if err := r.audit(r.Context(), about); err != nil {
		return nil, err
	}
	if err := a.Ledger.SetLimit(r.Context(), acc, limit, quota.Note{By: r.caller.Name, Why: in.Why, At: time.Now()}); err != nil {
		return nil, fmt.Errorf("set limit: %w", err)
	}
	return a.Evaluator.AccountStatus(r.Context(), acc)
}

// checkLine checks why something is done, as a member says: one line, as tables show it.
func checkLine(member, text string) error {
	if len(text) > maxWhy || strings.ContainsFunc(text, unicode.IsControl) {
		return badRequest("%s must be one line of at most %d bytes", member, maxWhy)
	}
	return nil
}

func (a *API) adjustQuota(r *request) (any, error) {
	acc, err := accountOf(r, a.newOwnerID)
	if err != nil {
		return nil, err
	}
	var in apiclient.AdjustBody
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.Delta == 0:
		return nil, badRequest("delta is needed")
	case in.Why == "":
		return nil, badRequest("why is needed: the history tells it")
	}
	if err := checkLine("why", in.Why); err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), apiclient.Action{Account: acc.Key(), Note: in.Why}); err != nil {
		return nil, err
	}
	if err := a.Ledger.Adjust(r.Context(), acc, in.Delta, quota.Note{By: r.caller.Name, Why: in.Why, At: time.Now()}); err != nil {
		return nil, fmt.Errorf("adjust account: %w", err)
	}
	return a.Evaluator.AccountStatus(r.Context(), acc)
}

func (a *API) quotaHistory(r *request) (any, error) {
	acc, err := accountOf(r, a.owner)
	if err != nil {
		return nil, err
	}
	q, err := Query(r.URL.Query(), "since")
	if err != nil {
		return nil, err
	}
	since, err := sinceOf(q.Get("since"), 31*24*time.Hour)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), listWithin)
	defer cancel()
	out := apiclient.EntryList{Entries: []quota.Entry{}, Complete: true}
	err = a.History.LedgerSince(ctx, acc.Key(), since, func(body []byte) error {
		if len(out.Entries) == maxEntries {
			out.Complete = false
			return errEnough
		}
		var e quota.Entry
		if json.Unmarshal(body, &e) == nil {
			out.Entries = append(out.Entries, e)
			a.Evaluator.NameQueue(&out.Queues, e.Job)
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}

// tellUsage takes a comparison with Graph's own report, for the metrics. It is
// never a charge.
func (a *API) tellUsage(r *request) (any, error) {
	var in sweep.UsageDay
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if _, err := time.Parse(time.DateOnly, in.Date); err != nil {
		return nil, badRequest("date must be a day, as 2026-03-10")
	}
	if in.Graph < 0 || in.Pullprint < 0 {
		return nil, badRequest("graph_pages and pullprint_pages must not be negative")
	}
	if err := r.audit(r.Context(), apiclient.Action{Note: in.Date}); err != nil {
		return nil, err
	}
	a.TellUsage(in, time.Now())
	return in, nil
}

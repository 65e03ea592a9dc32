package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"pullprint/connector/evaluate"
	"pullprint/connector/sweep"
	"pullprint/policy/quota"
)

// EntryList is the answer to GET /v1/quotas/{account}/history: oldest first.
type EntryList struct {
	Entries []quota.Entry `json:"entries"`
	// Complete is false when there are more than could be read.
	Complete bool `json:"complete"`
	// Queues are the names of the queues of the jobs in Entries, by the printer id.
	Queues map[string]string `json:"queues,omitempty"`
}

func quotaPath(account string) string { return "/v1/quotas/" + url.PathEscape(account) }

// Quota returns what is on an account.
func (c *Client) Quota(ctx context.Context, account string) (out evaluate.AccountStatus, err error) {
	err = c.call(ctx, http.MethodGet, quotaPath(account), nil, &out)
	return out, err
}

// SetQuota gives an account a limit of its own for this period; nil takes it
// away.
func (c *Client) SetQuota(
	ctx context.Context, account string, limit *quota.Amount, why string,
) (out evaluate.AccountStatus, err error) {
	err = c.call(ctx, http.MethodPut, quotaPath(account), QuotaBody{limit, why}, &out)
	return out, err
}

// AdjustQuota gives to an account, or takes from it.
func (c *Client) AdjustQuota(
	ctx context.Context, account string, delta quota.Amount, why string,
) (out evaluate.AccountStatus, err error) {
	err = c.call(ctx, http.MethodPost, quotaPath(account)+"/adjust", AdjustBody{delta, why}, &out)
	return out, err
}

// QuotaHistory returns what happened on an account since a time.
func (c *Client) QuotaHistory(ctx context.Context, account string, since time.Time) (out EntryList, err error) {
	err = c.call(ctx, http.MethodGet,
		quotaPath(account)+"/history?since="+url.QueryEscape(since.UTC().Format(time.RFC3339Nano)), nil, &out)
	return out, err
}

// TellUsage gives the daemon a comparison with Graph's own report, for its
// metrics.
func (c *Client) TellUsage(ctx context.Context, u sweep.UsageDay) error {
	var out sweep.UsageDay
	return c.call(ctx, http.MethodPost, "/v1/usage", u, &out)
}

// QuotaBody is the body of PUT /v1/quotas/{account}: an own limit for this
// period, null for that of the policy.
type QuotaBody struct {
	Limit *quota.Amount `json:"limit"`
	Why   string        `json:"why"`
}

// AdjustBody is the body of POST /v1/quotas/{account}/adjust.
type AdjustBody struct {
	// Delta is given, or taken when it is negative, in units.
	Delta quota.Amount `json:"delta"`
	Why   string       `json:"why"`
}

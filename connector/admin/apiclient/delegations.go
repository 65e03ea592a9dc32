package apiclient

import (
	"context"
	"net/http"
	"time"

	"pullprint/connector/delegation"
)

// DelegationFilter says which delegations are listed; what is empty filters nothing.
type DelegationFilter struct{ Owner, To string }

// DelegationList is the answer to GET /v1/delegations.
type DelegationList struct {
	Delegations []delegation.Delegation `json:"delegations"`
}

// Delegate lets a person release another's jobs until a time.
func (c *Client) Delegate(
	ctx context.Context, owner, to string, until time.Time,
) (out delegation.Delegation, err error) {
	err = c.call(ctx, http.MethodPut, "/v1/delegations", DelegationBody{owner, to, until}, &out)
	return out, err
}

// Undelegate ends a delegation.
func (c *Client) Undelegate(ctx context.Context, owner, to string) error {
	var out DelegationList
	return c.call(ctx, http.MethodDelete, "/v1/delegations", DelegationBody{Owner: owner, To: to}, &out)
}

// Delegations lists the delegations that have not expired.
func (c *Client) Delegations(ctx context.Context, f DelegationFilter) ([]delegation.Delegation, error) {
	var out DelegationList
	q := parameters(map[string]string{"owner": f.Owner, "to": f.To})
	err := c.call(ctx, http.MethodGet, "/v1/delegations?"+q.Encode(), nil, &out)
	return out.Delegations, err
}

// DelegationBody is the body of PUT and DELETE /v1/delegations.
type DelegationBody struct {
	Owner   string    `json:"owner"`
	To      string    `json:"to"`
	Expires time.Time `json:"expires"`
}

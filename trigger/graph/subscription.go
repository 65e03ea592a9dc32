package graph

import (
	"context"
	"time"
)

// stamp is the format of times in Graph.
const stamp = "2006-01-02T15:04:05.0000000Z07:00"

// TasksResource returns the resource to subscribe to for the tasks of a definition.
func TasksResource(definition string) string { return "print/taskDefinitions/" + definition + "/tasks" }

// Subscriptions lists the subscriptions of this app
// (https://learn.microsoft.com/graph/api/subscription-list).
func (c *Client) Subscriptions(ctx context.Context) ([]Subscription, error) {
	all, err := collect[Subscription](ctx, c, call{op: listSubscriptions, url: c.at("/subscriptions", "")})
	for i := range all {
		all[i].ID = Canonical(all[i].ID)
	}
	return all, err
}

// Subscription reads one subscription
// (https://learn.microsoft.com/graph/api/subscription-get).
func (c *Client) Subscription(ctx context.Context, id string) (Subscription, error) {
	if err := ids(getSubscription, id); err != nil {
		return Subscription{}, err
	}
	var out Subscription
	cl := call{op: getSubscription, url: c.at("/subscriptions/"+id, ""), out: &out}
	if err := c.do(ctx, &cl); err != nil {
		return Subscription{}, err
	}
	if !sameID(out.ID, id) {
		return Subscription{}, cl.failed(garbled, errOther)
	}
	out.ID = Canonical(out.ID)
	return out, nil
}

// CreateSubscription subscribes to what is created in a resource
// (https://learn.microsoft.com/graph/api/subscription-post-subscriptions). Graph calls both
// URLs before it answers, so they have to be served already. After an Ambiguous error, look for
// it in Subscriptions first.
func (c *Client) CreateSubscription(ctx context.Context, n NewSubscription) (Subscription, error) {
	var out Subscription
	cl := call{op: createSubscription, url: c.at("/subscriptions", ""), out: &out}
	if n.Resource == "" || n.NotificationURL == "" || len(n.ClientState) > 128 || n.Expires.IsZero() {
		return Subscription{}, cl.failed(refused, errInvalid)
	}
	expires := n.Expires.UTC().Format(stamp)
	if err := cl.encode(struct {
		ChangeType  string `json:"changeType"`
		Resource    string `json:"resource"`
		Notify      string `json:"notificationUrl"`
		Lifecycle   string `json:"lifecycleNotificationUrl,omitempty"`
		ClientState string `json:"clientState,omitempty"`
		Expires     string `json:"expirationDateTime"`
	}{"created", n.Resource, n.NotificationURL, n.LifecycleNotificationURL, n.ClientState, expires}); err != nil {
		return Subscription{}, err
	}
	if err := c.do(ctx, &cl); err != nil {
		return Subscription{}, err
	}
	if !ValidID(out.ID) {
		return Subscription{}, cl.failed(garbled, errInvalidID)
	}
	out.ID = Canonical(out.ID)
	return out, nil
}

// RenewSubscription sets the end of a subscription
// (https://learn.microsoft.com/graph/api/subscription-update).
func (c *Client) RenewSubscription(ctx context.Context, id string, expires time.Time) (Subscription, error) {
	if err := ids(renewSubscription, id); err != nil {
		return Subscription{}, err
	}
	var out Subscription
	cl := call{op: renewSubscription, url: c.at("/subscriptions/"+id, ""), out: &out}
	if err := cl.encode(struct {
		Expires string `json:"expirationDateTime"`
	}{expires.UTC().Format(stamp)}); err != nil {
		return Subscription{}, err
	}
	if err := c.do(ctx, &cl); err != nil {
		return Subscription{}, err
	}
	return out, nil
}

// ReauthorizeSubscription answers reauthorizationRequired. It does not change the end of the
// subscription (https://learn.microsoft.com/graph/api/subscription-reauthorize). It is retried
// like a read.
func (c *Client) ReauthorizeSubscription(ctx context.Context, id string) error {
	if err := ids(reauthorizeSubscription, id); err != nil {
		return err
	}
	return c.do(ctx, &call{op: reauthorizeSubscription, url: c.at("/subscriptions/"+id+"/reauthorize", "")})
}

// DeleteSubscription ends a subscription
// (https://learn.microsoft.com/graph/api/subscription-delete); it is no error if there is none
// with that id. It is retried like a read.
func (c *Client) DeleteSubscription(ctx context.Context, id string) error {
	if err := ids(deleteSubscription, id); err != nil {
		return err
	}
	return gone(c.do(ctx, &call{op: deleteSubscription, url: c.at("/subscriptions/"+id, "")}))
}

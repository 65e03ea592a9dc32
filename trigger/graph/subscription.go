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
	return collect(ctx, c, c.on(listSubscriptions), func(s Subscription) Subscription {
		s.ID = Canonical(s.ID)
		return s
	})
}

// Subscription reads one subscription
// (https://learn.microsoft.com/graph/api/subscription-get).
func (c *Client) Subscription(ctx context.Context, id string) (Subscription, error) {
	var out Subscription
	cl := c.on(getSubscription, id).into(&out).about(&out.ID, id)
	if err := c.do(ctx, cl); err != nil {
		return Subscription{}, err
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
	cl := c.on(createSubscription).into(&out).about(&out.ID, "")
	if n.Resource == "" || n.NotificationURL == "" || len(n.ClientState) > 128 || n.Expires.IsZero() {
		return Subscription{}, cl.failed(refused, errInvalid)
	}
	expires := n.Expires.UTC().Format(stamp)
	cl.with(struct {
		ChangeType  string `json:"changeType"`
		Resource    string `json:"resource"`
		Notify      string `json:"notificationUrl"`
		Lifecycle   string `json:"lifecycleNotificationUrl,omitempty"`
		ClientState string `json:"clientState,omitempty"`
		Expires     string `json:"expirationDateTime"`
	}{"created", n.Resource, n.NotificationURL, n.LifecycleNotificationURL, n.ClientState, expires})
	if err := c.do(ctx, cl); err != nil {
		return Subscription{}, err
	}
	out.ID = Canonical(out.ID)
	return out, nil
}

// RenewSubscription sets the end of a subscription
// (https://learn.microsoft.com/graph/api/subscription-update).
func (c *Client) RenewSubscription(ctx context.Context, id string, expires time.Time) (Subscription, error) {
	var out Subscription
	cl := c.on(renewSubscription, id).into(&out)
	cl.with(map[string]string{"expirationDateTime": expires.UTC().Format(stamp)})
	if err := c.do(ctx, cl); err != nil {
		return Subscription{}, err
	}
	return out, nil
}

// ReauthorizeSubscription answers reauthorizationRequired. It does not change the end of the
// subscription (https://learn.microsoft.com/graph/api/subscription-reauthorize). It is retried
// like a read.
func (c *Client) ReauthorizeSubscription(ctx context.Context, id string) error {
	return c.do(ctx, c.on(reauthorizeSubscription, id))
}

// DeleteSubscription ends a subscription
// (https://learn.microsoft.com/graph/api/subscription-delete); it is no error if there is none
// with that id. It is retried like a read.
func (c *Client) DeleteSubscription(ctx context.Context, id string) error {
	return gone(c.do(ctx, c.on(deleteSubscription, id)))
}

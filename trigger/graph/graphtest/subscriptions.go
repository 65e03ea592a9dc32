package graphtest

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	longestSubscription  = 4230 * time.Minute
	shortestSubscription = 45 * time.Minute
)

type subscription struct {
	id, appID, clientState  string
	notifyURL, lifecycleURL string
	def                     *definition
	expires                 time.Time
	stopLifecycle           func()
	reauthorizeBy           time.Time // zero = no reauthorization is due
}

type subscriptionJSON struct {
	Context                  string  `json:"@odata.context,omitempty"`
	ID                       string  `json:"id"`
	Resource                 string  `json:"resource"`
	ApplicationID            string  `json:"applicationId"`
	ChangeType               string  `json:"changeType"`
	ClientState              *string `json:"clientState"`
	NotificationURL          string  `json:"notificationUrl"`
	LifecycleNotificationURL *string `json:"lifecycleNotificationUrl"`
	ExpirationDateTime       string  `json:"expirationDateTime"`
	CreatorID                string  `json:"creatorId"`
	IncludeResourceData      *bool   `json:"includeResourceData"`
	LatestSupportedTLS       string  `json:"latestSupportedTlsVersion"`
}

func (sub *subscription) json(ahead time.Duration, withState bool) subscriptionJSON {
	out := subscriptionJSON{
		Context: context0 + "subscriptions/$entity", ID: sub.id, Resource: sub.resource(), ApplicationID: sub.appID,
		ChangeType:      "created",
		NotificationURL: sub.notifyURL, LifecycleNotificationURL: optional(sub.lifecycleURL),
		ExpirationDateTime: sub.expires.Add(ahead).UTC().Format(stamp), CreatorID: sub.appID, LatestSupportedTLS: "v1_2",
	}
	if withState { // only the answer to creation shows it
		out.ClientState = optional(sub.clientState)
	}
	return out
}

func (sub *subscription) resource() string { return "print/taskDefinitions/" + sub.def.id + "/tasks" }

var taskResource = regexp.MustCompile(`^/?print/taskDefinitions/([A-Za-z0-9_-]{1,64})/tasks$`)

type subscribeRequest struct {
	ChangeType  string `json:"changeType"`
	Resource    string `json:"resource"`
	ClientState string `json:"clientState"`
	Notify      string `json:"notificationUrl"`
	Lifecycle   string `json:"lifecycleNotificationUrl"`
	Expires     string `json:"expirationDateTime"`
}

func (s *Sim) createSubscription(c *call) reply {
	var in subscribeRequest
	if !c.decode(&in) {
		return c.badRequest("The body is malformed.")
	}
	m := taskResource.FindStringSubmatch(in.Resource)
	expires, problem := s.expiry(in.Expires)
	switch {
	case in.ChangeType != "created":
		return c.fail(400, "InvalidRequest", "The change type is not supported for this resource.")
	case m == nil:
		return c.fail(400, "InvalidRequest", "The resource is not supported.")
	case len(in.ClientState) > 128:
		return c.fail(400, "InvalidRequest", "clientState exceeds 128 characters.")
	case problem != "":
		return c.fail(400, "InvalidRequest", problem)
	case !postable(in.Notify) || (in.Lifecycle != "" && !postable(in.Lifecycle)):
		return c.fail(400, "InvalidRequest", "The notification URL must be an https address.")
	}
	s.mu.Lock()
	c.Definition = m[1]
	d, r := s.ownDefinition(c)
	second := d != nil && s.subscribed(d, c.App)
	s.mu.Unlock()
	switch {
	case d == nil:
		return r
	case second:
		return c.secondSubscription()
	}
	for _, target := range []string{in.Notify, in.Lifecycle} {
		if err := s.handshake(c.ctx, target); err != nil {
			return c.fail(400, "ValidationError", "Subscription validation request failed. "+err.Error())
		}
	}
	return s.subscribe(c, d, in, expires)
}

// subscribed reports whether an app has an active subscription to the tasks of a definition: Graph
// allows one for a change type and a resource, whatever its URL.
func (s *Sim) subscribed(d *definition, appID string) bool {
	now := time.Now()
	return slices.ContainsFunc(s.subOrder, func(sub *subscription) bool {
		return sub.def == d && sub.appID == appID && now.Before(sub.expires)
	})
}

func (c *call) secondSubscription() reply {
	return c.fail(409, "ExtensionError",
		"Operation: Create; Exception: [Status Code: Conflict; Reason: Subscription to this resource already exists.]")
}

// subscribe enters a subscription whose handshake succeeded.
func (s *Sim) subscribe(c *call, d *definition, in subscribeRequest, expires time.Time) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	appID := c.App
	if s.subscribed(d, appID) { // another call was faster
		return c.secondSubscription()
	}
	sub := &subscription{
		id: s.dice.guid("subscription", fmt.Sprint(d.id, s.dice.pick(1<<30, "subscription", d.id))), appID: appID,
		clientState: in.ClientState,
		notifyURL:   in.Notify, lifecycleURL: in.Lifecycle, def: d, expires: expires,
	}
	s.subs[sub.id] = sub
	s.subOrder = append(s.subOrder, sub)
	s.watchExpiry(sub)
	return reply{status: 201, body: sub.json(s.ahead(), true)}
}

// expiry reads expirationDateTime, which is by Graph's clock, and applies the limits. The result is by the machine's.
func (s *Sim) expiry(text string) (expires time.Time, problem string) {
	t, err := time.Parse(time.RFC3339Nano, text)
	t = t.Add(-s.ahead())
	now := time.Now()
	switch {
	case err != nil:
		return t, "expirationDateTime is not valid."
	case t.After(now.Add(longestSubscription)):
		return t, "Subscription expiration can only be 4230 minutes in the future."
	case t.Before(now):
		return t, "Subscription expiration must be in the future."
	case t.Before(now.Add(shortestSubscription)):
		t = now.Add(shortestSubscription)
	}
	if most := s.knobs.Load().SubscriptionLife; most > 0 && t.After(now.Add(most)) {
		t = now.Add(most)
	}
	return t, ""
}

// postable allows https, and http only to this machine.
func postable(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || (u.Scheme == "http" && (u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())))
}

// findSubscription finds an active subscription of the app.
func (s *Sim) findSubscription(c *call) *subscription {
	sub := s.subs[c.Subscription]
	if sub == nil || sub.appID != c.App {
		return nil
	}
	if !time.Now().Before(sub.expires) {
		s.dropSubscription(sub)
		return nil
	}
	return sub
}

func (c *call) noSubscription() reply {
	return c.fail(404, "ResourceNotFound", "The object was not found.")
}

func (s *Sim) dropSubscription(sub *subscription) {
	if sub.stopLifecycle != nil {
		sub.stopLifecycle()
	}
	delete(s.subs, sub.id)
	s.subOrder = slices.DeleteFunc(s.subOrder, func(o *subscription) bool { return o == sub })
}

func (s *Sim) listSubscriptions(c *call) reply {
	now := time.Now()
	s.mu.Lock()
	var all []subscriptionJSON
	for _, sub := range s.subOrder {
		if sub.appID == c.App && now.Before(sub.expires) {
			all = append(all, sub.json(s.ahead(), false))
		}
	}
	s.mu.Unlock()
	return page(s, c, "subscriptions", all)
}

func (s *Sim) getSubscription(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.findSubscription(c)
	if sub == nil {
		return c.noSubscription()
	}
	return reply{status: 200, body: sub.json(s.ahead(), false)}
}

func (s *Sim) updateSubscription(c *call) reply {
	var in subscribeRequest
	if !c.decode(&in) {
		return c.badRequest("The body is malformed.")
	}
	expires, problem := s.expiry(in.Expires)
	if problem != "" {
		return c.fail(400, "InvalidRequest", problem)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.findSubscription(c)
	if sub == nil {
		return c.noSubscription()
	}
	sub.expires, sub.reauthorizeBy = expires, time.Time{}
	s.watchExpiry(sub)
	return reply{status: 200, body: sub.json(s.ahead(), false)}
}

func (s *Sim) reauthorizeSubscription(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.findSubscription(c)
	if sub == nil {
		return c.noSubscription()
	}
	sub.reauthorizeBy = time.Time{}
	return reply{status: 204}
}

func (s *Sim) deleteSubscription(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.findSubscription(c)
	if sub == nil {
		return c.noSubscription()
	}
	s.dropSubscription(sub)
	return reply{status: 204}
}

// Subscription is a subscription, for tests.
type Subscription struct {
	ID, App, Definition, ClientState, NotificationURL, LifecycleURL string
	Expires                                                         time.Time
}

// Subscriptions returns the active ones, in the order of their creation.
func (s *Sim) Subscriptions() []Subscription {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Subscription
	for _, sub := range s.subOrder {
		if now.Before(sub.expires) {
			out = append(out,
				Subscription{sub.id, sub.appID, sub.def.id, sub.clientState, sub.notifyURL, sub.lifecycleURL, sub.expires})
		}
	}
	return out
}

// DropSubscriptions removes subscriptions without notice, as Graph may; all of them if no id is given.
func (s *Sim) DropSubscriptions(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range slices.Clone(s.subOrder) {
		if len(ids) == 0 || slices.Contains(ids, sub.id) {
			s.dropSubscription(sub)
		}
	}
}

// ExpireSubscriptions lets every subscription expire: no notification follows, and reading one is answered with 404.
func (s *Sim) ExpireSubscriptions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subOrder {
		sub.expires = time.Now()
	}
}

// RequireReauthorization sends reauthorizationRequired for every subscription now.
func (s *Sim) RequireReauthorization() {
	s.mu.Lock()
	subs := slices.Clone(s.subOrder)
	s.mu.Unlock()
	for _, sub := range subs {
		s.requireReauthorization(sub)
	}
}

func escapeQuery(target, name, value string) string {
	sep := "?"
	if strings.Contains(target, "?") {
		sep = "&"
	}
	return target + sep + name + "=" + url.QueryEscape(value)
}

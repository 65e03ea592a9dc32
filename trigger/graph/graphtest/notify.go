package graphtest

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

const handshakeTimeout = 10 * time.Second

func newDeliverer() http.RoundTripper {
	return &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: handshakeTimeout}
}

func (s *Sim) deliverer() http.RoundTripper {
	if d := s.knobs.Load().Deliver; d != nil {
		return d
	}
	return s.posts
}

// handshake asks a receiver to repeat a token, as Graph does before it creates a subscription.
func (s *Sim) handshake(ctx context.Context, target string) error {
	if target == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	token := "Validation: Testing client application reachability for subscription Request-Id: " + crand.Text()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, escapeQuery(target, "validationToken", token),
		http.NoBody)
	if err != nil {
		return errors.New("The address is not valid.")
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	res, err := s.deliverer().RoundTrip(req)
	if err != nil {
		return errors.New("Must respond with 200 OK to validation requests; the request failed or timed out.")
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case err != nil || res.StatusCode != http.StatusOK:
		return fmt.Errorf("Notification endpoint must respond with 200 OK to validation request, but responded %d.",
			res.StatusCode)
	case kind != "text/plain":
		return errors.New("Notification endpoint must answer with content type text/plain.")
	case string(body) != token:
		return errors.New("Notification endpoint must return the decoded validation token.")
	}
	return nil
}

type notificationJSON struct {
	ID             string            `json:"id,omitempty"`
	Subscription   string            `json:"subscriptionId"`
	Expires        string            `json:"subscriptionExpirationDateTime"`
	ClientState    *string           `json:"clientState"`
	ChangeType     string            `json:"changeType,omitempty"`
	LifecycleEvent string            `json:"lifecycleEvent,omitempty"`
	Resource       string            `json:"resource"`
	Tenant         string            `json:"tenantId"`
	ResourceData   *resourceDataJSON `json:"resourceData"`
}

type resourceDataJSON struct {
	Type      string `json:"@odata.type"`
	ODataID   string `json:"@odata.id"`
	ID        string `json:"id"`
	ParentURL string `json:"parentUrl,omitempty"`
}

// announce notifies every subscriber of the definition of a new task. Faults are drawn per subscription and task.
func (s *Sim) announce(t *task) {
	k := s.knobs.Load()
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subOrder {
		if sub.def != t.def || !sub.hears(now) {
			continue
		}
		about := sub.id + t.id
		s.log.count("notifications.made")
		if s.dice.chance(k.LoseNotification, "lose notification", about) {
			s.log.count("notifications.lost")
			continue
		}
		n := s.notification(k, sub, t)
		copies := 1
		if s.dice.chance(k.DuplicateNotification, "duplicate notification", about) {
			s.log.count("notifications.duplicated")
			copies = 2
		}
		for range copies {
			delay := time.Duration(float64(k.NotifyDelay) * s.dice.unit("notification delay", about))
			s.post(sub.notifyURL, delivery{note: n, since: now}, delay)
		}
	}
}

// hears reports whether notifications are still sent to the subscriber.
func (sub *subscription) hears(now time.Time) bool {
	return now.Before(sub.expires) && (sub.reauthorizeBy.IsZero() || now.Before(sub.reauthorizeBy))
}

func (s *Sim) notification(k *Knobs, sub *subscription, t *task) notificationJSON {
	resource := sub.resource() + "/" + t.id
	n := notificationJSON{
		ID: s.dice.guid("notification", sub.id+t.id), Subscription: sub.id, Expires: s.told(sub.expires),
		ClientState: optional(sub.clientState), ChangeType: "created", Resource: resource, Tenant: k.Tenant,
		ResourceData: &resourceDataJSON{
			Type: "#Microsoft.Graph.printTask", ODataID: k.ResourceBase + "/" + resource, ID: t.id,
		},
	}
	if !s.dice.chance(k.NoParentURL, "no parentUrl", sub.id+t.id) {
		n.ResourceData.ParentURL = s.resourceURL(t.job.id)
	}
	return n
}

// watchExpiry schedules reauthorizationRequired before the subscription ends.
func (s *Sim) watchExpiry(sub *subscription) {
	if sub.stopLifecycle != nil {
		sub.stopLifecycle()
	}
	sub.stopLifecycle = s.chores.after(time.Until(sub.expires)-s.knobs.Load().ReauthorizeBefore,
		func() { s.requireReauthorization(sub) })
}

func (s *Sim) requireReauthorization(sub *subscription) {
	k := s.knobs.Load()
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subs[sub.id] != sub || !now.Before(sub.expires) {
		return
	}
	if k.ReauthorizeGrace > 0 {
		sub.reauthorizeBy = now.Add(k.ReauthorizeGrace)
	}
	if sub.lifecycleURL == "" {
		return
	}
	n := notificationJSON{
		Subscription: sub.id, Expires: s.told(sub.expires), ClientState: optional(sub.clientState),
		LifecycleEvent: "reauthorizationRequired", Resource: sub.resource(), Tenant: k.Tenant,
	}
	s.post(sub.lifecycleURL, delivery{note: n, since: now}, 0)
}

// outbox holds the notifications that wait for one URL.
type outbox struct {
	waiting []delivery
	posting int
}

type delivery struct {
	note  notificationJSON
	since time.Time
	tries int
}

// post puts a notification into the outbox of its URL, now or later. The caller holds the lock.
func (s *Sim) post(target string, d delivery, delay time.Duration) {
	if delay > 0 {
		s.chores.after(delay, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.post(target, d, 0)
		})
		return
	}
	box := s.outboxes[target]
	if box == nil {
		box = &outbox{}
		s.outboxes[target] = box
	}
	box.waiting = append(box.waiting, d)
	if box.posting < s.knobs.Load().Deliveries {
		box.posting++
		s.chores.after(0, func() { s.empty(target, box) })
	}
}

// empty posts until the outbox is empty.
func (s *Sim) empty(target string, box *outbox) {
	for {
		k := s.knobs.Load()
		s.mu.Lock()
		n := min(k.Join, len(box.waiting))
		if n == 0 || s.ctx.Err() != nil {
			box.posting--
			s.mu.Unlock()
			return
		}
		batch := append([]delivery(nil), box.waiting[:n]...)
		box.waiting = box.waiting[n:]
		s.mu.Unlock()
		if s.deliver(target, batch) {
			continue
		}
		s.mu.Lock()
		s.retry(k, target, batch)
		s.mu.Unlock()
	}
}

// retry posts what was not accepted again later, until RetryFor has passed.
func (s *Sim) retry(k *Knobs, target string, batch []delivery) {
	for _, d := range batch {
		wait := min(k.RetryFirst<<min(d.tries, 20), 10*time.Minute)
		d.tries++
		if time.Since(d.since)+wait > k.RetryFor {
			s.log.count("notifications.dropped")
			continue
		}
		s.log.count("notifications.retried")
		s.post(target, d, wait)
	}
}

// deliver posts a batch and reports whether it was accepted in time.
func (s *Sim) deliver(target string, batch []delivery) bool {
	var body struct {
		Value []notificationJSON `json:"value"`
	}
	for _, d := range batch {
		body.Value = append(body.Value, d.note)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.knobs.Load().DeliverTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(raw))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	res, err := s.deliverer().RoundTrip(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16)) // only the status counts
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 || ctx.Err() != nil {
		return false
	}
	for range batch {
		s.log.count("notifications.posted")
	}
	return true
}

package trigger

import (
	"encoding/json"
	"fmt"
	"strings"

	"pullprint/trigger/graph"
)

// maxItem bounds one notification; Graph's are about 600 bytes.
const maxItem = 16 << 10

// The longest values of members, in bytes. Ids have at most 64 (graph.ValidID). Graph allows 128
// for a clientState. A resource has two ids and 40 characters around them; a job's URL is
// given room for a long host and path before what we read of it.
const (
	maxID          = 64
	maxClientState = 128
	maxResource    = 512
	maxJobURL      = 2048
)

// A Notification is one changeNotification of a task that is well-formed but not verified:
// only Verifier.Verify makes an Event of it. It holds a secret that it does not print.
type Notification struct {
	sender
	definition, task string
	job              graph.Ref // zero when the notification names none that we understand
}

// sender is what a notification says of where it comes from. Anybody can write it; the
// clientState alone proves something.
type sender struct{ subscription, clientState, tenant string }

// String hides everything that the sender chose.
func (Notification) String() string { return "notification" }

// GoString is String.
func (Notification) GoString() string { return "trigger.Notification{}" }

// ParseNotification reads one item of the `value` array that Graph posts
// (https://learn.microsoft.com/graph/api/resources/changenotification). It returns
// ErrMalformed unless raw is one JSON object of at most 16 KiB whose members have the right
// types, occur once each, and name a print task. A parentUrl that names no job counts as
// absent; no URL in a notification is ever requested.
func ParseNotification(raw []byte) (Notification, error) {
	item, err := members(raw)
	if err != nil {
		return Notification{}, err
	}
	var n Notification
	var resource string
	if err := item.texts(n.fields(field{"resource", &resource, maxResource})...); err != nil {
		return Notification{}, err
	}
	if !graph.ValidID(n.subscription) || !graph.ValidID(n.tenant) {
		return Notification{}, fmt.Errorf("%w: no subscription or tenant id", ErrMalformed)
	}
	var ok bool
	if n.definition, n.task, ok = graph.ParseTaskResource(resource); !ok {
		return Notification{}, fmt.Errorf("%w: resource is no print task", ErrMalformed)
	}
	n.sender = n.canonical()
	n.definition, n.task = graph.Canonical(n.definition), graph.Canonical(n.task)
	return n, n.readData(item["resourceData"])
}

// fields are the members of a sender, and more.
func (s *sender) fields(more ...field) []field {
	return append([]field{
		{"subscriptionId", &s.subscription, maxID},
		{"clientState", &s.clientState, maxClientState},
		{"tenantId", &s.tenant, maxID},
	}, more...)
}

func (s sender) canonical() sender {
	s.subscription, s.tenant = graph.Canonical(s.subscription), graph.Canonical(s.tenant)
	return s
}

// readData reads the job from resourceData, which may be absent.
func (n *Notification) readData(raw json.RawMessage) error {
	if absent(raw) {
		return nil
	}
	data, err := members(raw)
	if err != nil {
		return err
	}
	var id, parent string
	if err := data.texts(field{"id", &id, maxID}, field{"parentUrl", &parent, maxJobURL}); err != nil {
		return err
	}
	if id != "" && !strings.EqualFold(id, n.task) {
		return fmt.Errorf("%w: resourceData is of another task", ErrMalformed)
	}
	n.job, _ = graph.ParseJobURL(parent) // zero when it is none, which counts as absent
	return nil
}

// A Lifecycle is one lifecycle notification that is well-formed but not verified: only
// Verifier.VerifyLifecycle makes a LifecycleEvent of it.
type Lifecycle struct {
	sender
	event string
}

// String hides everything that the sender chose.
func (Lifecycle) String() string { return "lifecycle notification" }

// GoString is String.
func (Lifecycle) GoString() string { return "trigger.Lifecycle{}" }

// ParseLifecycle reads one item of what Graph posts to the lifecycle URL
// (https://learn.microsoft.com/graph/change-notifications-lifecycle-events), as
// strictly as ParseNotification. The tenant may be absent.
func ParseLifecycle(raw []byte) (Lifecycle, error) {
	item, err := members(raw)
	if err != nil {
		return Lifecycle{}, err
	}
	var l Lifecycle
	if err := item.texts(l.fields(field{"lifecycleEvent", &l.event, maxID})...); err != nil {
		return Lifecycle{}, err
	}
	if !graph.ValidID(l.subscription) || !graph.ValidID(l.event) || (l.tenant != "" && !graph.ValidID(l.tenant)) {
		return Lifecycle{}, fmt.Errorf("%w: no subscription id or event", ErrMalformed)
	}
	l.sender = l.canonical()
	return l, nil
}

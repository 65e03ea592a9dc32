package trigger

import (
	"encoding/json"
	"fmt"
	"strings"

	"pullprint/trigger/graph"
)

// maxItem bounds one notification; Graph's are about 600 bytes.
const maxItem = 16 << 10

// A Notification is one changeNotification of a task, well-formed but not
// verified: only Verifier.Verify makes an Event of it. It holds a secret that it
// doesn't show.
type Notification struct {
	subscription, clientState, tenant string
	definition, task                  string
	job                               graph.Ref
}

// String hides all that the sender chose.
func (Notification) String() string { return "notification" }

// GoString is String.
func (Notification) GoString() string { return "trigger.Notification{}" }

// ParseNotification reads one item of the `value` array that Graph posts
// (https://learn.microsoft.com/graph/api/resources/changenotification). Anything
// but one JSON object of at most 16 KiB with members of the right type, none of
// them twice, and a resource in the grammar of a print task is ErrMalformed.
// A parentUrl that names no job in our grammar is as good as none: nothing is
// ever fetched from where it points to.
func ParseNotification(raw []byte) (Notification, error) {
	item, err := members(raw)
	if err != nil {
		return Notification{}, err
	}
	var n Notification
	var resource string
	for _, f := range []struct {
		name string
		into *string
		max  int
	}{
		{"subscriptionId", &n.subscription, 64},
		{"clientState", &n.clientState, 128},
		{"tenantId", &n.tenant, 64},
		{"resource", &resource, 512},
	} {
		if err := item.text(f.name, f.into, f.max); err != nil {
			return Notification{}, err
		}
	}
	if !graph.ValidID(n.subscription) || !graph.ValidID(n.tenant) {
		return Notification{}, fmt.Errorf("%w: no subscription or tenant id", ErrMalformed)
	}
	var ok bool
	if n.definition, n.task, ok = graph.ParseTaskResource(resource); !ok {
		return Notification{}, fmt.Errorf("%w: resource is no print task", ErrMalformed)
	}
	n.subscription, n.tenant = graph.Canonical(n.subscription), graph.Canonical(n.tenant)
	n.definition, n.task = graph.Canonical(n.definition), graph.Canonical(n.task)
	return n, n.readData(item["resourceData"])
}

// readData takes the job out of resourceData, which may be absent.
func (n *Notification) readData(raw json.RawMessage) error {
	if absent(raw) {
		return nil
	}
	data, err := members(raw)
	if err != nil {
		return err
	}
	var id, parent string
	if err := data.text("id", &id, 64); err != nil {
		return err
	}
	if err := data.text("parentUrl", &parent, 2048); err != nil {
		return err
	}
	if id != "" && !strings.EqualFold(id, n.task) {
		return fmt.Errorf("%w: resourceData is of another task", ErrMalformed)
	}
	// An error leaves it zero, as good as absent.
	n.job, _ = graph.ParseJobURL(parent)
	return nil
}

// A Lifecycle is one lifecycle notification, well-formed but not verified.
type Lifecycle struct{ subscription, clientState, tenant, event string }

// String hides all that the sender chose.
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
	for _, f := range []struct {
		name string
		into *string
		max  int
	}{
		{"subscriptionId", &l.subscription, 64},
		{"clientState", &l.clientState, 128},
		{"tenantId", &l.tenant, 64},
		{"lifecycleEvent", &l.event, 64},
	} {
		if err := item.text(f.name, f.into, f.max); err != nil {
			return Lifecycle{}, err
		}
	}
	if !graph.ValidID(l.subscription) || !graph.ValidID(l.event) || (l.tenant != "" && !graph.ValidID(l.tenant)) {
		return Lifecycle{}, fmt.Errorf("%w: no subscription id or event", ErrMalformed)
	}
	l.subscription, l.tenant = graph.Canonical(l.subscription), graph.Canonical(l.tenant)
	return l, nil
}

package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/index"
	"pullprint/policy/strictyaml"
)

// queueNamed is the queue that a request names, in whatever case: one that is configured, or
// was when a job arrived that still has a record.
func (a *API) queueNamed(name string) (string, error) {
	configured := a.queueNames()
	if name == "" || slices.Contains(configured, name) {
		return name, nil
	}
	if a.Index.Any(func(e *index.Entry) bool { return e.Queue == name }) {
		return name, nil
	}
	fold := func(n string) bool { return strings.EqualFold(n, name) }
	if i := slices.IndexFunc(configured, fold); i >= 0 {
		return configured[i], nil
	}
	former := ""
	if a.Index.Any(func(e *index.Entry) bool {
		former = e.Queue
		return fold(e.Queue)
	}) {
		return former, nil
	}
	return "", failure(http.StatusNotFound, "no-such-queue", "There is no such queue", alternatives(name, configured))
}

func (a *API) queueNames() []string {
	names := make([]string, len(a.Queues))
	for i, q := range a.Queues {
		names[i] = q.Name
	}
	slices.Sort(names)
	return names
}

// noDevice is the problem of an unknown device; it lists them all, as an operator may see
// them.
func (a *API) noDevice(id string) *apiclient.Problem {
	ids := make([]string, len(a.Devices))
	for i, d := range a.Devices {
		ids[i] = d.ID
	}
	slices.Sort(ids)
	return failure(http.StatusNotFound, "no-such-device", "There is no such device", alternatives(id, ids))
}

// alternatives lists the configured names, and says which of them may be meant.
func alternatives(name string, names []string) string {
	text := "The configuration has: " + join(names) + "."
	if len(names) == 0 {
		text = "The configuration has none."
	}
	if near := strictyaml.Nearest(name, names); near != "" {
		text = fmt.Sprintf("Did you mean %q? %s", near, text)
	}
	return text
}

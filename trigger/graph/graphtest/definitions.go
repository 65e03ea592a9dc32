package graphtest

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"
)

type appIdentityJSON struct {
	AppID                string  `json:"appId"`
	DisplayName          string  `json:"displayName"`
	ServicePrincipalID   *string `json:"servicePrincipalId"`
	ServicePrincipalName *string `json:"servicePrincipalName"`
}

type definitionJSON struct {
	Context     string          `json:"@odata.context,omitempty"`
	ID          string          `json:"id"`
	DisplayName string          `json:"displayName"`
	CreatedBy   appIdentityJSON `json:"createdBy"`
}

type statusJSON struct {
	State       string `json:"state"`
	Description string `json:"description"`
}

type taskJSON struct {
	Context    string          `json:"@odata.context,omitempty"`
	ID         string          `json:"id"`
	ParentURL  string          `json:"parentUrl"`
	Status     statusJSON      `json:"status"`
	Definition *definitionJSON `json:"definition,omitempty"`
	Trigger    *idJSON         `json:"trigger,omitempty"`
}

type idJSON struct {
	ID string `json:"id"`
}

type listJSON[T any] struct {
	Context  string `json:"@odata.context,omitempty"`
	Value    []T    `json:"value"`
	NextLink string `json:"@odata.nextLink,omitempty"`
}

const context0 = "https://graph.microsoft.com/v1.0/$metadata#"

func (s *Sim) newDefinition(appID, displayName, appName string) *definition {
	d := &definition{
		id: s.dice.guid("definition", fmt.Sprint(len(s.defOrder))), displayName: displayName, appID: appID, appName: appName,
	}
	s.definitions[d.id] = d
	s.defOrder = append(s.defOrder, d)
	return d
}

func (d *definition) json() definitionJSON {
	return definitionJSON{
		ID: d.id, DisplayName: d.displayName, CreatedBy: appIdentityJSON{AppID: d.appID, DisplayName: d.appName},
	}
}

func (s *Sim) listDefinitions(c *call) reply {
	if r, bad := c.refuseOptions(); bad {
		return r
	}
	s.mu.Lock()
	all := make([]definitionJSON, 0, len(s.defOrder))
	for _, d := range s.defOrder {
		all = append(all, d.json())
	}
	s.mu.Unlock()
	return page(s, c, "print/taskDefinitions", all)
}

func (s *Sim) createDefinition(c *call) reply {
	var in struct {
		DisplayName string          `json:"displayName"`
		CreatedBy   appIdentityJSON `json:"createdBy"`
	}
	if !c.decode(&in) || in.DisplayName == "" {
		return c.badRequest("displayName is required.")
	}
	s.mu.Lock()
	d := s.newDefinition(c.App, in.DisplayName, in.CreatedBy.DisplayName)
	for _, id := range s.knobs.Load().BindQueues {
		if p := s.printers[id]; p != nil && p.trigger == nil {
			s.newTrigger(p, d, c.App)
		}
	}
	out := d.json()
	s.mu.Unlock()
	out.Context = context0 + "print/taskDefinitions/$entity"
	return reply{status: 201, body: out}
}

// ownDefinition finds a definition that the app created. Those of other apps can be listed and read, not
// changed.
func (s *Sim) ownDefinition(c *call) (*definition, reply) {
	d := s.definitions[c.Definition]
	if d == nil {
		return nil, c.notFound()
	}
	if d.appID != c.App {
		return nil, c.fail(403, "Forbidden", "The task definition was created by another application.")
	}
	return d, reply{}
}

func (s *Sim) getDefinition(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.definitions[c.Definition]
	if d == nil {
		return c.notFound()
	}
	return reply{status: 200, body: d.json()}
}

func (s *Sim) updateDefinition(c *call) reply {
	var in struct {
		DisplayName string `json:"displayName"`
	}
	if !c.decode(&in) || in.DisplayName == "" {
		return c.badRequest("displayName is required.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.ownDefinition(c)
	if d == nil {
		return r
	}
	d.displayName = in.DisplayName
	return reply{status: 200, body: d.json()}
}

func (s *Sim) deleteDefinition(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.ownDefinition(c)
	if d == nil {
		return r
	}
	s.dropDefinition(d)
	return reply{status: 204}
}

// DeleteDefinition removes a task definition with its triggers and subscriptions, as if its app or an
// administrator had.
func (s *Sim) DeleteDefinition(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.definitions[id]
	if d == nil {
		return fmt.Errorf("no task definition %q", id)
	}
	s.dropDefinition(d)
	return nil
}

func (s *Sim) dropDefinition(d *definition) {
	delete(s.definitions, d.id)
	s.defOrder = slices.DeleteFunc(s.defOrder, func(o *definition) bool { return o == d })
	for _, p := range s.printOrder {
		if p.trigger != nil && p.trigger.def == d {
			p.trigger = nil
		}
	}
	for _, sub := range slices.Clone(s.subOrder) {
		if sub.def == d {
			s.dropSubscription(sub)
		}
	}
}

// listTasks lists, in pages, the tasks that run or finished recently. The token in nextLink is opaque to
// callers.
func (s *Sim) listTasks(c *call) reply {
	if r, bad := c.refuseOptions(); bad {
		return r
	}
	from, ok := c.skip()
	if !ok {
		return c.badRequest("The $skiptoken is not valid.")
	}
	k := s.knobs.Load()
	oldest := time.Now().Add(-k.TaskMemory)
	out := listJSON[taskJSON]{
		Context: context0 + "print/taskDefinitions('" + c.Definition + "')/tasks", Value: []taskJSON{},
	}
	s.mu.Lock()
	d, r := s.ownDefinition(c)
	if d == nil {
		s.mu.Unlock()
		return r
	}
	i := from
	for ; i < len(d.tasks) && len(out.Value) < k.TaskPage; i++ {
		if t := d.tasks[i]; t.finished.IsZero() || t.finished.After(oldest) {
			out.Value = append(out.Value, s.taskJSON(s.shownTask(k, t)))
		}
	}
	more := i < len(d.tasks)
	s.mu.Unlock()
	for i := range out.Value {
		s.garble(k, c, &out.Value[i].Status.State)
	}
	if more {
		out.NextLink = s.nextLink(c, i)
	}
	return reply{status: 200, body: out}
}

func (s *Sim) taskJSON(t *task) taskJSON {
	return taskJSON{ID: t.id, ParentURL: s.resourceURL(t.job.id), Status: statusJSON{t.state, t.description}}
}

func (s *Sim) findTask(c *call) (*task, reply) {
	d, r := s.ownDefinition(c)
	if d == nil {
		return nil, r
	}
	if t := s.tasks[c.Task]; t != nil && t.def == d {
		return t, reply{}
	}
	return nil, c.notFound()
}

func (s *Sim) getTask(c *call) reply {
	if r, bad := c.refuseOptions("$expand", "$select"); bad {
		return r
	}
	s.mu.Lock()
	t, r := s.findTask(c)
	if t == nil {
		s.mu.Unlock()
		return r
	}
	k := s.knobs.Load()
	out := s.taskJSON(s.shownTask(k, t))
	s.mu.Unlock()
	s.garble(k, c, &out.Status.State)
	out.Context = context0 + "print/taskDefinitions('" + c.Definition + "')/tasks/$entity"
	return reply{status: 200, body: out}
}

// garble sometimes replaces a documented word by one that is not.
func (s *Sim) garble(k *Knobs, c *call, word *string) {
	if s.dice.chance(k.UnknownWords, "unknown word", c.Path) {
		*word = []string{"unknownFutureValue", "quarantined"}[s.dice.pick(2, "which unknown word", c.Path)]
	}
}

// skip returns the index at which a nextLink continues.
func (c *call) skip() (int, bool) {
	t := c.query.Get("$skiptoken")
	if t == "" {
		return 0, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(t)
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(string(raw))
	return n, err == nil && n >= 0
}

// nextLink returns the address of the next page, on the host that the caller used.
func (s *Sim) nextLink(c *call, from int) string {
	origin := c.origin
	if foreign := s.knobs.Load().ForeignNextLink; foreign != "" {
		origin = foreign
	}
	q := url.Values{}
	for name, values := range c.query {
		q[name] = values
	}
	q.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(from))))
	return origin + "/v1.0" + c.Path + "?" + q.Encode()
}

// page returns one page of a list that is small enough to be built completely.
func page[T any](s *Sim, c *call, what string, all []T) reply {
	from, ok := c.skip()
	if !ok || from > len(all) {
		return c.badRequest("The $skiptoken is not valid.")
	}
	size := s.knobs.Load().JobPage
	out := listJSON[T]{Context: context0 + what, Value: all[from:]}
	if len(out.Value) > size {
		out.Value = out.Value[:size]
		out.NextLink = s.nextLink(c, from+size)
	}
	if out.Value == nil {
		out.Value = []T{}
	}
	return reply{status: 200, body: out}
}

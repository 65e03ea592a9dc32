package graphtest

import (
	"encoding/json"
	"strings"
	"time"
)

const stamp = "2006-01-02T15:04:05.0000000Z"

type printerStatusJSON struct {
	State       string   `json:"state"`
	Details     []string `json:"details"`
	Description string   `json:"description"`
}

type printerDefaultsJSON struct {
	CopiesPerJob  int      `json:"copiesPerJob"`
	ContentType   string   `json:"contentType"`
	Finishings    []string `json:"finishings"`
	MediaSize     string   `json:"mediaSize"`
	MediaType     string   `json:"mediaType"`
	ColorMode     string   `json:"colorMode"`
	DuplexMode    string   `json:"duplexMode"`
	Orientation   string   `json:"orientation"`
	PagesPerSheet int      `json:"pagesPerSheet"`
	Quality       string   `json:"quality"`
	DPI           int      `json:"dpi"`
	Scaling       string   `json:"scaling"`
}

type capabilitiesJSON struct {
	ContentTypes             []string `json:"contentTypes"`
	ColorModes               []string `json:"colorModes"`
	DuplexModes              []string `json:"duplexModes"`
	MediaSizes               []string `json:"mediaSizes"`
	PagesPerSheet            []int    `json:"pagesPerSheet"`
	IsColorPrintingSupported bool     `json:"isColorPrintingSupported"`
	IsPageRangeSupported     bool     `json:"isPageRangeSupported"`
}

type printerJSON struct {
	Context            string            `json:"@odata.context,omitempty"`
	ID                 string            `json:"id"`
	DisplayName        string            `json:"displayName"`
	Manufacturer       string            `json:"manufacturer"`
	Model              string            `json:"model"`
	IsShared           bool              `json:"isShared"`
	HasPhysicalDevice  bool              `json:"hasPhysicalDevice"`
	IsAcceptingJobs    *bool             `json:"isAcceptingJobs"`
	RegisteredDateTime string            `json:"registeredDateTime"`
	LastSeenDateTime   string            `json:"lastSeenDateTime"`
	Status             printerStatusJSON `json:"status"`
	Defaults           any               `json:"defaults,omitempty"`
	Capabilities       any               `json:"capabilities,omitempty"`
}

func (p *printer) json() printerJSON {
	var accepting *bool // a printer that was only registered has not said
	if !p.bare {
		yes := !p.NotAccepting
		accepting = &yes
	}
	seen := p.lastSeen
	if seen.IsZero() {
		seen = time.Now()
	}
	return printerJSON{
		ID: p.ID, DisplayName: p.DisplayName, Manufacturer: p.Manufacturer, Model: p.Model, IsShared: p.share != nil,
		HasPhysicalDevice: !p.Virtual,
		IsAcceptingJobs:   accepting, RegisteredDateTime: p.registered.UTC().Format(stamp),
		LastSeenDateTime: seen.UTC().Format(stamp),
		Status:           printerStatusJSON{State: p.State, Details: append([]string{}, p.details...)},
	}
}

func (s *Sim) listPrinters(c *call) reply {
	s.mu.Lock()
	all := make([]printerJSON, 0, len(s.printOrder))
	for _, p := range s.printOrder {
		all = append(all, p.json())
	}
	s.mu.Unlock()
	return page(s, c, "print/printers", all)
}

func (s *Sim) getPrinter(c *call) reply {
	s.mu.Lock()
	p := s.printers[c.Printer]
	if p == nil {
		s.mu.Unlock()
		return c.notFound()
	}
	out, made, can, unless, copies := p.json(), p.maker != "", p.capabilities, p.defaults, max(p.Copies, 1)
	s.mu.Unlock()
	s.garble(s.knobs.Load(), c, &out.Status.State)
	out.Context = context0 + "print/printers/$entity"
	if made {
		out.Capabilities, out.Defaults = overlay(map[string]json.RawMessage{}, can), overlay(map[string]json.RawMessage{},
			unless)
		return reply{status: 200, body: out}
	}
	out.Defaults = &printerDefaultsJSON{
		CopiesPerJob: copies, ContentType: "application/oxps", Finishings: []string{"none"}, MediaSize: "A4",
		MediaType: "stationery",
		ColorMode: "color", DuplexMode: "oneSided", Orientation: "portrait", PagesPerSheet: 1, Quality: "medium", DPI: 600,
		Scaling: "auto",
	}
	out.Capabilities = overlay(asMap(&capabilitiesJSON{
		ContentTypes:  []string{"application/oxps", "application/pdf"},
		ColorModes:    []string{"blackAndWhite", "grayscale", "color", "auto"},
		DuplexModes:   []string{"flipOnLongEdge", "flipOnShortEdge", "oneSided"},
		MediaSizes:    []string{"A3", "A4", "A5", "North America Letter"},
		PagesPerSheet: []int{1, 2, 4}, IsColorPrintingSupported: true, IsPageRangeSupported: true,
	}), can)
	return reply{status: 200, body: out}
}

// asMap is v with its properties by name.
func asMap(v any) (m map[string]json.RawMessage) {
	raw, _ := json.Marshal(v) // lists and words only: never fails
	_ = json.Unmarshal(raw, &m)
	return m
}

type triggerJSON struct {
	Context    string          `json:"@odata.context,omitempty"`
	ID         string          `json:"id"`
	Event      string          `json:"event"`
	Definition *definitionJSON `json:"definition,omitempty"`
}

func (s *Sim) newTrigger(p *printer, d *definition, appID string) *trigger {
	p.trigger = &trigger{id: s.dice.guid("trigger", p.ID+d.id), appID: appID, def: d}
	return p.trigger
}

func (t *trigger) json(withDefinition bool) triggerJSON {
	out := triggerJSON{ID: t.id, Event: "jobStarted"}
	if withDefinition {
		d := t.def.json()
		out.Definition = &d
	}
	return out
}

// expands reports whether $expand names a relation.
func (c *call) expands(relation string) bool {
	for _, e := range c.query["$expand"] {
		for _, name := range strings.Split(e, ",") {
			if strings.TrimSpace(name) == relation {
				return true
			}
		}
	}
	return false
}

func (s *Sim) listTriggers(c *call) reply {
	if r, bad := c.refuseOptions("$expand"); bad {
		return r
	}
	s.mu.Lock()
	p := s.printers[c.Printer]
	if p == nil {
		s.mu.Unlock()
		return c.notFound()
	}
	var all []triggerJSON
	if p.trigger != nil {
		all = append(all, p.trigger.json(c.expands("definition")))
	}
	s.mu.Unlock()
	return page(s, c, "print/printers('"+c.Printer+"')/taskTriggers", all)
}

func (s *Sim) getTrigger(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.printers[c.Printer]
	if p == nil || p.trigger == nil || p.trigger.id != c.Trigger {
		return c.notFound()
	}
	return reply{status: 200, body: p.trigger.json(c.expands("definition"))}
}

func (s *Sim) createTrigger(c *call) reply {
	var in struct {
		Event string `json:"event"`
		Bind  string `json:"definition@odata.bind"`
	}
	if !c.decode(&in) || in.Event != "jobStarted" {
		return c.badRequest("event must be jobStarted.")
	}
	id, ok := bound(in.Bind, "print/taskDefinitions/")
	if !ok {
		return c.badRequest("definition@odata.bind does not name a task definition.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, d := s.printers[c.Printer], s.definitions[id]
	switch {
	case p == nil:
		return c.notFound()
	case d == nil:
		return c.badRequest("The task definition does not exist.")
	case d.appID != c.App:
		return c.fail(403, "Forbidden", "The task definition was created by another application.")
	case p.trigger != nil:
		return c.badRequest("Multiple task triggers per printer is not supported")
	}
	out := s.newTrigger(p, d, c.App).json(false)
	out.Context = context0 + "print/printers('" + c.Printer + "')/taskTriggers/$entity"
	return reply{status: 201, body: out}
}

func (s *Sim) deleteTrigger(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.printers[c.Printer]
	if p == nil || p.trigger == nil || p.trigger.id != c.Trigger {
		return c.notFound()
	}
	p.trigger = nil
	return reply{status: 204}
}

package graphtest

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

type userIdentityJSON struct {
	ID                string  `json:"id"`
	DisplayName       string  `json:"displayName"`
	IPAddress         *string `json:"ipAddress"`
	UserPrincipalName string  `json:"userPrincipalName"`
}

type jobStatusJSON struct {
	State               string   `json:"state"`
	Description         string   `json:"description"`
	IsAcquiredByPrinter bool     `json:"isAcquiredByPrinter"`
	Details             []string `json:"details"`
}

type documentJSON struct {
	ID                 string  `json:"id"`
	DisplayName        string  `json:"displayName"`
	ContentType        string  `json:"contentType"`
	Size               int64   `json:"size"`
	UploadedDateTime   string  `json:"uploadedDateTime"`
	DownloadedDateTime *string `json:"downloadedDateTime"`
}

type jobJSON struct {
	Context              string           `json:"@odata.context,omitempty"`
	ID                   string           `json:"id"`
	CreatedDateTime      string           `json:"createdDateTime"`
	AcknowledgedDateTime *string          `json:"acknowledgedDateTime"`
	ErrorCode            *int             `json:"errorCode"`
	IsFetchable          bool             `json:"isFetchable"`
	RedirectedFrom       *string          `json:"redirectedFrom"`
	RedirectedTo         *string          `json:"redirectedTo"`
	CreatedBy            userIdentityJSON `json:"createdBy"`
	Status               jobStatusJSON    `json:"status"`
	Configuration        Configuration    `json:"configuration"`
	Documents            []documentJSON   `json:"documents,omitempty"`
	Tasks                []taskJSON       `json:"tasks,omitempty"`
}

// jobJSON copies a job for marshalling after the lock is given back. Slices of the configuration are
// replaced, never written to.
func (s *Sim) jobJSON(j *job, documents, tasks bool) jobJSON {
	created := s.told(j.created)
	out := jobJSON{
		ID: j.id.Job, CreatedDateTime: created,
		IsFetchable:    j.state == statePending || j.state == stateProcessing,
		RedirectedFrom: optional(s.resourceURL(j.redirectedFrom)), RedirectedTo: optional(s.resourceURL(j.redirectedTo)),
		CreatedBy: userIdentityJSON{ID: j.user.ID, DisplayName: j.user.DisplayName, UserPrincipalName: j.user.UPN},
		Status: jobStatusJSON{
			State: j.state, Description: j.description, IsAcquiredByPrinter: j.acquired, Details: j.details,
		},
		Configuration: j.config,
	}
	if documents {
		out.Documents = []documentJSON{j.doc.json(created)}
	}
	if tasks && j.task != nil {
		out.Tasks = []taskJSON{s.taskJSON(j.task)}
		d := j.task.def.json()
		out.Tasks[0].Definition = &d
		out.Tasks[0].Trigger = &idJSON{j.task.triggerID}
	}
	return out
}

func (d document) json(uploaded string) documentJSON {
	return documentJSON{
		ID: d.id, DisplayName: d.name, ContentType: d.contentType, Size: d.size, UploadedDateTime: uploaded,
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (s *Sim) findJob(c *call) *job {
	p := s.printers[c.Printer]
	if p == nil {
		return nil
	}
	return p.job(c.Job)
}

// expansions are the relations of a job that $expand may name.
func (c *call) expansions() (documents, tasks bool, r reply, bad bool) {
	for _, e := range c.query["$expand"] {
		for _, name := range strings.Split(e, ",") {
			switch strings.TrimSpace(name) {
			case "documents":
				documents = true
			case "tasks":
				tasks = true
			default:
				return false, false,
					c.badRequest("Could not find a property named '" + name + "' on type 'microsoft.graph.printJob'."), true
			}
		}
	}
	return documents, tasks, reply{}, false
}

func (s *Sim) getJob(c *call) reply {
	if r, bad := c.refuseOptions("$expand", "$select"); bad {
		return r
	}
	documents, tasks, r, bad := c.expansions()
	if bad {
		return r
	}
	s.mu.Lock()
	k := s.knobs.Load()
	j := s.findJob(c)
	if j == nil || s.early(k, j) {
		s.mu.Unlock()
		return c.notFound()
	}
	out := s.jobJSON(s.shown(k, j), documents, tasks)
	s.mu.Unlock()
	s.garble(k, c, &out.Status.State)
	if len(out.Tasks) > 0 {
		s.garble(k, c, &out.Tasks[0].Status.State)
	}
	out.Context = context0 + "print/printers('" + c.Printer + "')/jobs/$entity"
	return reply{status: 200, body: s.nullified(k, c, out)}
}

var byUPN = regexp.MustCompile(`^createdBy/userPrincipalName eq '((?:[^']|'')*)'$`)

func (s *Sim) listJobs(c *call) reply {
	if r, bad := c.refuseOptions("$expand", "$filter", "$top"); bad {
		return r
	}
	documents, tasks, r, bad := c.expansions()
	if bad {
		return r
	}
	upn := ""
	if f := c.query.Get("$filter"); f != "" {
		m := byUPN.FindStringSubmatch(f)
		if m == nil {
			return c.badRequest("The query filter is not supported.")
		}
		upn = strings.ReplaceAll(m[1], "''", "'")
	}
	from, ok := c.skip()
	if !ok {
		return c.badRequest("The $skiptoken is not valid.")
	}
	k := s.knobs.Load()
	out := listJSON[jobJSON]{Context: context0 + "print/printers('" + c.Printer + "')/jobs", Value: []jobJSON{}}
	s.mu.Lock()
	p := s.printers[c.Printer]
	if p == nil {
		s.mu.Unlock()
		return c.notFound()
	}
	i := from
	for ; i < len(p.jobs) && len(out.Value) < k.JobPage; i++ {
		if j := p.jobs[i]; j != nil && !s.early(k, j) && (upn == "" || strings.EqualFold(j.user.UPN, upn)) {
			out.Value = append(out.Value, s.jobJSON(s.shown(k, j), documents, tasks))
		}
	}
	more := i < len(p.jobs)
	s.mu.Unlock()
	for n := range out.Value {
		s.garble(k, c, &out.Value[n].Status.State)
	}
	if more {
		out.NextLink = s.nextLink(c, i)
	}
	return reply{status: 200, body: out}
}

// merge overlays the keys of raw on cfg, as PATCH and redirect do. ok is false for words Graph does not know.
func (cfg Configuration) merge(raw json.RawMessage) (Configuration, bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return cfg, true
	}
	// Fresh memory for all that json.Unmarshal would otherwise write through: answers under way still read the old one.
	cfg.PageRanges, cfg.Finishings = slices.Clone(cfg.PageRanges), slices.Clone(cfg.Finishings)
	if cfg.Margin != nil {
		m := *cfg.Margin
		cfg.Margin = &m
	}
	if cfg.FitPdfToPage != nil {
		fit := *cfg.FitPdfToPage
		cfg.FitPdfToPage = &fit
	}
	if json.Unmarshal(raw, &cfg) != nil {
		return cfg, false
	}
	ok := slices.Contains([]string{"blackAndWhite", "grayscale", "color", "auto"}, cfg.ColorMode) &&
		slices.Contains([]string{"flipOnLongEdge", "flipOnShortEdge", "oneSided"}, cfg.DuplexMode) &&
		cfg.Copies >= 1 && cfg.PagesPerSheet >= 1
	for _, r := range cfg.PageRanges {
		ok = ok && r.Start >= 1 && r.End >= r.Start
	}
	return cfg, ok
}

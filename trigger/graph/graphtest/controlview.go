package graphtest

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

//go:embed control.html control.css
var assets embed.FS

var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.ParseFS(assets, "control.html"))
})

func serveStyle(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, assets, "control.css")
}

type jobRef struct {
	Printer string `json:"printer"`
	Job     string `json:"job"`
}

// apiJob is a job in the control API.
type apiJob struct {
	jobRef
	User         string  `json:"user"`
	State        string  `json:"state"`
	Reason       string  `json:"reason,omitempty"`
	Task         string  `json:"task,omitempty"`
	TaskState    string  `json:"taskState,omitempty"`
	RedirectedTo *jobRef `json:"redirectedTo,omitempty"`
	Lineage      jobRef  `json:"lineage"`
	Effects      Effects `json:"effects"`
}

func newAPIJob(j JobSnapshot) apiJob {
	out := apiJob{
		jobRef: jobRef(j.ID), User: j.User.UPN, State: j.State, Reason: j.Reason, Task: j.Task.ID, TaskState: j.Task.State,
		Lineage: jobRef(j.Lineage), Effects: j.Effects,
	}
	if j.RedirectedTo.Job != "" {
		to := jobRef(j.RedirectedTo)
		out.RedirectedTo = &to
	}
	return out
}

func apiJobs(all []JobSnapshot) []apiJob {
	out := make([]apiJob, len(all))
	for i, j := range all {
		out[i] = newAPIJob(j)
	}
	return out
}

type apiState struct {
	Seed          uint64            `json:"seed"`
	Tenant        string            `json:"tenant"`
	Outage        string            `json:"outage"`
	Knobs         map[string]string `json:"knobs"`
	Printers      []Printer         `json:"printers"`
	Definitions   []string          `json:"definitions"`
	Subscriptions []Subscription    `json:"subscriptions"`
	DeviceCodes   []string          `json:"deviceCodes"`
	Paper         []Sheet           `json:"paper"`
	Calls         map[string]int    `json:"calls"`
	Audit         []string          `json:"audit"`
}

func (s *Sim) serveState(w http.ResponseWriter, _ *http.Request) {
	subs := s.Subscriptions()
	for i := range subs {
		subs[i].ClientState = "" // a secret between Graph and the receiver
	}
	writeJSON(w, http.StatusOK, apiState{
		Seed: s.seed, Tenant: s.Tenant(), Outage: s.outageName(), Knobs: dialsOf(s.knobs.Load()), Printers: s.Printers(),
		Definitions: s.Definitions(), Subscriptions: subs, DeviceCodes: s.DeviceCodes(), Paper: s.Paper(),
		Calls: s.AllCalls(), Audit: s.Audit(),
	})
}

func (s *Sim) outageName() string { return [...]string{"off", "503", "unreachable"}[s.outage.Load()] }

// page is everything the template shows.
type pageView struct {
	Host, Tenant, Outage  string
	Seed                  uint64
	Hostile               bool
	Refresh               int
	Printers              []printerView
	Users                 []User
	Definitions           []definitionView
	Jobs                  []jobView
	MoreJobs              int
	Subscriptions         []subscriptionView
	Codes                 []string
	Messages              []messageView
	Chances, Periods      []dialView
	Calls                 []callView
	Audit                 []string
	Held, Printed, Denied int
}

type printerView struct {
	Printer
	Definition string // display name of the one its trigger is bound to
	Bound      bool
	Waiting    int
	Prints     int
}

type definitionView struct{ ID, Name, App string }

type jobView struct {
	JobSnapshot
	PrinterName, To, Age string
	Open                 bool
}

type subscriptionView struct {
	Subscription
	Left string
}

type messageView struct {
	Message
	Age string
}

type dialView struct{ Name, Label, Value string }

type callView struct {
	Op string
	N  int
}

const jobsShown = 40

func (s *Sim) servePage(w http.ResponseWriter, r *http.Request) {
	v := s.view(r)
	var page bytes.Buffer
	if err := pageTemplate().Execute(&page, v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = page.WriteTo(w) // the client has disconnected
}

func (s *Sim) view(r *http.Request) pageView {
	k := s.knobs.Load()
	v := pageView{
		Host: r.Host, Tenant: k.Tenant, Outage: s.outageName(), Seed: s.seed, Hostile: k.hostile(), Users: s.Users(),
		Codes: s.DeviceCodes(), Audit: s.Audit(),
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("refresh")); err == nil {
		v.Refresh = min(max(n, 0), 60)
	}
	for _, d := range dials {
		row := dialView{d.Name, d.Label, d.value(k)}
		if d.chance != nil {
			v.Chances = append(v.Chances, row)
		} else {
			v.Periods = append(v.Periods, row)
		}
	}
	for op, n := range s.AllCalls() {
		v.Calls = append(v.Calls, callView{op, n})
	}
	slices.SortFunc(v.Calls, func(a, b callView) int { return b.N - a.N })
	for _, sub := range s.Subscriptions() {
		v.Subscriptions = append(v.Subscriptions, subscriptionView{sub, roughly(time.Until(sub.Expires))})
	}
	for _, m := range s.Messages() {
		v.Messages = append(v.Messages, messageView{m, roughly(time.Since(m.At))})
	}
	slices.Reverse(v.Messages)
	v.Messages = v.Messages[:min(len(v.Messages), jobsShown)]
	s.viewPrinters(&v)
	s.viewJobs(&v)
	return v
}

func (s *Sim) viewPrinters(v *pageView) {
	prints := map[string]int{}
	for _, p := range s.Paper() {
		prints[p.Job.Printer]++
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.defOrder {
		v.Definitions = append(v.Definitions, definitionView{d.id, d.displayName, d.appID})
	}
	for _, p := range s.printOrder {
		row := printerView{Printer: p.Printer, Prints: prints[p.ID], Bound: p.trigger != nil}
		if p.trigger != nil {
			row.Definition = p.trigger.def.displayName
		}
		for _, j := range p.jobs {
			if j != nil && !j.ended() {
				row.Waiting++
			}
		}
		v.Printers = append(v.Printers, row)
	}
}

// viewJobs shows the newest jobs first.
func (s *Sim) viewJobs(v *pageView) {
	names := map[string]string{}
	for _, p := range v.Printers {
		names[p.ID] = p.DisplayName
		v.Printed += p.Prints
	}
	all := s.Jobs("")
	slices.SortStableFunc(all, func(a, b JobSnapshot) int { return b.Created.Compare(a.Created) })
	for _, j := range all {
		switch j.State {
		case statePaused:
			v.Held++
		case stateAborted:
			v.Denied++
		}
		if len(v.Jobs) == jobsShown {
			v.MoreJobs++
			continue
		}
		ended := j.State == stateCompleted || j.State == stateCanceled || j.State == stateAborted
		v.Jobs = append(v.Jobs,
			jobView{j, names[j.ID.Printer], names[j.RedirectedTo.Printer], roughly(time.Since(j.Created)), !ended})
	}
}

// roughly writes a duration with its largest unit.
func roughly(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return strconv.Itoa(int(d/(24*time.Hour))) + " d"
	case d >= 2*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	case d >= 2*time.Minute:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	}
	return strconv.Itoa(int(d/time.Second)) + " s"
}

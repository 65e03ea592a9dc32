package graphtest

import (
	"encoding/json"
	"strconv"
	"time"
)

// Job states Universal Print documents.
const (
	statePending    = "pending"
	stateProcessing = "processing"
	statePaused     = "paused"
	stateCompleted  = "completed"
	stateCanceled   = "canceled"
	stateAborted    = "aborted"
)

// JobID identifies a job. Job alone is not unique: every printer counts its own.
type JobID struct{ Printer, Job string }

func (id JobID) String() string { return id.Printer + "/" + id.Job }

// app is an application registration.
type app struct {
	App
	displayName string
}

// definition is a printTaskDefinition with its tasks, oldest first.
type definition struct {
	id, displayName, appID, appName string
	tasks                           []*task
}

// trigger binds a printer to a definition, for the app whose token created it.
type trigger struct {
	id, appID string
	def       *definition
}

type printer struct {
	Printer
	registered time.Time
	maker      string // app that registered it, empty for those that tests add
	bare       bool   // registered, and no attributes yet
	share      *share
	trigger    *trigger
	jobs       []*job // index = id - 1; a deleted job leaves nil
	waiting    []*job // released while the printer was stopped
	details    []string
	lastSeen   time.Time // zero: just now

	capabilities, defaults map[string]json.RawMessage // override those of a printer that a test added
}

func (p *printer) job(id string) *job {
	n, err := strconv.Atoi(id)
	if err != nil || n < 1 || n > len(p.jobs) || strconv.Itoa(n) != id {
		return nil
	}
	return p.jobs[n-1]
}

type task struct {
	id, state, description string
	job                    *job
	def                    *definition
	appID                  string // of the trigger
	triggerID              string
	finished               time.Time
}

type job struct {
	id             JobID
	root           JobID // the job a person sent; itself, or the first of a chain of redirects
	user           User
	created        time.Time
	state          string
	description    string
	details        []string
	acquired       bool
	reason         string // of the abort
	redirectedTo   JobID
	redirectedFrom JobID
	config         Configuration
	doc            document
	task           *task
	draft          bool // created by a person and not started
	uploaded       bool // the document of a draft
	effects        Effects
	before         *job      // as it was before its last change
	changed        time.Time // when that was
}

func (j *job) ended() bool {
	return j.state == stateCompleted || j.state == stateCanceled || j.state == stateAborted
}

type document struct {
	id, name, contentType string
	size                  int64
	pages                 int
}

// Configuration is a printJobConfiguration.
type Configuration struct {
	FeedOrientation string      `json:"feedOrientation"`
	PageRanges      []PageRange `json:"pageRanges"`
	Quality         string      `json:"quality"`
	DPI             int         `json:"dpi"`
	Orientation     string      `json:"orientation"`
	Copies          int         `json:"copies"`
	DuplexMode      string      `json:"duplexMode"`
	ColorMode       string      `json:"colorMode"`
	InputBin        string      `json:"inputBin"`
	OutputBin       string      `json:"outputBin"`
	MediaSize       string      `json:"mediaSize"`
	Margin          *Margin     `json:"margin"`
	MediaType       string      `json:"mediaType"`
	Finishings      []string    `json:"finishings"`
	PagesPerSheet   int         `json:"pagesPerSheet"`
	MultipageLayout string      `json:"multipageLayout"`
	Collate         bool        `json:"collate"`
	Scaling         string      `json:"scaling"`
	FitPdfToPage    *bool       `json:"fitPdfToPage"`
}

// PageRange is a span of pages, both ends included.
type PageRange struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
}

// Margin is in microns.
type Margin struct {
	Top    int `json:"top"`
	Bottom int `json:"bottom"`
	Left   int `json:"left"`
	Right  int `json:"right"`
}

// Effects count the calls that tried to change a job, whoever sent them.
type Effects struct {
	AbortApplied, AbortRefused       int
	RedirectApplied, RedirectRefused int
	FinishApplied, FinishRefused     int // PATCH of the job's task to completed or aborted
	UpdateApplied, UpdateRefused     int // PATCH of the job's configuration
}

// Applied is the number of effects that took place on the job itself: one is right, two is a bug.
// (An abort and the PATCH that closes its task afterwards count as one.)
func (e Effects) Applied() int {
	n := e.AbortApplied + e.RedirectApplied
	if n == 0 {
		n = e.FinishApplied
	}
	return n
}

// Sheet is a job that was printed.
type Sheet struct {
	Job     JobID
	Lineage JobID // the job its user sent: follows redirects back
	User    string
	Pages   int // of one copy
	Copies  int
	Color   bool
	Duplex  bool
	At      time.Time
}

// resourceURL is the address of a job in parentUrl, redirectedTo and redirectedFrom.
func (s *Sim) resourceURL(id JobID) string {
	if id.Job == "" {
		return ""
	}
	return s.knobs.Load().ResourceBase + "/print/printers/" + id.Printer + "/jobs/" + id.Job
}

package graph

import (
	"encoding/json"
	"strings"
	"time"
)

// TaskState is the state of a printTask
// (https://learn.microsoft.com/graph/api/resources/printtaskstatus). Graph may send values that
// are not listed here. They are kept, and mean that the state is not known.
type TaskState string

// The states of a task.
const (
	TaskPending    TaskState = "pending"
	TaskProcessing TaskState = "processing"
	TaskCompleted  TaskState = "completed"
	TaskAborted    TaskState = "aborted"
)

// JobState is the state of a printJob
// (https://learn.microsoft.com/graph/api/resources/printjobstatus). Graph may send values that
// are not listed here. They are kept, and mean that the state is not known.
type JobState string

// The states of a job.
const (
	JobUnknown    JobState = "unknown"
	JobPending    JobState = "pending"
	JobProcessing JobState = "processing"
	JobPaused     JobState = "paused"
	JobStopped    JobState = "stopped"
	JobCompleted  JobState = "completed"
	JobCanceled   JobState = "canceled"
	JobAborted    JobState = "aborted"
)

// PrinterState is the state of a printer
// (https://learn.microsoft.com/graph/api/resources/printerstatus). Other values are treated as
// those of the others.
type PrinterState string

// The states of a printer.
const (
	PrinterUnknown    PrinterState = "unknown"
	PrinterIdle       PrinterState = "idle"
	PrinterProcessing PrinterState = "processing"
	PrinterStopped    PrinterState = "stopped"
)

// A Definition is a printTaskDefinition. AppID is the app that created it.
type Definition struct{ ID, DisplayName, AppID string }

// FindDefinition returns the definition with this display name that belongs to this app.
// If there are several it is the one with the lowest id, so that all callers agree.
func FindDefinition(all []Definition, displayName, appID string) (Definition, bool) {
	var found Definition
	for _, d := range all {
		if d.DisplayName == displayName && strings.EqualFold(d.AppID, appID) && (found.ID == "" || d.ID < found.ID) {
			found = d
		}
	}
	return found, found.ID != ""
}

// A Trigger is a printTaskTrigger of a printer
// (https://learn.microsoft.com/graph/api/resources/printtasktrigger) with the definition whose
// tasks it starts, as far as Graph tells.
type Trigger struct {
	ID         string
	Definition Definition
}

// A Task is a printTask of a definition. Job is zero if Graph named none, or something that is
// not a job.
type Task struct {
	ID          string
	State       TaskState
	Description string
	Job         Ref
}

// User is the person who printed. ID is the Entra object id, the only field to base a decision
// on.
type User struct{ ID, UserPrincipalName string }

// A Document of a job. Its name is not read. Size is in bytes.
type Document struct {
	ID, ContentType string
	Size            int64
}

// A Job is a printJob with its tasks and documents. RedirectedTo and
// RedirectedFrom are URLs of jobs, for ParseJobURL, or empty.
type Job struct {
	Ref            Ref
	CreatedBy      User
	Created        time.Time
	State          JobState
	Details        []string
	RedirectedTo   string
	RedirectedFrom string
	Configuration  Configuration
	// Settings is the whole configuration as Graph sent it, including what this package has no
	// field for.
	Settings  json.RawMessage
	Documents []Document
	Tasks     []Task
}

// Configuration is a printJobConfiguration
// (https://learn.microsoft.com/graph/api/resources/printjobconfiguration). When read, a zero
// field means that Graph told nothing; when a policy rewrites it, that the job keeps its own
// value.
type Configuration struct {
	Copies          int         `json:"copies,omitempty"`
	ColorMode       string      `json:"colorMode,omitempty"`  // blackAndWhite, grayscale, color, auto
	DuplexMode      string      `json:"duplexMode,omitempty"` // flipOnLongEdge, flipOnShortEdge, oneSided
	MediaSize       string      `json:"mediaSize,omitempty"`
	MediaType       string      `json:"mediaType,omitempty"`
	Orientation     string      `json:"orientation,omitempty"`
	Quality         string      `json:"quality,omitempty"`
	PagesPerSheet   int         `json:"pagesPerSheet,omitempty"`
	MultipageLayout string      `json:"multipageLayout,omitempty"`
	PageRanges      []PageRange `json:"pageRanges,omitempty"`
	Finishings      []string    `json:"finishings,omitempty"`
	InputBin        string      `json:"inputBin,omitempty"`
	OutputBin       string      `json:"outputBin,omitempty"`
	Collate         *bool       `json:"collate,omitempty"`
	FitPDFToPage    *bool       `json:"fitPdfToPage,omitempty"`
	// PaperUnknown is true if a field that determines how much is printed can't be read.
	PaperUnknown bool `json:"-"`
}

// PageRange is a range of pages, counted from 1, both ends included. 0 is an open end.
type PageRange struct {
	Start int `json:"start,omitempty"`
	End   int `json:"end,omitempty"`
}

// A Printer is a queue or a device, with what is needed to send jobs to it.
type Printer struct {
	ID, DisplayName string
	State           PrinterState
	// Details say why the printer is in its state, as disconnected or mediaJam
	// (https://learn.microsoft.com/graph/api/resources/printerstatus).
	Details       []string
	AcceptingJobs bool
	// LastSeen is when Universal Print last had contact with the printer; zero if it does not
	// tell.
	LastSeen time.Time
	// Capabilities are what it offers, as far as Universal Print tells.
	Capabilities Capabilities
}

// A Group of the directory.
type Group struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
}

// A Subscription to change notifications
// (https://learn.microsoft.com/graph/api/resources/subscription). Its clientState is not read.
type Subscription struct {
	ID                       string    `json:"id"`
	ApplicationID            string    `json:"applicationId"`
	Resource                 string    `json:"resource"`
	ChangeType               string    `json:"changeType"`
	NotificationURL          string    `json:"notificationUrl"`
	LifecycleNotificationURL string    `json:"lifecycleNotificationUrl"`
	Expires                  time.Time `json:"expirationDateTime"`
}

// NewSubscription asks for notifications of what is created in Resource.
type NewSubscription struct {
	// Resource is a path without the version: see TasksResource.
	Resource                 string
	NotificationURL          string
	LifecycleNotificationURL string
	// ClientState is repeated in every notification; at most 128 characters.
	ClientState string
	// Expires is at most 4,230 minutes ahead for print tasks.
	Expires time.Time
}

package graph

import (
	"context"
	"encoding/json"
	"iter"
	"time"
	"unicode/utf8"
)

type wireDefinition struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
	CreatedBy   struct {
		AppID string `json:"appId"`
	} `json:"createdBy"`
}

func (d wireDefinition) definition() Definition {
	return Definition{ID: Canonical(d.ID), DisplayName: d.DisplayName, AppID: Canonical(d.CreatedBy.AppID)}
}

// Definitions lists the task definitions of the tenant, including those of other apps
// (https://learn.microsoft.com/graph/api/print-list-taskdefinitions).
func (c *Client) Definitions(ctx context.Context) ([]Definition, error) {
	return collect(ctx, c, c.on(listDefinitions), func(d wireDefinition) Definition { return d.definition() })
}

// CreateDefinition creates a task definition of this app
// (https://learn.microsoft.com/graph/api/print-post-taskdefinitions). Two calls create two:
// after an Ambiguous error, look for it in Definitions first.
func (c *Client) CreateDefinition(ctx context.Context, displayName string) (Definition, error) {
	type app struct {
		DisplayName string `json:"displayName"`
	}
	var out wireDefinition
	cl := c.on(createDefinition).into(&out).about(&out.ID, "")
	if displayName == "" {
		return Definition{}, cl.failed(refused, errInvalid)
	}
	cl.with(struct {
		DisplayName string `json:"displayName"`
		CreatedBy   app    `json:"createdBy"`
	}{displayName, app{displayName}})
	if err := c.do(ctx, cl); err != nil {
		return Definition{}, err
	}
	return out.definition(), nil
}

type wireTask struct {
	ID        string `json:"id"`
	ParentURL string `json:"parentUrl"`
	Status    struct {
		State       string `json:"state"`
		Description string `json:"description"`
	} `json:"status"`
}

func (t *wireTask) task() Task {
	out := Task{ID: Canonical(t.ID), State: TaskState(word(t.Status.State)), Description: t.Status.Description}
	if t.ParentURL != "" {
		out.Job, _ = ParseJobURL(t.ParentURL) // zero when it is no job
	}
	return out
}

// word returns an enum value as Graph sent it. What is not a single word becomes the value that
// OData has for members that are not known yet
// (https://learn.microsoft.com/graph/best-practices-concept#handling-future-members-in-evolvable-enumerations).
func word(s string) string {
	if s != "" && safeCode(s) == "" {
		return "unknownFutureValue"
	}
	return s
}

// Tasks streams the tasks of a definition that are running or ended recently, page by page
// (https://learn.microsoft.com/graph/api/printtaskdefinition-list-tasks). An error comes last,
// with a zero Task.
func (c *Client) Tasks(ctx context.Context, definition string) iter.Seq2[Task, error] {
	return stream(ctx, c, c.on(listTasks, definition), func(t wireTask) Task { return t.task() })
}

// Task reads one task (https://learn.microsoft.com/graph/api/printtask-get).
func (c *Client) Task(ctx context.Context, definition, task string) (Task, error) {
	var out wireTask
	cl := c.on(getTask, definition, task).into(&out).about(&out.ID, task)
	if err := c.do(ctx, cl); err != nil {
		return Task{}, err
	}
	return out.task(), nil
}

// FinishTask sets the state of a task. TaskCompleted lets its job print at its printer
// (https://learn.microsoft.com/graph/api/printtaskdefinition-update-task). What Graph answers
// for a task that is already finished is not documented.
func (c *Client) FinishTask(ctx context.Context, definition, task string, state TaskState, description string) error {
	type status struct {
		State       TaskState `json:"state"`
		Description string    `json:"description"`
	}
	return c.do(ctx, c.on(finishTask, definition, task).with(map[string]status{"status": {state, description}}))
}

type wireJob struct {
	ID        string    `json:"id"`
	Created   time.Time `json:"createdDateTime"`
	CreatedBy struct {
		ID                string `json:"id"`
		UserPrincipalName string `json:"userPrincipalName"`
	} `json:"createdBy"`
	Status struct {
		State   string   `json:"state"`
		Details []string `json:"details"`
	} `json:"status"`
	RedirectedTo   string          `json:"redirectedTo"`
	RedirectedFrom string          `json:"redirectedFrom"`
	Settings       json.RawMessage `json:"configuration"`
	Documents      []struct {
		ID          string `json:"id"`
		ContentType string `json:"contentType"`
		Size        int64  `json:"size"`
	} `json:"documents"`
	Tasks []wireTask `json:"tasks"`
}

func (j *wireJob) job(ref Ref) Job {
	ref = Ref{Printer: Canonical(ref.Printer), Job: Canonical(ref.Job)}
	out := Job{
		Ref: ref, CreatedBy: User{ID: Canonical(j.CreatedBy.ID), UserPrincipalName: j.CreatedBy.UserPrincipalName},
		Created: j.Created,
		State:   JobState(word(j.Status.State)), Details: j.Status.Details,
		RedirectedTo: j.RedirectedTo, RedirectedFrom: j.RedirectedFrom, Settings: j.Settings,
	}
	if len(j.Documents) > 0 {
		out.Documents = make([]Document, len(j.Documents))
		for i, d := range j.Documents {
			out.Documents[i] = Document(d)
		}
	}
	if len(j.Tasks) > 0 {
		out.Tasks = make([]Task, len(j.Tasks))
		for i := range j.Tasks {
			out.Tasks[i] = j.Tasks[i].task()
		}
	}
	return out
}

// Job reads a job with its tasks and documents, in one request
// (https://learn.microsoft.com/graph/api/printjob-get).
func (c *Client) Job(ctx context.Context, ref Ref) (Job, error) {
	var out wireJob
	cl := c.on(getJob, ref.Printer, ref.Job).into(&out).about(&out.ID, ref.Job)
	if err := c.do(ctx, cl); err != nil {
		return Job{}, err
	}
	job := out.job(ref)
	job.Configuration = configuration(job.Settings)
	return job, nil
}

// configuration reads the settings of a job. A field of another type than documented is left
// out, so that the job can still be decided.
func configuration(settings json.RawMessage) (c Configuration) {
	if len(settings) == 0 || json.Unmarshal(settings, &c) == nil {
		return c
	}
	var paper struct {
		Copies, PagesPerSheet int
		ColorMode, DuplexMode string
		PageRanges            []PageRange
	}
	c.PaperUnknown = json.Unmarshal(settings, &paper) != nil
	return c
}

// Jobs streams the jobs of a printer with their tasks
// (https://learn.microsoft.com/graph/api/printer-list-jobs). Their order is not documented, and
// their configuration is not read. An error comes last, with a zero Job.
func (c *Client) Jobs(ctx context.Context, printer string) iter.Seq2[Job, error] {
	return stream(ctx, c, c.on(listJobs, printer), func(j wireJob) Job { return j.job(Ref{printer, j.ID}) })
}

// AbortJob aborts a job with a reason for its owner
// (https://learn.microsoft.com/graph/api/printjob-abort). It succeeds only while a task of a
// trigger of this app is processing, so never twice.
func (c *Client) AbortJob(ctx context.Context, ref Ref, reason string) error {
	cl := c.on(abortJob, ref.Printer, ref.Job)
	if reason == "" || !utf8.ValidString(reason) {
		return cl.failed(refused, errInvalid)
	}
	return c.do(ctx, cl.with(map[string]string{"reason": reason}))
}

// RedirectJob moves a job to another printer and returns the job there
// (https://learn.microsoft.com/graph/api/printjob-redirect). settings, if not nil, is the
// complete configuration of that job: whether Graph keeps fields that are left out is not
// documented. It succeeds only while a task of a trigger of this app is processing, so never
// twice.
func (c *Client) RedirectJob(
	ctx context.Context, ref Ref, destination string, settings json.RawMessage,
) (Ref, error) {
	var out struct {
		ID string `json:"id"`
	}
	cl := c.on(redirectJob, ref.Printer, ref.Job, destination).into(&out).about(&out.ID, "").with(struct {
		Destination   string          `json:"destinationPrinterId"`
		Configuration json.RawMessage `json:"configuration,omitempty"`
	}{destination, settings})
	if err := c.do(ctx, cl); err != nil {
		return Ref{}, err
	}
	return Ref{Printer: Canonical(destination), Job: Canonical(out.ID)}, nil
}

// UpdateJob replaces the configuration of a job
// (https://learn.microsoft.com/graph/api/printjob-update). It succeeds only while a task of a
// trigger of this app is processing; repeating it changes nothing.
func (c *Client) UpdateJob(ctx context.Context, ref Ref, settings json.RawMessage) error {
	cl := c.on(updateJob, ref.Printer, ref.Job)
	return c.do(ctx, cl.with(map[string]json.RawMessage{"configuration": settings}))
}

// Printer reads the state of a printer, and what it can do
// (https://learn.microsoft.com/graph/api/printer-get).
func (c *Client) Printer(ctx context.Context, id string) (Printer, error) {
	var out struct {
		ID          string `json:"id"`
		DisplayName string `json:"displayName"`
		Accepting   bool   `json:"isAcceptingJobs"`
		LastSeen    string `json:"lastSeenDateTime"`
		Status      struct {
			State   string   `json:"state"`
			Details []string `json:"details"`
		} `json:"status"`
		Capabilities json.RawMessage `json:"capabilities"`
	}
	cl := c.on(getPrinter, id).into(&out).about(&out.ID, id)
	if err := c.do(ctx, cl); err != nil {
		return Printer{}, err
	}
	seen, err := time.Parse(time.RFC3339, out.LastSeen)
	if err != nil || seen.Year() < 2000 { // absent, or the zero time of .NET, which is in the year 1
		seen = time.Time{}
	}
	var can Capabilities
	if len(out.Capabilities) > 0 && json.Unmarshal(out.Capabilities, &can) != nil {
		can = Capabilities{} // what is not as documented tells nothing
	}
	return Printer{
		ID: id, DisplayName: out.DisplayName, State: PrinterState(word(out.Status.State)),
		Details: out.Status.Details, AcceptingJobs: out.Accepting, LastSeen: seen, Capabilities: can,
	}, nil
}

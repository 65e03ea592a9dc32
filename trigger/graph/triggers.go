package graph

import (
	"context"
)

// TriggerRights are the delegated permissions for reading and changing task triggers
// (https://learn.microsoft.com/graph/api/printer-list-tasktriggers,
// https://learn.microsoft.com/graph/api/printer-post-tasktriggers).
var TriggerRights = []string{"Printer.Read.All", "Printer.ReadWrite.All"}

type wireTrigger struct {
	ID         string         `json:"id"`
	Definition wireDefinition `json:"definition"`
}

// Triggers lists the task triggers of a printer with their definitions
// (https://learn.microsoft.com/graph/api/printer-list-tasktriggers). It needs the
// token of a Printer Administrator.
func (c *Client) Triggers(ctx context.Context, printer string) ([]Trigger, error) {
	return collect(ctx, c, c.on(listTriggers, printer), func(t wireTrigger) Trigger {
		return Trigger{t.ID, t.Definition.definition()}
	})
}

// CreateTrigger makes jobs of a printer start tasks of a definition
// (https://learn.microsoft.com/graph/api/printer-post-tasktriggers). A printer has at most one
// trigger: Graph refuses a second with status 400. It needs the token of a Printer
// Administrator who signed in to the app of the definition.
func (c *Client) CreateTrigger(ctx context.Context, printer, definition string) error {
	cl := c.on(createTrigger, printer, definition).with(map[string]string{
		"event": "jobStarted", "definition@odata.bind": c.at("/print/taskDefinitions/"+definition, "").String(),
	})
	return c.do(ctx, cl)
}

// DeleteTrigger removes a trigger from a printer
// (https://learn.microsoft.com/graph/api/printer-delete-tasktrigger); it is no error if it is
// gone already. It needs the token of a Printer Administrator.
func (c *Client) DeleteTrigger(ctx context.Context, printer, trigger string) error {
	return gone(c.do(ctx, c.on(deleteTrigger, printer, trigger)))
}

// DeleteDefinition deletes a task definition of this app with its tasks
// (https://learn.microsoft.com/graph/api/printtaskdefinition-delete); it is no error if it is
// gone already.
func (c *Client) DeleteDefinition(ctx context.Context, definition string) error {
	return gone(c.do(ctx, c.on(deleteDefinition, definition)))
}

// gone returns err, or nil if it says that what was to be deleted does not exist.
func gone(err error) error {
	if IsNotFound(err) {
		return nil
	}
	return err
}

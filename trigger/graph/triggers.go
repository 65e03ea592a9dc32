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
	if err := ids(listTriggers, printer); err != nil {
		return nil, err
	}
	var all []Trigger
	err := each(ctx, c, call{op: listTriggers, url: c.at("/print/printers/"+printer+"/taskTriggers",
		"$expand=definition")}, func(t wireTrigger) bool {
		all = append(all, Trigger{t.ID, t.Definition.definition()})
		return true
	})
	return all, err
}

// CreateTrigger makes jobs of a printer start tasks of a definition
// (https://learn.microsoft.com/graph/api/printer-post-tasktriggers). A printer has at most one
// trigger: Graph refuses a second with status 400. It needs the token of a Printer
// Administrator who signed in to the app of the definition.
func (c *Client) CreateTrigger(ctx context.Context, printer, definition string) error {
	if err := ids(createTrigger, printer, definition); err != nil {
		return err
	}
	cl := call{op: createTrigger, url: c.at("/print/printers/"+printer+"/taskTriggers", "")}
	if err := cl.encode(map[string]string{
		"event": "jobStarted", "definition@odata.bind": c.at("/print/taskDefinitions/"+definition, "").String(),
	}); err != nil {
		return err
	}
	return c.do(ctx, &cl)
}

// DeleteTrigger removes a trigger from a printer
// (https://learn.microsoft.com/graph/api/printer-delete-tasktrigger); it is no error if it is
// gone already. It needs the token of a Printer Administrator.
func (c *Client) DeleteTrigger(ctx context.Context, printer, trigger string) error {
	if err := ids(deleteTrigger, printer, trigger); err != nil {
		return err
	}
	return gone(c.do(ctx, &call{op: deleteTrigger, url: c.at("/print/printers/"+printer+"/taskTriggers/"+trigger, "")}))
}

// DeleteDefinition deletes a task definition of this app with its tasks
// (https://learn.microsoft.com/graph/api/printtaskdefinition-delete); it is no error if it is
// gone already.
func (c *Client) DeleteDefinition(ctx context.Context, definition string) error {
	if err := ids(deleteDefinition, definition); err != nil {
		return err
	}
	return gone(c.do(ctx, &call{op: deleteDefinition, url: c.at("/print/taskDefinitions/"+definition, "")}))
}

// gone returns err, or nil if it says that what was to be deleted does not exist.
func gone(err error) error {
	if IsNotFound(err) {
		return nil
	}
	return err
}

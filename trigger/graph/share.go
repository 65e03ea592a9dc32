package graph

import (
	"context"
)

// A Share lets people find a printer and print to it: everyone in the tenant if Everyone is
// set, else the groups and people that are allowed.
type Share struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
	Everyone    bool   `json:"allowAllUsers"`
}

// Shares lists the shares of a printer, at most one
// (https://learn.microsoft.com/graph/api/printer-list-shares). It needs the token of a Printer
// Administrator.
func (c *Client) Shares(ctx context.Context, printer string) ([]Share, error) {
	if err := ids(listShares, printer); err != nil {
		return nil, err
	}
	return collect[Share](ctx, c, call{op: listShares, url: c.at("/print/printers/"+printer+"/shares", "")})
}

// CreateShare shares a printer with everyone, or with nobody yet
// (https://learn.microsoft.com/graph/api/print-post-shares). It needs the token of a Printer
// Administrator.
func (c *Client) CreateShare(ctx context.Context, printer, displayName string, everyone bool) (Share, error) {
	if err := ids(createShare, printer); err != nil {
		return Share{}, err
	}
	var out Share
	cl := call{op: createShare, url: c.at("/print/shares", ""), out: &out}
	if err := cl.encode(map[string]any{
		"displayName": displayName, "allowAllUsers": everyone, "printer@odata.bind": c.at("/print/printers/"+printer,
			"").String(),
	}); err != nil {
		return Share{}, err
	}
	if err := c.do(ctx, &cl); err != nil {
		return Share{}, err
	}
	if !ValidID(out.ID) {
		return Share{}, cl.failed(garbled, errInvalidID)
	}
	return out, nil
}

// OpenShare allows everyone in the tenant to print to a share
// (https://learn.microsoft.com/graph/api/printershare-update). It needs the token of a Printer
// Administrator.
func (c *Client) OpenShare(ctx context.Context, share string) error {
	if err := ids(openShare, share); err != nil {
		return err
	}
	cl := call{op: openShare, url: c.at("/print/shares/"+share, "")}
	if err := cl.encode(map[string]bool{"allowAllUsers": true}); err != nil {
		return err
	}
	return c.do(ctx, &cl)
}

// AllowedGroups lists the groups whose members may print to a share
// (https://learn.microsoft.com/graph/api/printershare-list-allowedgroups). It needs the
// token of a Printer Administrator.
func (c *Client) AllowedGroups(ctx context.Context, share string) ([]Group, error) {
	if err := ids(listAllowed, share); err != nil {
		return nil, err
	}
	return collect[Group](ctx, c, call{op: listAllowed, url: c.at("/print/shares/"+share+"/allowedGroups", "")})
}

// AllowGroup allows the members of a group to print to a share
// (https://learn.microsoft.com/graph/api/printershare-post-allowedgroups). It needs the token
// of a Printer Administrator.
func (c *Client) AllowGroup(ctx context.Context, share, group string) error {
	if err := ids(allowGroup, share, group); err != nil {
		return err
	}
	cl := call{op: allowGroup, url: c.at("/print/shares/"+share+"/allowedGroups/$ref", "")}
	if err := cl.encode(map[string]string{"@odata.id": c.at("/groups/"+group, "").String()}); err != nil {
		return err
	}
	return c.do(ctx, &cl)
}

// DeleteShare stops sharing a printer
// (https://learn.microsoft.com/graph/api/printershare-delete); it is no error if it was not
// shared. It needs the token of a Printer Administrator.
func (c *Client) DeleteShare(ctx context.Context, share string) error {
	if err := ids(deleteShare, share); err != nil {
		return err
	}
	return gone(c.do(ctx, &call{op: deleteShare, url: c.at("/print/shares/"+share, "")}))
}

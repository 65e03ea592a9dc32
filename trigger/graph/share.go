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
	return collect(ctx, c, c.on(listShares, printer), itself[Share])
}

// CreateShare shares a printer with everyone, or with nobody yet
// (https://learn.microsoft.com/graph/api/print-post-shares). It needs the token of a Printer
// Administrator.
func (c *Client) CreateShare(ctx context.Context, printer, displayName string, everyone bool) (Share, error) {
	var out Share
	cl := c.on(createShare, printer).into(&out).about(&out.ID, "").with(map[string]any{
		"displayName": displayName, "allowAllUsers": everyone,
		"printer@odata.bind": c.at("/print/printers/"+printer, "").String(),
	})
	if err := c.do(ctx, cl); err != nil {
		return Share{}, err
	}
	return out, nil
}

// OpenShare allows everyone in the tenant to print to a share
// (https://learn.microsoft.com/graph/api/printershare-update). It needs the token of a Printer
// Administrator.
func (c *Client) OpenShare(ctx context.Context, share string) error {
	return c.do(ctx, c.on(openShare, share).with(map[string]bool{"allowAllUsers": true}))
}

// AllowedGroups lists the groups whose members may print to a share
// (https://learn.microsoft.com/graph/api/printershare-list-allowedgroups). It needs the
// token of a Printer Administrator.
func (c *Client) AllowedGroups(ctx context.Context, share string) ([]Group, error) {
	return collect(ctx, c, c.on(listAllowed, share), itself[Group])
}

// AllowGroup allows the members of a group to print to a share
// (https://learn.microsoft.com/graph/api/printershare-post-allowedgroups). It needs the token
// of a Printer Administrator.
func (c *Client) AllowGroup(ctx context.Context, share, group string) error {
	cl := c.on(allowGroup, share, group).with(map[string]string{"@odata.id": c.at("/groups/"+group, "").String()})
	return c.do(ctx, cl)
}

// DeleteShare stops sharing a printer
// (https://learn.microsoft.com/graph/api/printershare-delete); it is no error if it was not
// shared. It needs the token of a Printer Administrator.
func (c *Client) DeleteShare(ctx context.Context, share string) error {
	return gone(c.do(ctx, c.on(deleteShare, share)))
}

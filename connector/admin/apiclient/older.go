package apiclient

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The details of the problems about unknown parameters and members of a request, in every
// version. A client that receives one talks to an older daemon, because a daemon of its own
// version knows everything that it sends.
const (
	UnknownParameter = "unknown parameter; known here: "
	UnknownMember    = "unknown member "
)

// NoSuchRoute is the kind of the problem that there is no such address.
const NoSuchRoute = "no-such-route"

// call sends in (nil: nothing; an io.Reader: CSV) and reads the answer into out. A daemon
// that knows no limit has no pages, and is asked for the whole list.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	err := c.send(ctx, method, path, in, out)
	var p *Problem
	if !errors.As(err, &p) || p.Status != http.StatusBadRequest {
		return err
	}
	list, parameter := strings.CutPrefix(p.Detail, UnknownParameter)
	switch {
	case strings.HasPrefix(p.Detail, UnknownMember):
		return c.older(ctx, p.Detail)
	case !parameter:
		return err
	}
	at, perr := url.Parse(path)
	if perr != nil {
		return err
	}
	q := at.Query()
	known := strings.Split(list, ", ")
	unknown := slices.DeleteFunc(slices.Sorted(maps.Keys(q)), func(name string) bool { return slices.Contains(known, name) })
	if slices.Equal(unknown, []string{"limit"}) && in == nil {
		q.Del("limit")
		at.RawQuery = q.Encode()
		return c.send(ctx, method, at.String(), nil, out)
	}
	return c.older(ctx, "unknown parameter "+strings.Join(unknown, ", "))
}

// older is the error of a daemon that can't do what it was asked for, with the daemon's
// version if the token may see it.
func (c *Client) older(ctx context.Context, what string) error {
	version := ""
	var d Diagnostics
	if c.send(ctx, http.MethodGet, "/v1/diagnostics", nil, &d) == nil && d.Version != "" {
		version = ", version " + d.Version
	}
	return fmt.Errorf("the daemon is older than this program%s, and can't do this (%s): "+
		"upgrade it, or use the program of its version", version, what)
}

// olderRoute is the error of a call of a route: that of an older daemon when it does not know the route.
func (c *Client) olderRoute(ctx context.Context, err error, route string) error {
	var p *Problem
	if errors.As(err, &p) && strings.HasSuffix(p.Type, NoSuchRoute) {
		return c.older(ctx, route)
	}
	return err
}

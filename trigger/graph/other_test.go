package graph

import (
	"context"
	"errors"
	"net/http"
	"testing"
)

// An answer of success that is about nothing, or about something else, tells nothing: no
// job without an owner, no printer without a state, no list without entries.
func TestAnswerAboutSomethingElse(t *testing.T) {
	const person = "d1d1d1d1-aaaa-4bbb-8ccc-123456789abc"
	reads := map[string]func(context.Context, *Client) error{
		"job":        func(ctx context.Context, c *Client) error { _, err := c.Job(ctx, ref); return err },
		"task":       func(ctx context.Context, c *Client) error { _, err := c.Task(ctx, "d", "t"); return err },
		"printer":    func(ctx context.Context, c *Client) error { _, err := c.Printer(ctx, ref.Printer); return err },
		"user":       func(ctx context.Context, c *Client) error { _, _, err := c.User(ctx, person); return err },
		"attributes": func(ctx context.Context, c *Client) error { _, err := c.Attributes(ctx, ref.Printer); return err },
		"subscription": func(ctx context.Context, c *Client) error {
			_, err := c.Subscription(ctx, "22222222-2222-4333-8444-555555555555")
			return err
		},
		"groups": func(ctx context.Context, c *Client) error { _, err := c.Groups(ctx, person); return err },
		"employee": func(ctx context.Context, c *Client) error {
			_, _, err := c.UserByEmployeeID(ctx, "E1")
			return err
		},
		"tasks": func(ctx context.Context, c *Client) error {
			for _, err := range c.Tasks(ctx, "d") {
				return err
			}
			return nil
		},
		"jobs": func(ctx context.Context, c *Client) error {
			for _, err := range c.Jobs(ctx, ref.Printer) {
				return err
			}
			return nil
		},
	}
	for _, body := range []string{
		`null`, `{}`, `{"value":null}`, `{"id":"11111111-2222-4333-8444-555555555555"}`, `{"error":{"code":"x"}}`,
	} {
		o := &fakeServers{graph: func(int, *http.Request) (*http.Response, error) { return answer(200, body), nil }}
		c, _ := o.client(t)
		for name, read := range reads {
			if err := read(t.Context(), c); !errors.Is(err, errOther) {
				t.Errorf("%s, answered with %s: %v", name, body, err)
			}
		}
	}
}

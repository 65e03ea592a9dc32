package graphtest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

type batchItem struct {
	ID        string            `json:"id"`
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Body      json.RawMessage   `json:"body"`
	DependsOn []string          `json:"dependsOn"`
}

type batchAnswer struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body,omitempty"`
}

// batch performs up to 20 requests, each with its own status and its own faults.
func (s *Sim) batch(c *call) reply {
	if c.tokenErr != "" {
		return c.fail(401, "InvalidAuthenticationToken", c.tokenErr)
	}
	var in struct {
		Requests []batchItem `json:"requests"`
	}
	if !c.decode(&in) || len(in.Requests) == 0 {
		return c.badRequest("The batch payload is malformed.")
	}
	if len(in.Requests) > 20 {
		return c.badRequest("Number of batch request steps exceeds the maximum value of 20.")
	}
	statuses := make(map[string]int, len(in.Requests))
	out := make([]batchAnswer, 0, len(in.Requests))
	for _, item := range in.Requests {
		if _, twice := statuses[item.ID]; twice || item.ID == "" {
			return c.badRequest("Each request of a batch needs an id of its own.")
		}
		a := s.batchStep(c, item, statuses)
		statuses[item.ID] = a.Status
		out = append(out, a)
	}
	if s.knobs.Load().hostile() { // answers come in any order
		slices.Reverse(out)
	}
	return reply{status: 200, body: struct {
		Responses []batchAnswer `json:"responses"`
	}{out}}
}

func (s *Sim) batchStep(c *call, item batchItem, done map[string]int) batchAnswer {
	for _, id := range item.DependsOn {
		if status, ok := done[id]; !ok || status >= 400 {
			return batchAnswer{ID: item.ID, Status: http.StatusFailedDependency}
		}
	}
	inner := &call{ctx: c.ctx, requestID: s.requestID(), origin: c.origin, token: c.token}
	inner.Method, inner.Body, inner.App, inner.ClientRequestID = item.Method, item.Body, c.App, c.ClientRequestID
	path, query, _ := strings.Cut(strings.TrimPrefix(item.URL, "/"), "?")
	r, err := s.dispatch(inner, path, query)
	if err != nil { // a lost answer inside a batch is a time-out of that item
		if context.Cause(c.ctx) == nil {
			r = inner.failWith(http.StatusGatewayTimeout)
		} else {
			r = reply{status: http.StatusGatewayTimeout}
		}
	}
	a := batchAnswer{
		ID: item.ID, Status: r.status, Body: r.body, Headers: map[string]string{"request-id": inner.requestID},
	}
	for name, values := range r.header {
		a.Headers[name] = values[0]
	}
	return a
}

package graphtest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// call is one request to the simulator.
type call struct {
	Request
	ctx       context.Context
	requestID string
	origin    string // scheme://host the caller used
	query     url.Values
	token     *token
	tokenErr  string // what is wrong with the bearer token
}

// target names the object of a call, for the dice.
func (c *call) target(op string) string {
	if c.Path == "" {
		return op
	}
	return op + " " + c.Path
}

// ServeHTTP serves Graph, the authority and the document host.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.serve(w, r); err != nil {
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
}

func (s *Sim) serve(w http.ResponseWriter, r *http.Request) error {
	if strings.HasPrefix(r.URL.Path, documentPrefix) {
		return s.serveDocument(w, r)
	}
	if strings.HasPrefix(r.URL.Path, uploadPrefix) {
		return s.serveUpload(w, r)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return err
	}
	c := &call{ctx: r.Context(), requestID: s.requestID(), origin: originOf(r)}
	c.Method, c.Body, c.ClientRequestID = r.Method, body, r.Header.Get("client-request-id")
	var rep reply
	if rest, ok := strings.CutPrefix(r.URL.Path, "/v1.0/"); ok {
		rep, err = s.graph(c, r, rest)
	} else {
		rep, err = s.authority(c, r)
	}
	if err != nil {
		return err
	}
	if ahead := s.knobs.Load().ClockAhead; ahead != 0 {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
	}
	return c.write(w, rep)
}

// graph answers one request below /v1.0.
func (s *Sim) graph(c *call, r *http.Request, rest string) (reply, error) {
	s.identify(c, r.Header.Get("Authorization"))
	if rest == "$batch" && r.Method == http.MethodPost {
		return s.perform(c.ctx, OpBatch, false, c, func() reply { return s.batch(c) })
	}
	return s.dispatch(c, rest, r.URL.RawQuery)
}

// dispatch finds and performs one operation; items of a batch come here too.
func (s *Sim) dispatch(c *call, path, rawQuery string) (reply, error) {
	c.Path = "/" + path
	op := route(c.Method, strings.Split(path, "/"), &c.Request)
	if op == nil {
		s.log.count("unknown")
		if c.tokenErr != "" {
			return c.fail(401, "InvalidAuthenticationToken", c.tokenErr), nil
		}
		return c.badRequest("Resource not found for the segment."), nil
	}
	if rawQuery != "" {
		q, err := url.ParseQuery(rawQuery)
		if err != nil {
			return c.badRequest("The query string is malformed."), nil
		}
		c.query = q
	}
	return s.perform(c.ctx, op.name, op.write, c, func() reply {
		if r, ok := c.authorize(op); !ok {
			return r
		}
		return op.do(s, c)
	})
}

// authorize checks whether the token allows the operation. The token itself was checked when the call arrived.
func (c *call) authorize(op *operation) (reply, bool) {
	switch {
	case c.tokenErr != "":
		r := c.fail(401, "InvalidAuthenticationToken", c.tokenErr)
		r.header = http.Header{
			"Www-Authenticate": {
				`Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", ` +
					`client_id="00000003-0000-0000-c000-000000000000"`,
			},
		}
		return r, false
	case c.token.user == nil && op.name != OpSendActivity && !c.token.hasRole(op.roles): // people may consent to that one
		return c.fail(403, "Forbidden", "Application is not authorized to perform this operation. Application must have "+
			"one of the following scopes: "+strings.Join(op.roles, ", ")), false
	case c.token.user != nil && op.delegated == nobody:
		return c.fail(403, "Forbidden", "This operation is not supported with delegated permissions."), false
	case c.token.user != nil && !c.token.hasScope(op.name):
		return c.fail(403, "Forbidden", "The token has none of the following scopes: "+strings.Join(scopes[op.name], ", ")),
			false
	case c.token.user != nil && op.delegated == administrator && !c.token.user.Administrator:
		return c.fail(403, "Forbidden", "The user is not a Printer Administrator."), false
	}
	return reply{}, true
}

func (c *call) write(w http.ResponseWriter, r reply) error {
	h := w.Header()
	for name, values := range r.header {
		h[name] = values
	}
	h["Request-Id"] = []string{c.requestID}
	if c.ClientRequestID != "" {
		h["Client-Request-Id"] = []string{c.ClientRequestID}
	} else {
		h["Client-Request-Id"] = h["Request-Id"]
	}
	if r.body == nil {
		w.WriteHeader(r.status)
		_, err := io.WriteString(w, r.text)
		return err
	}
	raw, err := json.Marshal(r.body)
	if err != nil {
		return err
	}
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(raw))}
	w.WriteHeader(r.status)
	_, err = w.Write(raw)
	return err
}

var jsonType = []string{
	"application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8",
}

// decode reads a JSON body into v.
func (c *call) decode(v any) bool { return json.Unmarshal(c.Body, v) == nil }

// requestID is cheap, and unique in a run.
func (s *Sim) requestID() string {
	b := []byte("00000000-0000-4000-8000-000000000000")
	n := s.serial.Add(1)
	for i := len(b) - 1; n > 0 && i > 23; i-- {
		b[i] = "0123456789abcdef"[n&15]
		n >>= 4
	}
	return string(b)
}

// originOf is scheme://host as the caller wrote it.
func originOf(r *http.Request) string {
	if r.TLS != nil || r.URL.Scheme == "https" {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// refuseOptions refuses query options that an operation does not support, as Graph does.
func (c *call) refuseOptions(allowed ...string) (reply, bool) {
next:
	for name := range c.query {
		if name == "$skiptoken" {
			continue
		}
		for _, a := range allowed {
			if name == a {
				continue next
			}
		}
		if strings.HasPrefix(name, "$") {
			return c.badRequest("The query option '" + name + "' is not supported for this resource."), true
		}
	}
	return reply{}, false
}

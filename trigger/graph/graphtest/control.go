package graphtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Control returns a page for people at / and the same as JSON under /_sim/. It has no authentication: whoever
// reaches it is the administrator of the tenant. It therefore answers only requests whose host name is
// localhost, an IP address or one of hosts ("*" for any), so that other web sites can't reach it through a name
// of theirs, and refuses posts from other sites.
func (s *Sim) Control(hosts ...string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.servePage)
	mux.HandleFunc("GET /_sim/style.css", serveStyle)
	mux.HandleFunc("GET /_sim/state", s.serveState)
	mux.HandleFunc("GET /_sim/jobs", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, apiJobs(s.Jobs(r.URL.Query().Get("printer"))))
	})
	mux.HandleFunc("GET /_sim/jobs/{printer}/{job}", func(w http.ResponseWriter, r *http.Request) {
		j, ok := s.Job(JobID{r.PathValue("printer"), r.PathValue("job")})
		if !ok {
			writeJSON(w, http.StatusNotFound, problem{"no such job"})
			return
		}
		writeJSON(w, http.StatusOK, newAPIJob(j))
	})
	mux.HandleFunc("GET /_sim/messages", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.Messages())
	})
	for path, act := range map[string]func(*http.Request, params) (any, error){
		"/_sim/jobs":                        s.actSubmit,
		"/_sim/jobs/{printer}/{job}/cancel": s.actCancel,
		"/_sim/knobs":                       s.actKnobs,
		"/_sim/outage":                      s.actOutage,
		"/_sim/printers/{printer}":          s.actPrinter,
		"/_sim/triggers":                    s.actTrigger,
		"/_sim/triggers/{printer}/remove":   s.actRemoveTrigger,
		"/_sim/subscriptions/{what}":        s.actSubscriptions,
		"/_sim/devices/{what}":              s.actDevice,
		"/_sim/tokens/revoke":               s.actRevoke,
	} {
		mux.Handle("POST "+path, action(act))
	}
	return guard(http.NewCrossOriginProtection().Handler(mux), hosts)
}

// guard refuses host names that are not this machine's, and sends the headers of every answer.
func guard(next http.Handler, hosts []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.Trim(host, "[]")
		if host != "localhost" && net.ParseIP(host) == nil && !slices.Contains(hosts, host) && !slices.Contains(hosts, "*") {
			http.Error(w, "the control page does not answer to this host name", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy",
			"default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

type problem struct {
	Error string `json:"error"`
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n')) // the client has disconnected
}

// action makes a handler of something that can be done: a form comes back to the page, JSON is answered in JSON.
func action(act func(*http.Request, params) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, form, err := readParams(r)
		var done any
		if err == nil {
			done, err = act(r, p)
		}
		switch {
		case err != nil && form:
			http.Error(w, err.Error(), http.StatusBadRequest)
		case err != nil:
			writeJSON(w, http.StatusBadRequest, problem{err.Error()})
		case form:
			http.Redirect(w, r, "/", http.StatusSeeOther)
		default:
			writeJSON(w, http.StatusOK, done)
		}
	})
}

// params are the fields of a form, or of a flat JSON object.
type params url.Values

func readParams(r *http.Request) (p params, form bool, err error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return nil, false, fmt.Errorf("read the body: %w", err)
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" {
		v, err := url.ParseQuery(string(body))
		return params(v), true, err
	}
	p = params{}
	if len(body) == 0 {
		return p, false, nil
	}
	fields := map[string]any{}
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, false, fmt.Errorf("the body is neither a form nor a JSON object: %w", err)
	}
	for name, v := range fields {
		switch v := v.(type) {
		case string:
			p[name] = []string{v}
		case float64:
			p[name] = []string{strconv.FormatFloat(v, 'f', -1, 64)}
		case bool:
			p[name] = []string{strconv.FormatBool(v)}
		default:
			return nil, false, fmt.Errorf("%s: not a string, number or boolean", name)
		}
	}
	return p, false, nil
}

func (p params) text(name string) string { return strings.TrimSpace(url.Values(p).Get(name)) }

func (p params) flag(name string) bool {
	v := p.text(name)
	return v == "on" || v == "true" || v == "1"
}

func (p params) number(name string) (int, error) {
	v := p.text(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s: %q is not a number", name, v)
	}
	return n, nil
}

func (s *Sim) actSubmit(_ *http.Request, p params) (any, error) {
	copies, err1 := p.number("copies")
	pages, err2 := p.number("pages")
	size, err3 := p.number("size")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	if copies > 9999 || pages > 10_000 || size > 1<<30 {
		return nil, errors.New("at most 9,999 copies, 10,000 pages and 1 GiB")
	}
	id, err := s.Submit(JobSpec{
		Printer: p.text("printer"), User: p.text("user"), Name: p.text("name"), Copies: copies, Pages: pages,
		Color: p.flag("color"), Duplex: p.flag("duplex"), MediaSize: p.text("mediaSize"), ContentType: p.text("contentType"),
		Size: int64(size),
	})
	if err != nil {
		return nil, err
	}
	return jobRef(id), nil
}

func (s *Sim) actCancel(r *http.Request, _ params) (any, error) {
	id := JobID{r.PathValue("printer"), r.PathValue("job")}
	return jobRef(id), s.CancelJob(id)
}

// actKnobs first sets the mode, calm or hostile, then single dials.
func (s *Sim) actKnobs(_ *http.Request, p params) (any, error) {
	next := s.Knobs()
	switch mode := p.text("mode"); mode {
	case "":
	case "calm":
		next.Become(Calm())
	case "hostile":
		next.Become(Hostile())
	default:
		return nil, fmt.Errorf("mode: %q is neither calm nor hostile", mode)
	}
	for name := range p {
		if name == "mode" {
			continue
		}
		if err := setDial(&next, name, p.text(name)); err != nil {
			return nil, err
		}
	}
	s.Change(func(k *Knobs) { *k = next })
	return dialsOf(s.knobs.Load()), nil
}

func (s *Sim) actOutage(_ *http.Request, p params) (any, error) {
	switch mode := p.text("mode"); mode {
	case "off":
		s.Outage(false)
	case "503":
		s.Outage(true)
	case "unreachable":
		s.Unreachable(true)
	default:
		return nil, fmt.Errorf("mode: %q is not off, 503 or unreachable", mode)
	}
	return p, nil
}

func (s *Sim) actPrinter(r *http.Request, p params) (any, error) {
	state := p.text("state")
	if !slices.Contains([]string{"idle", "processing", "stopped", "unknown"}, state) {
		return nil, fmt.Errorf("state: %q is not idle, processing, stopped or unknown", state)
	}
	return p, s.SetPrinter(r.PathValue("printer"), state, p.flag("accepting"))
}

func (s *Sim) actTrigger(_ *http.Request, p params) (any, error) {
	id, err := s.AddTrigger(p.text("printer"), p.text("definition"))
	return map[string]string{"id": id}, err
}

func (s *Sim) actRemoveTrigger(r *http.Request, p params) (any, error) {
	return p, s.RemoveTrigger(r.PathValue("printer"))
}

func (s *Sim) actSubscriptions(r *http.Request, p params) (any, error) {
	switch r.PathValue("what") {
	case "drop":
		var ids []string
		if id := p.text("id"); id != "" {
			ids = []string{id}
		}
		s.DropSubscriptions(ids...)
	case "expire":
		s.ExpireSubscriptions()
	case "reauthorize":
		s.RequireReauthorization()
	default:
		return nil, errors.New("drop, expire or reauthorize")
	}
	return p, nil
}

func (s *Sim) actDevice(r *http.Request, p params) (any, error) {
	switch r.PathValue("what") {
	case "approve":
		return p, s.ApproveDevice(p.text("code"), p.text("user"))
	case "decline":
		return p, s.DeclineDevice(p.text("code"))
	}
	return nil, errors.New("approve or decline")
}

func (s *Sim) actRevoke(_ *http.Request, p params) (any, error) {
	s.RevokeTokens()
	return p, nil
}

// dial is a knob that can be set on the page: a chance, or a duration.
type dial struct {
	Name, Label string
	chance      func(*Knobs) *float64
	period      func(*Knobs) *time.Duration
}

var dials = []dial{
	{Name: "throttle", Label: "429 Too Many Requests", chance: func(k *Knobs) *float64 { return &k.Throttle }},
	{Name: "unavailable", Label: "503 Service Unavailable", chance: func(k *Knobs) *float64 { return &k.Unavailable }},
	{Name: "loseReply", Label: "write applied, reply lost", chance: func(k *Knobs) *float64 { return &k.LoseReply }},
	{Name: "loseNotification", Label: "notification lost", chance: func(k *Knobs) *float64 { return &k.LoseNotification }},
	{Name: "duplicateNotification", Label: "notification twice", chance: func(k *Knobs) *float64 {
		return &k.DuplicateNotification
	}},
	{Name: "noParentUrl", Label: "notification without parentUrl", chance: func(k *Knobs) *float64 {
		return &k.NoParentURL
	}},
	{Name: "unknownWords", Label: "undocumented state words", chance: func(k *Knobs) *float64 { return &k.UnknownWords }},
	{Name: "abortEndsTask", Label: "abort ends the task by itself", chance: func(k *Knobs) *float64 {
		return &k.AbortEndsTask
	}},
	{Name: "notifyDelay", Label: "notifications late by up to", period: func(k *Knobs) *time.Duration {
		return &k.NotifyDelay
	}},
	{Name: "latency", Label: "latency of a call", period: func(k *Knobs) *time.Duration { return &k.Latency }},
	{Name: "printTime", Label: "time to print", period: func(k *Knobs) *time.Duration { return &k.PrintTime }},
	{Name: "tokenLife", Label: "life of a token", period: func(k *Knobs) *time.Duration { return &k.TokenLife }},
}

// value is a chance as a number, or a duration as Go formats it.
func (d dial) value(k *Knobs) string {
	if d.chance != nil {
		return strconv.FormatFloat(*d.chance(k), 'f', -1, 64)
	}
	return d.period(k).String()
}

func dialsOf(k *Knobs) map[string]string {
	out := make(map[string]string, len(dials))
	for _, d := range dials {
		out[d.Name] = d.value(k)
	}
	return out
}

func setDial(k *Knobs, name, value string) error {
	i := slices.IndexFunc(dials, func(d dial) bool { return d.Name == name })
	if i < 0 {
		return fmt.Errorf("there is no knob %q", name)
	}
	if d := dials[i]; d.chance != nil {
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || !(v >= 0 && v <= 1) {
			return fmt.Errorf("%s: %q is not a chance between 0 and 1", name, value)
		}
		*d.chance(k) = v
		return nil
	}
	v, err := time.ParseDuration(value)
	if err != nil || v < 0 {
		return fmt.Errorf("%s: %q is not a time such as 40ms", name, value)
	}
	*dials[i].period(k) = v
	return nil
}

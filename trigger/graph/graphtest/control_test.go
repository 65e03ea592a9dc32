package graphtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func (o *office) control(method, path, kind, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(o.Context(), method, "http://127.0.0.1:9440"+path, strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	o.sim.Control().ServeHTTP(w, r)
	return w
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonKind = "application/json"
)

func TestPageEscapesAndNeedsNoScript(t *testing.T) {
	o := newOffice(t, Calm())
	const evil = `"><script>alert(1)</script>`
	p := o.sim.AddPrinter(Printer{DisplayName: evil})
	u := o.sim.AddUser(User{UPN: evil + "@contoso.example"})
	id := o.submit(JobSpec{User: u.ID, Name: evil, MediaSize: evil})
	o.submit(JobSpec{Printer: p.ID})
	o.sim.PlantDefinition("x", evil)
	o.call(204, "POST", jobPath(id)+"/abort", map[string]string{"reason": evil})
	w := o.control("GET", "/", "", "")
	if w.Code != 200 || strings.Contains(w.Body.String(), "<script") || !strings.Contains(w.Body.String(), "&lt;script&gt;") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q", csp)
	}
	if w := o.control("GET", "/_sim/style.css", "", ""); w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
		t.Errorf("style: %d %v", w.Code, w.Header())
	}
	if strings.Contains(w.Body.String(), o.app.Secret) {
		t.Error("the page shows the secret")
	}
}

func TestControlRefusesOtherSites(t *testing.T) {
	o := newOffice(t, Calm())
	for _, h := range [][]string{
		{"Origin", "http://evil.example"},
		{"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Host", "evil.example:9440"}, // a name that was made to point here
	} {
		if w := o.control("POST", "/_sim/outage", formType, "mode=503", h...); w.Code != http.StatusForbidden &&
			w.Code != http.StatusMisdirectedRequest {
			t.Errorf("%v: %d", h, w.Code)
		}
	}
	if o.sim.outageName() != "off" {
		t.Fatal("another site switched Graph off")
	}
	w := o.control("POST", "/_sim/outage", formType, "mode=503", "Origin", "http://127.0.0.1:9440", "Sec-Fetch-Site", "same-origin")
	if w.Code != http.StatusSeeOther || o.sim.outageName() != "503" {
		t.Errorf("our own page: %d", w.Code)
	}
}

func TestControlAPI(t *testing.T) {
	o := newOffice(t, Calm())
	do := func(want int, path, body string) string {
		t.Helper()
		w := o.control("POST", path, jsonKind, body)
		if w.Code != want {
			t.Fatalf("%s %s: %d %s", path, body, w.Code, w.Body)
		}
		return w.Body.String()
	}
	var id jobRef
	if err := json.Unmarshal([]byte(do(200, "/_sim/jobs",
		`{"printer":"`+o.queue.ID+`","user":"ada@contoso.example","copies":2,"color":true}`)), &id); err != nil {
		t.Fatal(err)
	}
	if j := o.job(JobID(id)); j.Configuration.Copies != 2 || j.Configuration.ColorMode != "color" || j.User.ID != o.user.ID {
		t.Errorf("job %+v", j)
	}
	do(400, "/_sim/jobs", `{"printer":"nowhere"}`)
	do(400, "/_sim/jobs", `{"printer":"`+o.queue.ID+`","copies":-1}`)
	do(400, "/_sim/jobs", `[]`)
	if w := o.control("GET", "/_sim/jobs/"+id.Printer+"/"+id.Job, "", ""); !strings.Contains(w.Body.String(), `"state": "paused"`) {
		t.Errorf("job: %s", w.Body)
	}
	do(200, "/_sim/jobs/"+id.Printer+"/"+id.Job+"/cancel", "")
	do(400, "/_sim/jobs/"+id.Printer+"/"+id.Job+"/cancel", "")

	do(200, "/_sim/knobs", `{"mode":"hostile"}`)
	if k := o.sim.Knobs(); k.Throttle != Hostile().Throttle || k.LoseReply != Hostile().LoseReply {
		t.Errorf("knobs %+v", k)
	}
	do(200, "/_sim/knobs", `{"mode":"calm","latency":"40ms","loseNotification":0.25}`)
	if k := o.sim.Knobs(); k.Throttle != 0 || k.Latency.String() != "40ms" || k.LoseNotification != 0.25 {
		t.Errorf("knobs %+v", k)
	}
	for _, bad := range []string{`{"throttle":2}`, `{"throttle":"NaN"}`, `{"latency":"soon"}`, `{"colour":1}`, `{"mode":"mad"}`} {
		do(400, "/_sim/knobs", bad)
	}
	do(200, "/_sim/printers/"+o.device.ID, `{"state":"stopped","accepting":false}`)
	do(400, "/_sim/printers/"+o.device.ID, `{"state":"melted"}`)
	do(200, "/_sim/triggers", `{"printer":"`+o.device.ID+`","definition":"`+o.definition+`"}`)
	do(400, "/_sim/triggers", `{"printer":"`+o.device.ID+`","definition":"`+o.definition+`"}`)
	do(200, "/_sim/triggers/"+o.device.ID+"/remove", "")
	for _, what := range []string{"drop", "expire", "reauthorize"} {
		do(200, "/_sim/subscriptions/"+what, "")
	}
	do(400, "/_sim/subscriptions/explode", "")
	do(400, "/_sim/devices/approve", `{"code":"NOSUCH","user":"`+o.admin.ID+`"}`)
	do(200, "/_sim/tokens/revoke", "")
	o.call(401, "GET", "/print/printers", nil)
	if w := o.control("GET", "/_sim/state", "", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"tenant"`) {
		t.Errorf("state: %d", w.Code)
	}
}

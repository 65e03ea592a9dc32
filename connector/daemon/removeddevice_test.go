package daemon_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// A device that is taken out of the configuration while somebody is at it: its pages, its
// session, its token and its taps by NATS are refused, with a sentence, and print nothing.
func TestRemovedDevice(t *testing.T) {
	nats := bustest.StartDeployed(t, bustest.AsIn("nats-server.conf"))
	o := newOffice(t, graphtest.Calm())
	o = o.replica(metricsAddr, fmt.Sprintf("url: %q, nkey_file: %q, tls: {ca_file: %q, cert_file: %q, key_file: %q}",
		nats.URL, nats.Nkeys["PULLPRINT_NKEY"], nats.TLS.CAFile, nats.TLS.CertFile, nats.TLS.KeyFile))
	first := o.start(zap.NewNop())
	first.register()
	first.enrol(studentID, number)
	id := first.print(graphtest.JobSpec{Printer: pullID})
	first.await("the job is held", 20*time.Second, func() bool { return len(first.all()) == 1 })
	c := o.screen()
	c.badge(number)
	c.sees("Your jobs")
	page, one := c.form(), c.form(id)
	first.end()

	path := filepath.Join(o.dir, "config.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "id: hq-2-west") {
			left = append(left, line)
		}
	}
	o.write("config.yaml", strings.Join(left, ""))
	second := o.start(zap.NewNop())
	defer second.end()
	second.await("it is ready", 20*time.Second, func() bool { code, _ := second.get("/readyz"); return code == http.StatusOK })

	for to, send := range map[string]func(){
		"the page": func() { c.get("") }, "a badge": func() { c.badge(number) },
		"print all": func() { c.post("release", page) }, "print one": func() { c.post("release", one) },
		"delete one": func() { c.post("cancel", one) }, "enrol": func() { c.post("enrol", page) },
		"sign in": func() { c.post("login", map[string][]string{"token": {readerToken}}) },
	} {
		if send(); c.status != http.StatusNotFound || !strings.Contains(c.page, "There is no such device") {
			t.Errorf("%s: %d %s", to, c.status, c.page)
		}
	}
	for token, want := range map[string]int{readerToken: http.StatusUnauthorized, adminToken: http.StatusNotFound} {
		var p struct{ Title, Detail string }
		body := fmt.Sprintf(`{"device":"hq-2-west","badge":%q}`, number)
		if code := second.ask(token, "POST", "/v1/taps", body, &p); code != want || p.Title == "" || p.Detail == "" {
			t.Errorf("a tap by HTTP: %d %+v, want %d", code, p, want)
		}
		reader := nats.Connect(t, "READER_HQ_2_WEST_NKEY", bustest.Inbox("hq-2-west"))
		answer, err := bustest.Ask(t.Context(), reader, "pullprint.taps.hq-2-west",
			map[string]string{"Authorization": "Bearer " + token}, fmt.Sprintf(`{"badge":%q}`, number))
		p = struct{ Title, Detail string }{}
		if err != nil || json.Unmarshal(answer, &p) != nil || p.Title == "" || p.Detail == "" {
			t.Errorf("a tap by NATS: %s, %v", answer, err)
		}
	}
	var p struct{ Title, Detail string }
	release := fmt.Sprintf("/v1/jobs/%s/%s/release", id.Printer, id.Job)
	if code := second.ask(adminToken, "POST", release, `{"device":"hq-2-west"}`, &p); code != http.StatusNotFound || p.Title == "" {
		t.Errorf("an order: %d %+v", code, p)
	}
	if n := o.applied(id); n != 0 || len(o.sim.Paper()) != 0 {
		t.Errorf("%d effects, paper %v", n, o.sim.Paper())
	}
}

package daemon_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// shape adds the names in a JSON value, with what kind of value each has.
func shape(v any, at string, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if strings.Contains(at, ".paths") || strings.Contains(at, ".components") {
				continue // the description itself
			}
			shape(member, at+"."+name, into)
		}
		into[at+" object"] = true
	case []any:
		for _, element := range v {
			shape(element, at+"[]", into)
		}
		into[at+" list"] = true
	case string:
		into[at+" string"] = true
	case float64:
		into[at+" number"] = true
	case bool:
		into[at+" bool"] = true
	case nil:
		into[at+" null"] = true
	}
}

// answer is the status of a route, its type and the shape of its body.
func (s *shift) answer(method, path, body string) string {
	s.t.Helper()
	client := &http.Client{Transport: s.net.transport()}
	defer client.CloseIdleConnections()
	req, err := http.NewRequest(method, "http://"+s.admin()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	head := fmt.Sprintf("%s %s: %d %s\n", method, path, res.StatusCode, res.Header.Get("Content-Type"))
	var v any
	if json.Unmarshal(text, &v) != nil {
		return head
	}
	names := map[string]bool{}
	shape(v, "", names)
	return head + "  " + strings.Join(slices.Sorted(maps.Keys(names)), "\n  ") + "\n"
}

// logged are the messages of a log from info on, each with its level, logger and keys.
func logged(logs *observer.ObservedLogs) string {
	lines := map[string]bool{}
	for _, e := range logs.All() {
		keys := slices.Sorted(maps.Keys(e.ContextMap()))
		lines[fmt.Sprintf("%s %s %q: %s", e.LoggerName, e.Level, e.Message, strings.Join(keys, " "))] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(lines)), "\n") + "\n"
}

// What dashboards, other programs and alerts read stays as it is: the metrics of a daemon
// that has just begun, the body of every route, and what is logged meanwhile.
func TestWhatTheOutsideSees(t *testing.T) {
	racetest.Skip(t, "one request after the other")
	bustest.Virtual(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		o := newOffice(t, graphtest.Calm())
		o.write("policy.yaml", quotaPolicy)
		s := o.start(zap.New(core))
		s.register()
		pass(30 * time.Second)
		s.enrol(studentID, number)
		s.enrol(teacherID, "04A21BC377")
		kept := s.hold(2)
		var routes strings.Builder
		ask := func(method, path, body string) {
			fmt.Fprint(&routes, s.answer(method, path, body), "\n")
			pass(11 * time.Second)
		}
		expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		for _, c := range changing {
			path := c.path
			if strings.Contains(path, "JOB") {
				id := s.hold(1)[0]
				pass(time.Second) // the decision is told before the index has the job
				path = strings.Replace(path, "JOB", id.Printer+"/"+id.Job, 1)
			}
			ask(c.method, path, strings.Replace(c.body, "EXPIRES", expires, 1))
			if c.path == "/v1/delegations" && c.method == http.MethodPut {
				ask("GET", "/v1/delegations", "")
			}
		}
		s.hold(1)
		pass(3 * time.Minute)
		var file struct {
			Paths map[string]map[string]json.RawMessage `json:"paths"`
		}
		s.ask(adminToken, "GET", "/v1/openapi.json", "", &file)
		fill := strings.NewReplacer("{printer}", pullID, "{job}", kept[0].Job, "{account}", studentID, "{user}", studentID, "{device}",
			"hq-2-west")
		for _, path := range slices.Sorted(maps.Keys(file.Paths)) {
			if _, ok := file.Paths[path]["get"]; ok {
				ask("GET", fill.Replace(path), "")
			}
		}
		ask("GET", "/v1/jobs/"+pullID+"/9999", "")
		ask("POST", "/v1/taps", "[]")
		golden(t, "routes.txt", o.named(routes.String()))
		s.end()
		golden(t, "log.txt", o.named(logged(logs)))
	})
}

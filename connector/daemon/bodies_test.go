package daemon_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/racetest"
)

// wrongBodies are no body of any route.
var wrongBodies = map[string]string{
	"null": "null", "a list": "[]", "a list of objects": "[{}]", "a text": `"x"`, "a number": "1", "true": "true", "cut off": `{"owner":"`,
	"two":      "{}{}",
	"not JSON": "owner=x", "a NUL": "\x00", "invalid UTF-8": "{\"owner\":\"\xff\xfe\"}", "an invalid name": "{\"\xff\":1}",
	"an unknown member": `{"nothing_of_ours":1}`, "no name": `{"":1}`, "UTF-16": "\xff\xfe{\x00}\x00",
	"deep":           strings.Repeat("[", 20_000),
	"a deep member":  `{"owner":` + strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000) + "}",
	"a deep unknown": `{"x":` + strings.Repeat(`[`, 9_000) + strings.Repeat("]", 9_000) + "}",
	"a huge number":  `{"limit":1e99999,"delta":1e99999,"why":"x"}`,
	"a long unknown": `{"x":"` + strings.Repeat("x", 60_000) + `"}`,
	"a BOM":          "\ufeff[]",
}

// wrongValues are wrong for any member that is a text, a number or true.
var wrongValues = map[string]string{
	"a list": `[]`, "an object": `{}`, "nested": `{"a":[{"a":[1]}]}`, "a huge number": `1e999`, "a huge negative one": `-1e999`,
	"more than 64 bits": `123456789012345678901234567890`, "a long fraction": `1.` + strings.Repeat("1", 400),
	"a NUL in a text": `"\u0000"`, "invalid UTF-8": "\"\xc3\x28\"", "a long text": `"` + strings.Repeat("y", 60_000) + `"`,
	"too many lines": `"` + strings.Repeat(`\n`, 4000) + `"`,
}

// countsForNothing may stand in the number of a card: what nobody sees never counts, and
// a number that nobody has enrolled is a card that is not known.
var countsForNothing = map[string]bool{"a NUL in a text": true, "a long text": true, "too many lines": true}

// Whatever is sent as a body is answered with what is wrong with it and changes nothing.
// The list of routes is that of the test of the audit, which has all of them.
func TestWrongBodies(t *testing.T) {
	racetest.Skip(t, "one request after the other")
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		id := s.hold(1)[0]
		s.enrol(teacherID, "04A21BC399")
		state := func() string {
			var all []string
			for _, path := range []string{
				"/v1/jobs", "/v1/jobs/" + id.Printer + "/" + id.Job, "/v1/badges", "/v1/delegations",
				"/v1/quotas/" + teacherID, "/v1/quotas/" + teacherID + "/history",
			} {
				var answer json.RawMessage
				if code := s.ask(adminToken, "GET", path, "", &answer); code != http.StatusOK {
					t.Fatalf("%s: %d", path, code)
				}
				all = append(all, string(answer))
			}
			return strings.Join(all, "\n")
		}
		before, actions := state(), len(s.actions())
		for _, c := range changing {
			path := strings.Replace(c.path, "JOB", id.Printer+"/"+id.Job, 1)
			good := strings.Replace(c.body, "EXPIRES", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), 1)
			tries := maps.Clone(wrongBodies)
			noteOnly := strings.HasSuffix(path, "/end-sessions") || strings.HasPrefix(path, "/v1/pins/") // it may be absent
			if strings.HasPrefix(good, "{") && good != "{}" && !noteOnly {
				tries["nothing in it"] = "{}"
			}
			if good != "" {
				tries["empty"], tries["white space"] = "", strings.Repeat(" ", 100)
			}
			var members map[string]json.RawMessage
			_ = json.Unmarshal([]byte(good), &members)
			if strings.HasSuffix(path, "/cancel") {
				members = map[string]json.RawMessage{"reason": nil}
			}
			if strings.HasSuffix(path, "/erase") {
				members = map[string]json.RawMessage{"cancel_held": nil, "forget_budget": nil}
			}
			for _, name := range slices.Sorted(maps.Keys(members)) {
				for what, value := range wrongValues {
					if name == "badge" && countsForNothing[what] {
						continue
					}
					changed := maps.Clone(members)
					delete(changed, name)
					parts := []string{fmt.Sprintf("%q:%s", name, value)}
					for other, v := range changed {
						if v != nil {
							parts = append(parts, fmt.Sprintf("%q:%s", other, v))
						}
					}
					tries[name+" is "+what] = "{" + strings.Join(parts, ",") + "}"
				}
			}
			for what, body := range tries {
				var p struct{ Title, Detail string }
				code := s.ask(adminToken, c.method, path, body, &p)
				if code/100 != 4 || p.Title == "" || p.Detail == "" || strings.Contains(p.Detail, "Go ") ||
					strings.Contains(p.Detail, "yyy") {
					t.Errorf("%s %s, %s: %d %+v", c.method, c.path, what, code, p)
				}
				n := len(s.actions())
				if code == http.StatusBadRequest && n != actions && !strings.HasSuffix(path, "/import") {
					t.Errorf("%s %s, %s: it is in the audit", c.method, c.path, what)
				}
				actions = n
				pass(200 * time.Millisecond) // no budget of requests is what refuses them
			}
			// Once a route: with all that is read it takes longer than what is tried.
			if after := state(); after != before {
				t.Errorf("%s %s: changed\n%s\n%s", c.method, c.path, before, after)
				before = after
			}
		}
	})
}

// An amount that is right by itself and too large for the account is refused as what was
// sent, and nothing is said to be broken.
func TestAmountTooLargeForAnAccount(t *testing.T) {
	racetest.Skip(t, "one request after the other")
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		path, body := "/v1/quotas/"+teacherID+"/adjust", `{"delta":9000000000000,"why":"x"}`
		if code := s.ask(adminToken, "POST", path, body, nil); code != http.StatusOK {
			t.Fatal(code)
		}
		var p struct{ Detail string }
		if code := s.ask(adminToken, "POST", path, body, &p); code != http.StatusUnprocessableEntity ||
			!strings.Contains(p.Detail, "too large") {
			t.Errorf("%d %+v", code, p)
		}
		if code := s.ask(adminToken, "PUT", "/v1/quotas/"+teacherID, `{"limit":null,"why":""}`, nil); code != http.StatusOK {
			t.Errorf("null is a limit: %d", code)
		}
	})
}

package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/delegation"
	"pullprint/connector/evaluate"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/printer"
	"pullprint/connector/privacy"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/connector/sweep"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
)

// testTokens are the tokens of the tests, by who holds them.
var testTokens = map[string]string{
	"nobody": "", "wrong": "not-a-token-at-all", "west": "token-of-the-west-reader", "east": "token-of-the-east-reader",
	"read": "token-that-only-reads", "operate": "token-that-operates", "admin": "token-of-the-administrator",
}

func newTokens(t testing.TB) *access.Tokens {
	t.Helper()
	dir := t.TempDir()
	file := func(who string) string {
		path := filepath.Join(dir, who)
		if err := os.WriteFile(path, []byte(testTokens[who]+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	devices := []printer.Device{{ID: "west", TokenFile: file("west")}, {ID: "east", TokenFile: file("east")}, {ID: "none"}}
	c := Config{TokenFile: file("admin"), Tokens: []Token{
		{"viewer", access.RoleRead, file("read")}, {"helpdesk", access.RoleOperate, file("operate")},
	}}
	tokens, err := access.NewTokens(c.TokenSources(devices), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// matrix says who may use each route. A route that is not here fails the test.
var matrix = map[string]string{
	"GET /v1/openapi.json":                  "nobody wrong west east read operate admin",
	"POST /v1/taps":                         "west east operate admin",
	"GET /v1/jobs":                          "read operate admin",
	"GET /v1/jobs/{printer}/{job}":          "read operate admin",
	"POST /v1/jobs/{printer}/{job}/release": "operate admin",
	"POST /v1/jobs/{printer}/{job}/cancel":  "operate admin",
	"GET /v1/badges":                        "read operate admin",
	"PUT /v1/badges":                        "operate admin",
	"DELETE /v1/badges":                     "operate admin",
	"POST /v1/badges/import":                "operate admin",
	"POST /v1/badges/codes":                 "operate admin",
	"GET /v1/quotas/{account}":              "read operate admin",
	"PUT /v1/quotas/{account}":              "admin",
	"POST /v1/quotas/{account}/adjust":      "admin",
	"GET /v1/quotas/{account}/history":      "read operate admin",
	"POST /v1/usage":                        "operate admin",
	"GET /v1/delegations":                   "read operate admin",
	"PUT /v1/delegations":                   "operate admin",
	"DELETE /v1/delegations":                "operate admin",
	"GET /v1/devices":                       "read operate admin",
	"GET /v1/failures":                      "read operate admin",
	"GET /v1/devices/{device}/link":         "operate admin",
	"POST /v1/devices/{device}/link":        "admin",
	"GET /v1/decisions":                     "read operate admin",
	"GET /v1/dead":                          "read operate admin",
	"GET /v1/audit":                         "admin",
	"GET /v1/diagnostics":                   "admin",
	"POST /v1/backup":                       "admin",
	"GET /v1/people":                        "operate admin",
	"GET /v1/people/{user}":                 "admin",
	"POST /v1/people/{user}/export":         "admin",
	"POST /v1/people/{user}/erase":          "admin",
	"POST /v1/people/{user}/end-sessions":   "admin",
	"GET /v1/pins/{user}":                   "read operate admin",
	"POST /v1/pins/{user}/unlock":           "operate admin",
	"DELETE /v1/pins/{user}":                "operate admin",
}

func TestAuthorization(t *testing.T) {
	a := NewAPI(Deps{Logger: zap.NewNop(), Tokens: newTokens(t)})
	list := routes()
	reached := ""
	for i := range list {
		name := list[i].method + " " + list[i].path
		list[i].do = func(*API, *request) (any, error) { reached = name; return struct{}{}, nil }
	}
	a.mount(list)
	seen := map[string]bool{}
	for _, r := range list {
		name := r.method + " " + r.path
		allowed, ok := matrix[name]
		if !ok {
			t.Errorf("%s has no entry in the matrix", name)
			continue
		}
		seen[name] = true
		for who, token := range testTokens {
			reached = ""
			req := httptest.NewRequest(r.method, strings.NewReplacer("{printer}", "p", "{job}", "j", "{account}", "a", "{user}",
				"u").Replace(r.path), nil)
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			rec := httptest.NewRecorder()
			a.ServeHTTP(rec, req)
			want := http.StatusForbidden
			switch {
			case strings.Contains(" "+allowed+" ", " "+who+" "):
				want = http.StatusOK
			case who == "nobody" || who == "wrong":
				want = http.StatusUnauthorized
			}
			if rec.Code != want || (reached == name) != (want == http.StatusOK) {
				t.Errorf("%s by %s: %d, reached %q; want %d", name, who, rec.Code, reached, want)
			}
			if rec.Code != http.StatusOK && rec.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s by %s: %s", name, who, rec.Header().Get("Content-Type"))
			}
		}
	}
	if len(seen) != len(matrix) {
		t.Errorf("the matrix has routes that do not exist")
	}
}

// A route that changes something is audited, and one that only reads is not.
func TestActionsOfRoutes(t *testing.T) {
	for _, r := range routes() {
		changes := r.method != http.MethodGet
		if (r.action != "") != changes {
			t.Errorf("%s %s has the action %q", r.method, r.path, r.action)
		}
		if (r.limit > 0) != (r.method != http.MethodGet) {
			t.Errorf("%s %s takes a body of %d bytes", r.method, r.path, r.limit)
		}
	}
}

// Bad requests say what is wrong and quote nothing that was sent.
func TestBadRequests(t *testing.T) {
	a := NewAPI(Deps{Logger: zap.NewNop(), Tokens: newTokens(t), Taps: &tap.Taps{}, Badges: &badge.Registry{}, Audit: failingAudit{}})
	for name, c := range map[string]struct {
		method, path, contentType, body string
		status                          int
		detail                          string
	}{
		"no json type":   {"POST", "/v1/taps", "text/plain", `{}`, 415, "Content-Type"},
		"no json":        {"POST", "/v1/taps", "application/json", `PLANTED`, 400, "not the JSON object"},
		"unknown member": {"POST", "/v1/taps", "application/json", `{"bage":"PLANTED"}`, 400, `unknown member "bage"`},
		"wrong type":     {"POST", "/v1/taps", "application/json", `{"badge":["PLANTED"]}`, 400, "badge must be a string"},
		"two objects":    {"POST", "/v1/taps", "application/json", `{"device":"west","badge":"PLANTED"}{}`, 400, "more than one"},
		"nothing":        {"POST", "/v1/taps", "application/json", `{}`, 400, "device and badge are needed"},
		"too large":      {"POST", "/v1/taps", "application/json", `{"badge":"` + strings.Repeat("P", maxBody) + `"}`, 413, "At most"},
		"unknown filter": {"GET", "/v1/jobs?ownr=PLANTED", "", "", 400, "known here: owner"},
		"two filters":    {"GET", "/v1/jobs?owner=a&owner=PLANTED", "", "", 400, "given twice"},
		"bad state":      {"GET", "/v1/jobs?state=PLANTED", "", "", 400, "held, releasing"},
		"bad limit":      {"GET", "/v1/jobs?limit=0", "", "", 400, "1 to 500"},
		"bad cursor":     {"GET", "/v1/jobs?cursor=PLANTED", "", "", 400, "cursor"},
		"bad since":      {"GET", "/v1/decisions?since=PLANTED", "", "", 400, "since"},
		"no device":      {"POST", "/v1/jobs/p/j/release", "application/json", `{}`, 400, "device is needed"},
		"which badge":    {"DELETE", "/v1/badges", "application/json", `{"id":"a","key_id":"PLANTED"}`, 400, "exactly one"},
		"no badge":       {"PUT", "/v1/badges", "application/json", `{"owner":"PLANTED"}`, 400, "badge and owner"},
		"bad life":       {"POST", "/v1/badges/codes", "application/json", `{"owner":"a","valid_for":"PLANTED"}`, 400, "valid_for"},
		"no route":       {"GET", "/v1/PLANTED", "", "", 404, "openapi.json"},
	} {
		req := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		req.Header.Set("Authorization", "bearer "+testTokens["admin"])
		if c.contentType != "" {
			req.Header.Set("Content-Type", c.contentType)
		}
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, req)
		var p apiclient.Problem
		if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || rec.Code != c.status || p.Status != c.status ||
			!strings.Contains(p.Detail, c.detail) || p.Title == "" {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
		if strings.Contains(rec.Body.String(), "PLANTED") {
			t.Errorf("%s quotes what was sent: %s", name, rec.Body)
		}
	}
}

// An error that is not the caller's is in the log only.
func TestHiddenErrors(t *testing.T) {
	p := problemOf(fmt.Errorf("store job record: %w", errors.New("PLANTED")))
	if p.Status != http.StatusServiceUnavailable || strings.Contains(p.Error(), "PLANTED") || p.RetryAfter == 0 {
		t.Errorf("%+v", p)
	}
	p = problemOf(&tap.LockedError{Device: "west", Until: time.Now().Add(time.Minute)})
	rec := httptest.NewRecorder()
	writeProblem(rec, p)
	if rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") != "60" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
}

// samples are answers of each route, with every member set, and with none.
var samples = map[string][]any{
	"POST /v1/people/{user}/erase":          {full[privacy.Erased]()},
	"GET /v1/people":                        {full[apiclient.UserNames](), apiclient.UserNames{Names: map[string]string{}}},
	"GET /v1/people/{user}":                 {full[apiclient.PersonFound]()},
	"POST /v1/people/{user}/export":         {aPerson},
	"POST /v1/people/{user}/end-sessions":   {full[apiclient.SessionsEnded]()},
	"GET /v1/pins/{user}":                   {full[apiclient.PINState]()},
	"POST /v1/pins/{user}/unlock":           {full[apiclient.PINState]()},
	"DELETE /v1/pins/{user}":                {full[apiclient.PINState]()},
	"POST /v1/taps":                         {release.Outcome{}, full[release.Outcome]()},
	"GET /v1/jobs":                          {full[apiclient.JobList]()},
	"GET /v1/jobs/{printer}/{job}":          {full[apiclient.JobDetail]()},
	"POST /v1/jobs/{printer}/{job}/release": {full[release.Outcome]()},
	"POST /v1/jobs/{printer}/{job}/cancel":  {full[release.Refused]()},
	"GET /v1/badges":                        {full[apiclient.BadgeList]()},
	"PUT /v1/badges":                        {full[badge.Badge](), badge.Badge{}},
	"DELETE /v1/badges":                     {full[apiclient.BadgeList]()},
	"POST /v1/badges/import":                {full[apiclient.Imported]()},
	"POST /v1/badges/codes":                 {full[apiclient.CodeIssued]()},
	"GET /v1/quotas/{account}": {
		full[evaluate.AccountStatus](),
		evaluate.AccountStatus{Balances: []evaluate.Balance{}, Stored: ledger.View{Reservations: []quota.Reservation{}}},
	},
	"PUT /v1/quotas/{account}":         {full[evaluate.AccountStatus]()},
	"POST /v1/quotas/{account}/adjust": {full[evaluate.AccountStatus]()},
	"GET /v1/quotas/{account}/history": {full[apiclient.EntryList]()},
	"POST /v1/usage":                   {full[sweep.UsageDay]()},
	"GET /v1/delegations":              {full[apiclient.DelegationList]()},
	"PUT /v1/delegations":              {full[delegation.Delegation]()},
	"DELETE /v1/delegations":           {full[apiclient.DelegationList]()},
	"GET /v1/devices":                  {full[apiclient.DeviceList]()},
	"GET /v1/failures":                 {full[apiclient.FailureList](), apiclient.FailureList{Printers: []apiclient.PrinterFailures{}}},
	"GET /v1/devices/{device}/link":    {full[apiclient.DeviceLink]()},
	"POST /v1/devices/{device}/link":   {full[apiclient.DeviceLink]()},
	"GET /v1/decisions":                {full[apiclient.DecisionList]()},
	"GET /v1/dead":                     {full[apiclient.DeadList]()},
	"GET /v1/audit":                    {full[apiclient.ActionList]()},
	"GET /v1/diagnostics": {
		full[apiclient.Diagnostics](), apiclient.Diagnostics{Readiness: []string{}, Streams: []store.StreamState{}, Lines: []string{}},
	},
}

var some = []json.RawMessage{json.RawMessage(`{"owner":"x"}`)}

var aPerson = privacy.Person{
	Names: []string{"x"}, Jobs: some, Badges: some, Accounts: some, Delegations: some, Decisions: some, Ledger: some,
	Audit: some, Dead: some,
	Notices: some,
}

// bodies are what each route takes, with every member set.
var bodies = map[string]any{
	"POST /v1/taps":                         full[apiclient.TapBody](),
	"POST /v1/usage":                        full[sweep.UsageDay](),
	"PUT /v1/badges":                        full[apiclient.EnrolBody](),
	"DELETE /v1/badges":                     full[apiclient.RevokeBody](),
	"PUT /v1/quotas/{account}":              full[apiclient.QuotaBody](),
	"POST /v1/quotas/{account}/adjust":      full[apiclient.AdjustBody](),
	"POST /v1/jobs/{printer}/{job}/release": full[apiclient.ReleaseBody](),
	"PUT /v1/delegations":                   full[apiclient.DelegationBody](),
	"DELETE /v1/delegations":                full[apiclient.DelegationBody](),
	"POST /v1/people/{user}/erase":          full[privacy.Erasure](),
	"POST /v1/people/{user}/end-sessions":   full[apiclient.NoteBody](),
	"POST /v1/pins/{user}/unlock":           full[apiclient.NoteBody](),
	"DELETE /v1/pins/{user}":                full[apiclient.NoteBody](),
	"POST /v1/devices/{device}/link":        full[apiclient.NoteBody](),
}

// full is a value with every member set.
func full[T any]() T {
	var v T
	fill(reflect.ValueOf(&v).Elem(), map[reflect.Type]bool{})
	return v
}

// fill leaves out what is within itself.
func fill(v reflect.Value, within map[reflect.Type]bool) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)))
	case v.Type() == reflect.TypeFor[job.State]():
		v.SetString(string(job.Held))
	case v.Type() == reflect.TypeFor[paper.State]():
		v.SetString(string(paper.Printed))
	case v.Kind() == reflect.Struct:
		within[v.Type()] = true
		defer delete(within, v.Type())
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), within)
			}
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), within)
	case v.Kind() == reflect.Pointer && within[v.Type().Elem()]:
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), within)
	case v.Kind() == reflect.String:
		v.SetString("x")
	case v.CanInt():
		v.SetInt(1)
	case v.CanUint():
		v.SetUint(1)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	}
}

// enums are members whose words the file lists.
var enums = strings.NewReplacer(`"point":"x"`, `"point":"release"`, `"verdict":"x"`, `"verdict":"keep"`, `"kind":"x"`, `"kind":"decision"`)

// The file at /v1/openapi.json has every route and no other, with its role, and
// what the handlers take and answer is what it says.
func TestOpenAPI(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	schema := func(pointer ...string) *jsonschema.Schema {
		for i := range pointer {
			pointer[i] = strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(pointer[i])
		}
		s, err := c.Compile("openapi.json#/" + strings.Join(pointer, "/"))
		if err != nil {
			t.Fatalf("%v: %v", pointer, err)
		}
		return s
	}
	agree := func(what string, s *jsonschema.Schema, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := jsonschema.UnmarshalJSON(strings.NewReader(enums.Replace(string(text))))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(got); err != nil {
			t.Errorf("%s: %v\n%s", what, err, text)
		}
	}
	var file struct {
		Paths map[string]map[string]struct {
			Role string `json:"x-pullprint-role"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(openAPI, &file); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, methods := range file.Paths {
		n += len(methods)
	}
	if n != len(routes()) {
		t.Errorf("the file has %d routes, the API %d", n, len(routes()))
	}
	for _, r := range routes() {
		name, method := r.method+" "+r.path, strings.ToLower(r.method)
		op, ok := file.Paths[r.path][method]
		if !ok || op.Role != string(r.audience) {
			t.Errorf("%s: in the file %t with role %q, want %q", name, ok, op.Role, r.audience)
			continue
		}
		if r.path == "/v1/openapi.json" || r.path == "/v1/backup" { // no JSON of ours
			continue
		}
		if len(samples[name]) == 0 {
			t.Errorf("%s has no sample", name)
		}
		for _, v := range samples[name] {
			if o, ok := v.(release.Outcome); ok && o.Released == nil {
				v = release.Outcome{Released: []release.Released{}, Kept: []release.Refused{}, Aborted: []release.Refused{}}
			}
			agree(name, schema("paths", r.path, method, "responses", "200", "content", "application/json", "schema"), v)
		}
		if v, ok := bodies[name]; ok {
			agree(name+" body", schema("paths", r.path, method, "requestBody", "content", "application/json", "schema"), v)
		}
	}
	agree("a problem", schema("components", "schemas", "Problem"), full[apiclient.Problem]())
}

// Two people.
const (
	someone = "11111111-2222-4333-8444-555555555555"
	another = "22222222-2222-4333-8444-555555555555"
)

// An action that can't be audited is not done.
func TestNoAuditNoEffect(t *testing.T) {
	a := NewAPI(Deps{Logger: zap.NewNop(), Tokens: newTokens(t), Badges: badge.NewRegistry(nil, badge.Keys{},
		nil), Delegations: delegation.New(nil), Audit: failingAudit{}})
	for _, c := range [][3]string{
		{"PUT", "/v1/badges", `{"badge":"1","owner":"` + someone + `"}`},
		{"DELETE", "/v1/badges", `{"owner":"` + someone + `"}`},
		{"POST", "/v1/badges/codes", `{"owner":"` + someone + `"}`},
		{"POST", "/v1/badges/import", "badge,owner\n1,a\n"},
		{"PUT", "/v1/delegations", `{"owner":"` + someone + `","to":"` + another + `"}`},
		{"DELETE", "/v1/delegations", `{"owner":"` + someone + `","to":"` + another + `"}`},
	} {
		req := httptest.NewRequest(c[0], c[1], strings.NewReader(c[2]))
		req.Header.Set("Authorization", "Bearer "+testTokens["operate"])
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, req) // what it acts on is nil: going on would panic
		if rec.Code != http.StatusServiceUnavailable {
			t.Errorf("%v: %d %s", c, rec.Code, rec.Body)
		}
	}
}

// failingAudit is an audit that stores nothing.
type failingAudit struct{ Audit }

func (failingAudit) PublishAudit(context.Context, string, string, []byte) error {
	return errors.New("disk is full")
}

// A tap over NATS has the same checks as one over HTTP.
func TestAnswerTap(t *testing.T) {
	a := NewAPI(Deps{
		Logger: zap.NewNop(), Tokens: newTokens(t),
		Taps: tap.New(release.New(release.Options{Delegations: delegation.New(nil), Logger: zap.NewNop()}), nil, nil, zap.NewNop()),
	})
	for name, c := range map[string]struct {
		who, device, body string
		status            int
	}{
		"no token":            {"nobody", "west", `{"badge":"1"}`, http.StatusUnauthorized},
		"wrong token":         {"wrong", "west", `{"badge":"1"}`, http.StatusUnauthorized},
		"may only read":       {"read", "west", `{"badge":"1"}`, http.StatusForbidden},
		"another's reader":    {"east", "west", `{"badge":"1"}`, http.StatusForbidden},
		"another device":      {"west", "west", `{"device":"east","badge":"1"}`, http.StatusBadRequest},
		"no badge":            {"west", "west", `{}`, http.StatusBadRequest},
		"a badge and a name":  {"west", "west", `{"badge":"1","user":"anna@contoso.com","pin":"271828"}`, http.StatusBadRequest},
		"a PIN alone":         {"west", "west", `{"pin":"271828"}`, http.StatusBadRequest},
		"no json":             {"west", "west", `badge 1`, http.StatusBadRequest},
		"not configured":      {"operate", "none", `{"badge":"1"}`, http.StatusNotFound},
		"a long body":         {"west", "west", `{"badge":"` + strings.Repeat("1", maxBody) + `"}`, http.StatusBadRequest},
		"the device's reader": {"west", "west", `{"badge":"1"}`, http.StatusNotFound}, // allowed; this API has no device
		// Without headers, the token stands in the body; beside a header it counts for nothing.
		"token in the body":             {"", "west", `{"badge":"1","token":"` + testTokens["west"] + `"}`, http.StatusNotFound},
		"none there":                    {"", "west", `{"badge":"1"}`, http.StatusUnauthorized},
		"a wrong one there":             {"", "west", `{"badge":"1","token":"wrong"}`, http.StatusUnauthorized},
		"another's there":               {"", "west", `{"badge":"1","token":"` + testTokens["east"] + `"}`, http.StatusForbidden},
		"a wrong one beside a right":    {"wrong", "west", `{"badge":"1","token":"` + testTokens["west"] + `"}`, http.StatusUnauthorized},
		"no json, and who is not known": {"", "west", `badge 1`, http.StatusUnauthorized},
	} {
		header := "Bearer " + testTokens[c.who]
		if c.who == "" {
			header = ""
		}
		reply := a.AnswerTap(t.Context(), store.TapRequest{Device: c.device, Authorization: header, Body: []byte(c.body)})
		var p apiclient.Problem
		if err := json.Unmarshal(reply.Body, &p); err != nil || reply.Status != c.status || p.Status != c.status {
			t.Errorf("%s: %d %s", name, reply.Status, reply.Body)
		}
	}
}

package graphtest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const base = "https://graph.microsoft.com/v1.0"

// office is a tenant with a queue, a device, an app, a user and an administrator.
type office struct {
	*testing.T
	sim           *Sim
	app           App
	user, admin   User
	queue, device Printer
	definition    string
	bearer        string
	http          *http.Client
}

func newOffice(t *testing.T, k Knobs) *office {
	t.Helper()
	if k.Seed == 0 {
		k.Seed = 1
	}
	s := New(k)
	t.Cleanup(s.Close)
	o := &office{T: t, sim: s, http: &http.Client{
		Transport:     s.Transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	o.app = s.AddApp(App{})
	o.user = s.AddUser(User{UPN: "ada@contoso.example", EmployeeID: "E1", Groups: []Group{{DisplayName: "staff"}, {DisplayName: "makers"}}})
	o.admin = s.AddUser(User{UPN: "root@contoso.example", Administrator: true})
	o.queue = s.AddPrinter(Printer{DisplayName: "Follow-Me", Virtual: true})
	o.device = s.AddPrinter(Printer{DisplayName: "hq-2-west"})
	o.definition = s.PlantDefinition(o.app.ClientID, "pullprint")
	if _, err := s.AddTrigger(o.queue.ID, o.definition); err != nil {
		t.Fatal(err)
	}
	o.bearer = s.AppToken(o.app.ClientID)
	return o
}

// answer is a status and a decoded body.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

// code is the error code of an answer, "" when it is none.
func (a answer) code() string {
	e, _ := a.body["error"].(map[string]any)
	c, _ := e["code"].(string)
	return c
}

func (a answer) value() []any {
	v, _ := a.body["value"].([]any)
	return v
}

// try sends a request with the office's token and says what came back, or the error.
func (o *office) try(method, target string, body any) (answer, error) {
	o.Helper()
	if !strings.HasPrefix(target, "http") {
		target = base + target
	}
	var in io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			o.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(o.Context(), method, target, in)
	if err != nil {
		o.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+o.bearer)
	req.Header.Set("client-request-id", "11111111-2222-4333-8444-555555555555")
	res, err := o.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: res.StatusCode, header: res.Header}
	if len(raw) > 0 && strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			o.Fatalf("%s %s: body is not JSON: %q", method, target, raw)
		}
	}
	return a, nil
}

// call is try that wants a status.
func (o *office) call(want int, method, target string, body any) answer {
	o.Helper()
	a, err := o.try(method, target, body)
	if err != nil {
		o.Fatalf("%s %s: %v", method, target, err)
	}
	if a.status != want {
		o.Fatalf("%s %s: status %d %v, want %d", method, target, a.status, a.body, want)
	}
	return a
}

func (o *office) submit(spec JobSpec) JobID {
	o.Helper()
	if spec.Printer == "" {
		spec.Printer = o.queue.ID
	}
	if spec.User == "" {
		spec.User = o.user.ID
	}
	id, err := o.sim.Submit(spec)
	if err != nil {
		o.Fatal(err)
	}
	return id
}

func (o *office) job(id JobID) JobSnapshot {
	o.Helper()
	j, ok := o.sim.Job(id)
	if !ok {
		o.Fatalf("no job %s", id)
	}
	return j
}

func jobPath(id JobID) string { return "/print/printers/" + id.Printer + "/jobs/" + id.Job }

func (o *office) taskPath(id JobID) string {
	t := o.job(id).Task
	return "/print/taskDefinitions/" + t.Definition + "/tasks/" + t.ID
}

// token asks the authority for a token with a form.
func (o *office) token(tenant string, form url.Values) answer {
	o.Helper()
	res, err := o.http.PostForm("https://login.microsoftonline.com/"+tenant+"/oauth2/v2.0/token", form)
	if err != nil {
		o.Fatal(err)
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode}
	if err := json.NewDecoder(res.Body).Decode(&a.body); err != nil {
		o.Fatal(err)
	}
	return a
}

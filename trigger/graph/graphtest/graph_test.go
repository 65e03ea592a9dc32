package graphtest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestDefinitions(t *testing.T) {
	o := newOffice(t, Calm())
	foreign := o.sim.PlantDefinition("somebody-else", "pullprint")
	a := o.call(201, "POST", "/print/taskDefinitions",
		map[string]any{"displayName": "mine", "createdBy": map[string]string{"displayName": "Pull Print"}})
	by := a.body["createdBy"].(map[string]any)
	if by["appId"] != o.app.ClientID || by["displayName"] != "Pull Print" {
		t.Errorf("createdBy %v", by)
	}
	if got := o.call(200, "GET", "/print/taskDefinitions", nil).value(); len(got) != 3 {
		t.Errorf("list %v", got)
	}
	o.call(400, "POST", "/print/taskDefinitions", map[string]any{})
	mine := "/print/taskDefinitions/" + a.body["id"].(string)
	o.call(200, "PATCH", mine, map[string]any{"displayName": "renamed"})
	if got := o.call(200, "GET", mine, nil); got.body["displayName"] != "renamed" {
		t.Errorf("renamed: %v", got.body)
	}
	o.call(403, "PATCH", "/print/taskDefinitions/"+foreign, map[string]any{"displayName": "stolen"})
	o.call(403, "GET", "/print/taskDefinitions/"+foreign+"/tasks", nil)
	o.call(204, "DELETE", mine, nil)
	o.call(404, "GET", mine, nil)
}

func TestTaskPages(t *testing.T) {
	k := Calm()
	k.TaskPage = 3
	o := newOffice(t, k)
	for range 7 {
		o.submit(JobSpec{})
	}
	next, pages, seen := "/print/taskDefinitions/"+o.definition+"/tasks", 0, map[string]bool{}
	for next != "" {
		a := o.call(200, "GET", next, nil)
		for _, v := range a.value() {
			task := v.(map[string]any)
			seen[task["id"].(string)] = true
			if !strings.HasPrefix(task["parentUrl"].(string), base+"/print/printers/"+o.queue.ID+"/jobs/") {
				t.Errorf("parentUrl %v", task["parentUrl"])
			}
		}
		pages++
		next, _ = a.body["@odata.nextLink"].(string)
		if next != "" && !strings.HasPrefix(next, base+"/") {
			t.Errorf("nextLink %q", next)
		}
	}
	if pages != 3 || len(seen) != 7 {
		t.Errorf("%d pages, %d tasks", pages, len(seen))
	}
	for _, option := range []string{"$top=1", "$skip=1", "$select=id", "$count=true"} {
		o.call(400, "GET", "/print/taskDefinitions/"+o.definition+"/tasks?"+option, nil)
	}
	o.sim.Change(func(k *Knobs) { k.ForeignNextLink = "https://evil.example" })
	a := o.call(200, "GET", "/print/taskDefinitions/"+o.definition+"/tasks", nil)
	if n := a.body["@odata.nextLink"].(string); !strings.HasPrefix(n, "https://evil.example/v1.0/") {
		t.Errorf("nextLink %q", n)
	}
}

func TestFinishedTasksAreForgotten(t *testing.T) {
	o := newOffice(t, Calm())
	id := o.submit(JobSpec{})
	o.call(204, "POST", jobPath(id)+"/abort", map[string]string{"reason": "x"})
	list := "/print/taskDefinitions/" + o.definition + "/tasks"
	if got := o.call(200, "GET", list, nil).value(); len(got) != 1 {
		t.Errorf("recently finished: %v", got)
	}
	o.sim.Change(func(k *Knobs) { k.TaskMemory = 1 })
	if got := o.call(200, "GET", list, nil).value(); len(got) != 0 {
		t.Errorf("long finished: %v", got)
	}
}

func TestTriggers(t *testing.T) {
	o := newOffice(t, Calm())
	path := "/print/printers/" + o.device.ID + "/taskTriggers"
	bind := map[string]string{"event": "jobStarted", "definition@odata.bind": base + "/print/taskDefinitions/" + o.definition}
	o.call(403, "GET", path, nil)
	o.call(403, "POST", path, bind)
	o.bearer = o.sim.UserToken(o.app.ClientID, o.user.ID)
	o.call(403, "POST", path, bind)
	o.bearer = o.sim.UserToken(o.app.ClientID, o.admin.ID)
	o.call(400, "POST", path, map[string]string{"event": "jobStarted", "definition@odata.bind": base + "/print/printers/x"})
	o.call(400, "POST", path, map[string]string{"event": "jobDone", "definition@odata.bind": bind["definition@odata.bind"]})
	a := o.call(201, "POST", path, bind)
	second := o.call(400, "POST", path, bind)
	if msg := second.body["error"].(map[string]any)["message"]; msg != "Multiple task triggers per printer is not supported" {
		t.Errorf("message %v", msg)
	}
	got := o.call(200, "GET", path+"?$expand=definition", nil).value()
	if len(got) != 1 || got[0].(map[string]any)["definition"].(map[string]any)["id"] != o.definition {
		t.Errorf("triggers %v", got)
	}
	o.call(403, "GET", "/print/taskDefinitions", nil) // app only
	o.call(204, "DELETE", path+"/"+a.body["id"].(string), nil)
	o.call(404, "DELETE", path+"/"+a.body["id"].(string), nil)
}

func TestJobs(t *testing.T) {
	k := Calm()
	k.JobPage = 2
	o := newOffice(t, k)
	quote := o.sim.AddUser(User{UPN: "o'hara@contoso.example"})
	id := o.submit(JobSpec{Color: true, Copies: 2, Pages: 4, ContentType: typePDF, MediaSize: "A3"})
	o.submit(JobSpec{User: quote.ID})
	o.submit(JobSpec{})
	a := o.call(200, "GET", jobPath(id)+"?$expand=tasks,documents", nil)
	cfg, by := a.body["configuration"].(map[string]any), a.body["createdBy"].(map[string]any)
	doc, task := a.body["documents"].([]any)[0].(map[string]any), a.body["tasks"].([]any)[0].(map[string]any)
	if cfg["colorMode"] != "color" || cfg["copies"] != 2.0 || cfg["mediaSize"] != "A3" || by["id"] != o.user.ID ||
		by["userPrincipalName"] != o.user.UPN ||
		doc["contentType"] != typePDF || doc["size"].(float64) <= 0 || task["status"].(map[string]any)["state"] != "processing" {
		t.Errorf("job %v", a.body)
	}
	if a := o.call(200, "GET", jobPath(id), nil); a.body["tasks"] != nil || a.body["documents"] != nil {
		t.Errorf("expanded unasked: %v", a.body)
	}
	o.call(400, "GET", jobPath(id)+"?$expand=everything", nil)
	o.call(404, "GET", jobPath(JobID{o.queue.ID, "01"}), nil)
	o.call(404, "GET", jobPath(JobID{"nowhere", "1"}), nil)

	list := "/print/printers/" + o.queue.ID + "/jobs"
	first := o.call(200, "GET", list, nil)
	second := o.call(200, "GET", first.body["@odata.nextLink"].(string), nil)
	if len(first.value()) != 2 || len(second.value()) != 1 || second.body["@odata.nextLink"] != nil {
		t.Errorf("pages %v %v", first.body, second.body)
	}
	filter := url.Values{"$filter": {"createdBy/userPrincipalName eq 'o''hara@contoso.example'"}}
	if got := o.call(200, "GET", list+"?"+filter.Encode(), nil).value(); len(got) != 1 {
		t.Errorf("filtered %v", got)
	}
	o.call(400, "GET", list+"?$count=true", nil)
}

func TestCancel(t *testing.T) {
	o := newOffice(t, Calm())
	id := o.submit(JobSpec{})
	o.call(403, "POST", jobPath(id)+"/cancel", nil) // not for apps
	stranger := o.sim.AddUser(User{})
	o.bearer = o.sim.UserToken(o.app.ClientID, stranger.ID)
	o.call(403, "POST", jobPath(id)+"/cancel", nil)
	o.bearer = o.sim.UserToken(o.app.ClientID, o.user.ID)
	o.call(204, "POST", jobPath(id)+"/cancel", nil)
	if s := o.job(id).State; s != "canceled" {
		t.Errorf("job is %s", s)
	}
	other := o.submit(JobSpec{})
	if err := o.sim.CancelJob(other); err != nil || o.sim.CancelJob(other) == nil {
		t.Errorf("CancelJob: %v, and a second time must fail", err)
	}
	if err := o.sim.DeleteJob(other); err != nil {
		t.Error(err)
	}
	o.bearer = o.sim.AppToken(o.app.ClientID)
	o.call(404, "GET", jobPath(other), nil)
}

func TestUsers(t *testing.T) {
	k := Calm()
	k.JobPage = 1
	o := newOffice(t, k)
	path := "/users/" + o.user.ID + "/transitiveMemberOf/microsoft.graph.group?$select=id,displayName"
	a := o.call(200, "GET", path, nil)
	g := a.value()[0].(map[string]any)
	if len(g) != 2 || g["displayName"] != "staff" {
		t.Errorf("group %v", g)
	}
	b := o.call(200, "GET", a.body["@odata.nextLink"].(string), nil)
	if b.value()[0].(map[string]any)["displayName"] != "makers" || len(b.value()[0].(map[string]any)) != 2 {
		t.Errorf("second page %v", b.body)
	}
	if a := o.call(404, "GET", "/users/nobody/transitiveMemberOf/microsoft.graph.group", nil); a.code() != "Request_ResourceNotFound" {
		t.Errorf("code %q", a.code())
	}
	filter := url.Values{"$filter": {"employeeId eq 'E1'"}, "$select": {"id,userPrincipalName,employeeId"}}
	found := o.call(200, "GET", "/users?"+filter.Encode(), nil).value()
	if len(found) != 1 || found[0].(map[string]any)["id"] != o.user.ID || found[0].(map[string]any)["employeeId"] != "E1" {
		t.Errorf("found %v", found)
	}
	for name, want := range map[string]int{"E2": 0, "e1": 0, "": 0, "E1' or employeeId eq 'x": 0, "o'42": 1, "E77": 2} {
		if want == 2 {
			o.sim.AddUser(User{EmployeeID: name}) // Entra does not keep them apart
		}
		if want > 0 {
			o.sim.AddUser(User{EmployeeID: name})
		}
		filter.Set("$filter", "employeeId eq '"+strings.ReplaceAll(name, "'", "''")+"'")
		found := 0
		for next := "/users?" + filter.Encode(); next != ""; { // a user a page
			a := o.call(200, "GET", next, nil)
			found += len(a.value())
			next, _ = a.body["@odata.nextLink"].(string)
		}
		if found != want {
			t.Errorf("%q: found %d, want %d", name, found, want)
		}
	}
	for _, bad := range []string{
		"employeeId eq 'o'42'", "employeeId eq 42", "employeeId", "employeeId eq 'E1' or employeeId eq 'E2'", "contains(employeeId,'E')",
		"badge eq 'E1'", "employeeId eq 'E1",
	} {
		filter.Set("$filter", bad)
		if a := o.call(400, "GET", "/users?"+filter.Encode(), nil); a.code() != "Request_UnsupportedQuery" {
			t.Errorf("%s: %s", bad, a.code())
		}
	}
	few := o.sim.AddApp(App{Roles: []string{"User.ReadBasic.All"}}) // sees names only
	o.bearer = o.sim.AppToken(few.ClientID)
	filter.Set("$filter", "employeeId eq 'E1'")
	o.call(403, "GET", "/users?"+filter.Encode(), nil)
}

func TestBatch(t *testing.T) {
	o := newOffice(t, Calm())
	id := o.submit(JobSpec{})
	items := []map[string]any{
		{"id": "a", "method": "GET", "url": jobPath(id) + "?$expand=tasks"},
		{"id": "b", "method": "POST", "url": jobPath(id) + "/abort", "body": map[string]string{"reason": "x"}},
		{"id": "c", "method": "GET", "url": "/print/printers/nowhere", "dependsOn": []string{"b"}},
		{"id": "d", "method": "GET", "url": "/print/printers", "dependsOn": []string{"c"}},
	}
	a := o.call(200, "POST", "/$batch", map[string]any{"requests": items})
	got := map[string]float64{}
	for _, r := range a.body["responses"].([]any) {
		got[r.(map[string]any)["id"].(string)] = r.(map[string]any)["status"].(float64)
	}
	if got["a"] != 200 || got["b"] != 204 || got["c"] != 404 || got["d"] != 424 {
		t.Errorf("statuses %v", got)
	}
	if o.job(id).Reason != "x" {
		t.Error("the abort of a batch did nothing")
	}
	var many []map[string]any
	for i := range 21 {
		many = append(many, map[string]any{"id": fmt.Sprint(i), "method": "GET", "url": "/print/printers"})
	}
	o.call(400, "POST", "/$batch", map[string]any{"requests": many})
	o.call(200, "POST", "/$batch", map[string]any{"requests": many[:20]})
}

func TestErrorsHaveGraphsShape(t *testing.T) {
	o := newOffice(t, Calm())
	a := o.call(404, "GET", "/print/printers/nowhere", nil)
	inner := a.body["error"].(map[string]any)["innerError"].(map[string]any)
	const mine = "11111111-2222-4333-8444-555555555555"
	if inner["client-request-id"] != mine || a.header.Get("client-request-id") != mine ||
		inner["request-id"] != a.header.Get("request-id") ||
		inner["date"] == "" {
		t.Errorf("inner %v header %v", inner, a.header)
	}
	b := o.call(200, "GET", "/print/printers", nil)
	if b.header.Get("request-id") == "" || b.header.Get("request-id") == a.header.Get("request-id") {
		t.Error("request-id repeats or is missing")
	}
	o.call(400, "GET", "/print/nothing", nil)
	o.bearer = "nonsense"
	if a := o.call(401, http.MethodGet, "/print/printers", nil); a.code() != "InvalidAuthenticationToken" {
		t.Errorf("code %q", a.code())
	}
}

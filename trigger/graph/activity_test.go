package graph

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// An entry of the activity feed is sent as Graph documents it. When the answer is lost it is sent again, as its
// chain makes one of two; when Graph refuses it is not. No error has a sentence of the server, which names the person.
func TestSendActivity(t *testing.T) {
	const user = "5b649834-7412-4cce-9e69-176e95a394f5"
	status, calls, path, body, lose := 204, 0, "", "", 0
	o := &fakeServers{graph: func(_ int, r *http.Request) (*http.Response, error) {
		calls++
		raw, err := io.ReadAll(r.Body)
		path, body = r.Method+" "+r.URL.EscapedPath(), string(raw)
		if calls <= lose {
			return nil, errors.New("the connection broke")
		}
		return answer(status, `{"error":{"code":"Forbidden","message":"`+user+` has no app"}}`), err
	}}
	c, _ := o.client(t)
	a := Activity{
		Type: "jobAborted", Topic: "Your print jobs", Link: "https://teams.microsoft.com/l/entity/a/jobs", Preview: "Too many pages",
		Parameters: map[string]string{"subject": "Not printed"}, Chain: 1<<53 - 1,
	}
	for status = range map[int]bool{204: true, 202: true} {
		err := c.SendActivity(t.Context(), user, a)
		if err != nil || path != "POST /v1.0/users/"+user+"/teamwork/sendActivityNotification" {
			t.Errorf("%d: %s: %v", status, path, err)
		}
	}
	const want = `{"topic":{"source":"text","value":"Your print jobs","webUrl":"https://teams.microsoft.com/l/entity/a/jobs"},` +
		`"activityType":"jobAborted","chainId":9007199254740991,"previewText":{"content":"Too many pages"},` +
		`"templateParameters":[{"name":"subject","value":"Not printed"}]}`
	if body != want {
		t.Errorf("%s\nwant %s", body, want)
	}
	for _, status = range []int{400, 403, 404, 409} {
		calls = 0
		err := c.SendActivity(t.Context(), user, a)
		if e, ok := errors.AsType[*Error](err); !ok || e.Status != status || calls != 1 || strings.Contains(err.Error(), user) {
			t.Errorf("%d: %v, %d calls", status, err, calls)
		}
	}
	if calls = 0; c.SendActivity(t.Context(), "../"+user, a) == nil || calls != 0 {
		t.Errorf("a path was asked for, %d calls", calls)
	}
	calls, lose, status = 0, 1, 204
	if err := c.SendActivity(t.Context(), user, a); err != nil || calls != 2 {
		t.Errorf("after a lost answer: %v, %d calls", err, calls)
	}
}

// The app of the catalog is found by its id and by that of its manifest; another that Graph answers with is not it.
func TestFindTeamsApp(t *testing.T) {
	const id, manifest = "b1c5353a-7aca-41b3-830f-27d5218fe0e5", "f31b1263-ba99-435a-a679-911d24850d7c"
	list, filter := "", ""
	o := &fakeServers{graph: func(_ int, r *http.Request) (*http.Response, error) {
		q, err := url.ParseQuery(r.URL.RawQuery)
		filter = q.Get("$filter")
		return answer(200, `{"value":[`+list+`]}`), err
	}}
	c, _ := o.client(t)
	found := `{"id":"` + strings.ToUpper(id) + `","externalId":"` + manifest + `"}`
	for _, x := range []struct {
		list, asked string
		ok          bool
	}{{found, id, true}, {found, manifest, true}, {"", id, false}, {`{"id":"0240a368-25e0-4569-8ebe-13601cb55a18"}`, id, false}} {
		list = x.list
		_, ok, err := c.FindTeamsApp(t.Context(), x.asked)
		if err != nil || ok != x.ok || filter != "id eq '"+x.asked+"' or externalId eq '"+x.asked+"'" {
			t.Errorf("%+v: %v, %v, %q", x, ok, err, filter)
		}
	}
	if _, _, err := c.FindTeamsApp(t.Context(), "' or '1' eq '1"); err == nil {
		t.Error("a filter was made of what is no id")
	}
}

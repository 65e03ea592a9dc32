package graph

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
)

// A look-up that finds nobody, more than one, or is of no use asks or answers
// nothing; the value is in no error.
func TestUserByEmployeeID(t *testing.T) {
	calls := 0
	body, status := `{"value":[]}`, 200
	o := &fakeServers{graph: func(int, *http.Request) (*http.Response, error) {
		calls++
		return answer(status, body), nil
	}}
	c, _ := o.client(t)
	for name, c2 := range map[string]struct {
		id, answer string
		calls      int
	}{
		"none":     {"42", `{"value":[]}`, 1},
		"two":      {"42", `{"value":[{"id":"a"},{"id":"b"}]}`, 1},
		"many":     {"42", `{"value":[{"id":"a"},{"id":"b"}],"@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=x"}`, 1},
		"bad id":   {"42", `{"value":[{"id":"../x"}]}`, 1},
		"empty":    {"", `{"value":[{"id":"a"}]}`, 0},
		"too long": {strings.Repeat("4", maxEmployeeID+1), `{"value":[{"id":"a"}]}`, 0},
	} {
		calls, body = 0, c2.answer
		if u, ok, err := c.UserByEmployeeID(t.Context(), c2.id); ok || err != nil || calls != c2.calls {
			t.Errorf("%s: %+v %t %v, %d calls", name, u, ok, err, calls)
		}
	}
	// Pages may be shorter than what was asked for.
	pages := []string{
		`{"value":[],"@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=a"}`,
		`{"value":[{"id":"a","userPrincipalName":"ada@contoso.com"}],"@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=b"}`,
		`{"value":[]}`,
	}
	o.graph = func(int, *http.Request) (*http.Response, error) {
		body, pages = pages[0], pages[1:]
		return answer(200, body), nil
	}
	if u, ok, err := c.UserByEmployeeID(t.Context(), strings.Repeat("ü", maxEmployeeID)); !ok || err != nil ||
		u.UserPrincipalName != "ada@contoso.com" {
		t.Errorf("pages: %+v %t %v", u, ok, err)
	}
	pages = []string{
		`{"value":[{"id":"a"}],"@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=a"}`,
		`{"value":[{"id":"b"}]}`,
	}
	if u, ok, err := c.UserByEmployeeID(t.Context(), "42"); ok || err != nil {
		t.Errorf("two, a page each: %+v %t %v", u, ok, err)
	}
	o.graph = func(int, *http.Request) (*http.Response, error) { return answer(status, body), nil }
	status, body = 403, `{"error":{"code":"Authorization_RequestDenied","message":"PLANTED"}}`
	if _, ok, err := c.UserByEmployeeID(t.Context(), "PLANTED"); ok || err == nil || strings.Contains(err.Error(), "PLANTED") {
		t.Errorf("%t %v", ok, err)
	}
}

// A user is found by id or name; the name goes into the address escaped, and into
// no error.
func TestUser(t *testing.T) {
	const id = "D1D1D1D1-AAAA-4BBB-8CCC-123456789ABC"
	asked, body, status := "", `{"id":"`+id+`","userPrincipalName":"o'hara_gmail.com#EXT#@contoso.com"}`, 200
	o := &fakeServers{graph: func(_ int, r *http.Request) (*http.Response, error) {
		asked = r.URL.EscapedPath()
		return answer(status, body), nil
	}}
	c, _ := o.client(t)
	u, ok, err := c.User(t.Context(), "o'hara_gmail.com#EXT#@contoso.com")
	if err != nil || !ok || u.ID != strings.ToLower(id) || !strings.HasSuffix(asked, "/users/o%27hara_gmail.com%23EXT%23@contoso.com") {
		t.Errorf("%+v %t %v, asked %s", u, ok, err, asked)
	}
	for _, bad := range []string{
		"", "held", "a/b@contoso.com", "a@b@c", "a b@contoso.com", "@contoso.com", "a@", "a\x00@contoso.com", "../me",
	} {
		asked = ""
		if _, ok, err := c.User(t.Context(), bad); ok || err != nil || (asked != "" && bad != "held") {
			t.Errorf("%q: %t %v, asked %s", bad, ok, err, asked)
		}
		body = `{"id":"held"}`
	}
	status, body = 404, `{"error":{"code":"Request_ResourceNotFound","message":"PLANTED"}}`
	if _, ok, err := c.User(t.Context(), "gone@contoso.com"); ok || err != nil {
		t.Errorf("gone: %t %v", ok, err)
	}
	status = 403
	if _, ok, err := c.User(t.Context(), "planted@contoso.com"); ok || err == nil ||
		strings.Contains(strings.ToLower(err.Error()), "planted") {
		t.Errorf("%t %v", ok, err)
	}
}

// People are found by how one of their names begins, whatever is typed, and no more than are asked for;
// the text is in no error.
func TestPeopleNamed(t *testing.T) {
	sim := graphtest.New(graphtest.Calm())
	t.Cleanup(sim.Close)
	for i, name := range []string{"Ada Byron", "Adam O'Hara", "Grace Hopper"} {
		sim.AddUser(graphtest.User{
			ID: fmt.Sprintf("5b0c3a9e-0001-4c1d-8a2b-%012d", i), UPN: strings.ToLower(name[:3]) + "@contoso.com", DisplayName: name,
		})
	}
	sim.AddApp(graphtest.App{ClientID: testClient, Secret: testSecret})
	cfg := testConfig(t)
	cfg.TenantID = sim.Tenant()
	c, err := New(cfg, Options{Transport: sim.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{
		"ada": 2, "Adam O'Hara": 1, "grace": 1, "Hopper": 0, " ": 0, "') or startswith(displayName,'G": 0, strings.Repeat("a", 65): 0,
	} {
		if found, err := c.PeopleNamed(t.Context(), text, 10); err != nil || len(found) != want {
			t.Errorf("%q: %+v %v, want %d", text, found, err, want)
		}
	}
	if found, err := c.PeopleNamed(t.Context(), "a", 1); err != nil || len(found) != 1 {
		t.Errorf("one is asked for: %+v %v", found, err)
	}
	o := &fakeServers{graph: func(int, *http.Request) (*http.Response, error) {
		return answer(403, `{"error":{"code":"Authorization_RequestDenied","message":"PLANTED"}}`), nil
	}}
	c, _ = o.client(t)
	if _, err := c.PeopleNamed(t.Context(), "PLANTED", 10); err == nil || strings.Contains(err.Error(), "PLANTED") {
		t.Error(err)
	}
}

func TestCanonicalGUID(t *testing.T) {
	for in, want := range map[string]string{
		"D1D1D1D1-AAAA-4BBB-8CCC-123456789ABC": "d1d1d1d1-aaaa-4bbb-8ccc-123456789abc", "": "", "held": "",
		"d1d1d1d1-aaaa-4bbb-8ccc-123456789ab": "", "d1d1d1d1xaaaa-4bbb-8ccc-123456789abc": "", "d1d1d1d1-aaaa-4bbb-8ccc-123456789abg": "",
		"d1d1d1d-1aaaa-4bbb-8ccc-123456789abc": "",
	} {
		if got, ok := CanonicalGUID(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q %t", in, got, ok)
		}
	}
}

// Groups are asked for by 20, as many as a call may have; what was not asked for is not believed.
func TestMemberOf(t *testing.T) {
	sim := graphtest.New(graphtest.Calm())
	t.Cleanup(sim.Close)
	sim.AddApp(graphtest.App{ClientID: testClient, Secret: testSecret})
	var in, asked []string
	var groups []graphtest.Group
	for i := range 45 {
		id := fmt.Sprintf("5b0c3a9e-0000-4c1d-8a2b-%012d", i)
		asked = append(asked, id)
		if i%3 == 0 {
			in, groups = append(in, id), append(groups, graphtest.Group{ID: strings.ToUpper(id)})
		}
	}
	u := sim.AddUser(graphtest.User{Groups: groups})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(testSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{
		TenantID: sim.Tenant(), Auth: auth.Config{ClientID: testClient, ClientSecretFile: secret},
	}, Options{Transport: sim.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.MemberOf(t.Context(), u.ID, asked)
	if err != nil || !slices.Equal(found, in) || sim.Calls(graphtest.OpMemberGroups) != 3 {
		t.Errorf("%d groups with %d calls, %v", len(found), sim.Calls(graphtest.OpMemberGroups), err)
	}
	if _, err := c.MemberOf(t.Context(), u.ID, []string{"../x"}); err == nil {
		t.Error("an id that is none is asked for")
	}
}

package graphtest

import (
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func (o *office) credentials(change ...string) url.Values {
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {o.app.ClientID}, "client_secret": {o.app.Secret},
		"scope": {"https://graph.microsoft.com/.default"},
	}
	for i := 0; i < len(change); i += 2 {
		form.Set(change[i], change[i+1])
	}
	return form
}

func TestClientCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, Calm())
		a := o.token(o.sim.Tenant(), o.credentials())
		if a.status != 200 || a.body["expires_in"] != 3599.0 || a.body["token_type"] != "Bearer" ||
			strings.Count(a.body["access_token"].(string), ".") != 2 {
			t.Fatalf("token %v %v", a.status, a.body)
		}
		o.bearer = a.body["access_token"].(string)
		o.call(200, "GET", "/print/taskDefinitions", nil)
		time.Sleep(3599 * time.Second)
		if a := o.call(401, "GET", "/print/taskDefinitions", nil); a.code() != "InvalidAuthenticationToken" ||
			a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("expired: %v", a.body)
		}
		o.bearer = o.token(o.sim.Tenant(), o.credentials()).body["access_token"].(string)
		o.call(200, "GET", "/print/taskDefinitions", nil)
		o.sim.RevokeTokens()
		o.call(401, "GET", "/print/taskDefinitions", nil)
		o.bearer = ""
		o.call(401, "GET", "/print/taskDefinitions", nil)
	})
}

func TestAuthorityErrors(t *testing.T) {
	o := newOffice(t, Calm())
	expired := o.sim.AddApp(App{ClientID: "old", Secret: "old", SecretExpired: true})
	for _, c := range []struct {
		name, tenant string
		form         url.Values
		status       int
		kind, code   string
	}{
		{"tenant", "11111111-2222-4333-8444-555555555555", o.credentials(), 400, "invalid_request", "AADSTS90002"},
		{"client", o.sim.Tenant(), o.credentials("client_id", "nobody"), 400, "unauthorized_client", "AADSTS700016"},
		{"secret", o.sim.Tenant(), o.credentials("client_secret", "guess"), 401, "invalid_client", "AADSTS7000215"},
		{"no secret", o.sim.Tenant(), o.credentials("client_secret", ""), 401, "invalid_client", "AADSTS7000218"},
		{"old secret", o.sim.Tenant(), o.credentials("client_id", expired.ClientID, "client_secret",
			"old"), 401, "invalid_client", "AADSTS7000222"},
		{"scope", o.sim.Tenant(), o.credentials("scope", "Printer.Read.All"), 400, "invalid_scope", "AADSTS1002012"},
		{"resource", o.sim.Tenant(), o.credentials("scope", "https://example.com/.default"), 400, "invalid_resource", "AADSTS500011"},
		{"grant", o.sim.Tenant(), o.credentials("grant_type", "password"), 400, "unsupported_grant_type", "AADSTS70003"},
	} {
		a := o.token(c.tenant, c.form)
		text, _ := a.body["error_description"].(string)
		if a.status != c.status || a.body["error"] != c.kind || !strings.HasPrefix(text, c.code+": ") || a.body["trace_id"] == "" {
			t.Errorf("%s: %d %v", c.name, a.status, a.body)
		}
		if strings.Contains(text, o.app.Secret) {
			t.Errorf("%s: the answer shows the secret", c.name)
		}
	}
}

func TestDeviceCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, Calm())
		begin := func() (poll url.Values, user string) {
			res, err := o.http.PostForm("https://login.microsoftonline.com/"+o.sim.Tenant()+"/oauth2/v2.0/devicecode",
				url.Values{"client_id": {o.app.ClientID}, "scope": {"Printer.ReadWrite.All offline_access"}})
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			codes := o.sim.DeviceCodes()
			user = codes[len(codes)-1]
			o.sim.tokens.mu.Lock()
			defer o.sim.tokens.mu.Unlock()
			for code, d := range o.sim.tokens.devices {
				if d.userCode == user {
					return url.Values{
						"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {o.app.ClientID},
						"device_code": {code},
					}, user
				}
			}
			t.Fatal("no device code")
			return nil, ""
		}
		want := func(poll url.Values, kind string) map[string]any {
			t.Helper()
			a := o.token(o.sim.Tenant(), poll)
			if got, _ := a.body["error"].(string); got != kind || (a.status == 200) != (kind == "") {
				t.Fatalf("got %d %q, want %q", a.status, got, kind)
			}
			return a.body
		}
		poll, code := begin()
		want(poll, "authorization_pending")
		if o.sim.ApproveDevice("WRONGCODE", o.admin.ID) == nil || o.sim.ApproveDevice(code, "nobody") == nil {
			t.Error("approved nonsense")
		}
		if err := o.sim.ApproveDevice(strings.ToLower(code), o.admin.ID); err != nil {
			t.Fatal(err)
		}
		got := want(poll, "")
		want(poll, "invalid_grant") // a code works once
		o.bearer = got["access_token"].(string)
		o.call(200, "GET", "/print/printers/"+o.queue.ID+"/taskTriggers", nil)
		again := want(url.Values{
			"grant_type": {"refresh_token"}, "client_id": {o.app.ClientID}, "refresh_token": {got["refresh_token"].(string)},
		}, "")
		o.bearer = again["access_token"].(string)
		o.call(200, "GET", "/print/printers/"+o.queue.ID+"/taskTriggers", nil)

		poll, code = begin()
		if err := o.sim.DeclineDevice(code); err != nil {
			t.Fatal(err)
		}
		want(poll, "authorization_declined")

		poll, code = begin()
		time.Sleep(deviceCodeLife)
		want(poll, "expired_token")
		if o.sim.ApproveDevice(code, o.admin.ID) == nil || len(o.sim.DeviceCodes()) != 0 {
			t.Error("an expired code can be approved")
		}
		want(url.Values{"grant_type": poll["grant_type"], "client_id": {o.app.ClientID}, "device_code": {"x"}}, "bad_verification_code")
	})
}

func TestRoles(t *testing.T) {
	o := newOffice(t, Calm())
	poor := o.sim.AddApp(App{Roles: []string{"PrintJob.ReadBasic.All"}})
	id := o.submit(JobSpec{})
	o.bearer = o.sim.AppToken(poor.ClientID)
	o.call(200, "GET", jobPath(id), nil)
	o.call(403, "POST", jobPath(id)+"/abort", nil)
	o.call(403, "POST", jobPath(id)+"/redirect", map[string]string{"destinationPrinterId": o.device.ID})
	o.call(403, "GET", "/print/taskDefinitions", nil)
	if e := o.job(id).Effects; e != (Effects{}) {
		t.Errorf("a call without the right reached the job: %+v", e)
	}
}

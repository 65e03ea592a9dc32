package admin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/delegation"
	"pullprint/policy/badge"
	"pullprint/policy/quota"
)

// newServed serves an API and returns a client with a token.
func newServed(t *testing.T, d Deps, who string) *apiclient.Client {
	t.Helper()
	d.Logger, d.Tokens = zap.NewNop(), newTokens(t)
	srv := httptest.NewServer(NewAPI(d))
	t.Cleanup(srv.Close)
	return apiclient.New(srv.URL, testTokens[who])
}

// newBadges is a registry over a store.
func newBadges(t *testing.T) *badge.Registry {
	t.Helper()
	keys, err := badge.ParseKeys([]byte(strings.Repeat("a1", 32)))
	if err != nil {
		t.Fatal(err)
	}
	return badge.NewRegistry(bustest.Open(t).Badges(), keys, nil)
}

// says fails unless err is a problem that says so.
func says(t *testing.T, what string, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want %q", what, err, text)
	}
}

// What the client sends about badges is what the API does.
func TestBadgesByClient(t *testing.T) {
	ctx := t.Context()
	c := newServed(t, Deps{Badges: newBadges(t), Audit: acceptingAudit{}}, "operate")
	b, err := c.Enrol(ctx, "04A21BC399", badge.Enrolment{Owner: someone})
	if err != nil || b.Owner != someone || b.ID == "" {
		t.Fatalf("%+v, %v", b, err)
	}
	_, err = c.Enrol(ctx, "04A21BC399", badge.Enrolment{Owner: another})
	says(t, "a badge of somebody else", err, "belongs to somebody else")
	if b, err = c.Enrol(ctx, "04A21BC399", badge.Enrolment{Owner: another, Replace: true}); err != nil || b.Owner != another {
		t.Errorf("replaced: %+v, %v", b, err)
	}
	_, err = c.Enrol(ctx, "04A21BC399", badge.Enrolment{Owner: "nobody"})
	says(t, "an owner that is nobody", err, "object ID")
	code, err := c.Code(ctx, apiclient.CodeBody{Owner: someone, ValidFor: "1h"})
	if err != nil || !badge.IsCode(code.Code) || time.Until(code.Expires) < 59*time.Minute {
		t.Errorf("%+v, %v", code, err)
	}
	_, err = c.Code(ctx, apiclient.CodeBody{Owner: someone, ValidFor: "-1h"})
	says(t, "a code that has expired", err, "valid")
	for _, w := range []struct {
		which badge.Which
		want  string
	}{
		{badge.Which{ID: "none"}, "under this id"},
		{badge.Which{Owner: someone}, "This person has none"},
		{badge.Which{KeyID: "none"}, "under this key"},
		{badge.Which{Number: "04FFFFFF"}, "Nobody has enrolled it"},
		{badge.Which{}, "exactly one"},
		{badge.Which{ID: b.ID, KeyID: "none"}, "exactly one"},
		{badge.Which{ID: b.ID, Owner: someone}, "none of this id"},
	} {
		_, err := c.Revoke(ctx, w.which, "")
		says(t, "revoke", err, w.want)
	}
	theirs := badge.Which{ID: b.ID, Owner: strings.ToUpper(another)}
	if list, err := c.Revoke(ctx, theirs, ""); err != nil || len(list) != 1 || list[0].ID != b.ID {
		t.Errorf("revoked: %+v, %v", list, err)
	}
	file := "badge;owner\n04A21BC400;" + someone + "\n04A21BC401;nobody at all\n"
	_, err = c.Import(ctx, strings.NewReader(file), false, false)
	says(t, "a file with a wrong row", err, "line 3")
	if list, err := c.Badges(ctx, someone); err != nil || len(list) != 0 {
		t.Errorf("after a file that was refused: %v, %v", list, err)
	}
	got, err := c.ImportValid(ctx, strings.NewReader(file), false, false)
	if err != nil || got.Enrolled != 1 || got.Skipped != 1 || len(got.Left) != 1 || got.Left[0].Line != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

// What the client sends about delegations is what the API does.
func TestDelegationsByClient(t *testing.T) {
	ctx := t.Context()
	d := Deps{Delegations: delegation.New(bustest.Open(t).State()), Audit: acceptingAudit{}}
	c := newServed(t, d, "operate")
	until := time.Now().Add(time.Hour)
	made, err := c.Delegate(ctx, someone, another, until)
	if err != nil || made.Owner != someone || made.To != another || made.By != "helpdesk" || !made.Expires.Equal(until) {
		t.Fatalf("%+v, %v", made, err)
	}
	for _, f := range []apiclient.DelegationFilter{{}, {Owner: strings.ToUpper(someone)}, {To: another}, {Owner: someone, To: another}} {
		if list, err := c.Delegations(ctx, f); err != nil || len(list) != 1 {
			t.Errorf("%+v: %v, %v", f, list, err)
		}
	}
	for _, f := range []apiclient.DelegationFilter{{Owner: another}, {To: someone}, {Owner: another, To: someone}} {
		if list, err := c.Delegations(ctx, f); err != nil || len(list) != 0 {
			t.Errorf("%+v: %v, %v", f, list, err)
		}
	}
	_, err = c.Delegate(ctx, someone, "", until)
	says(t, "to nobody", err, "owner and to are needed")
	_, err = c.Delegate(ctx, someone, another, time.Now().Add(-time.Hour))
	says(t, "until a time that is over", err, "request is not valid")
	if err := c.Undelegate(ctx, someone, another); err != nil {
		t.Error(err)
	}
	says(t, "once more", c.Undelegate(ctx, someone, another), "no such delegation")
}

// noLedger panics when it is used.
type noLedger struct{ Ledger }

// What is wrong with a change of an account is said before anything is audited or changed.
func TestWrongChangesOfAccounts(t *testing.T) {
	a := NewAPI(Deps{Logger: zap.NewNop(), Tokens: newTokens(t), Audit: failingAudit{}, Ledger: noLedger{}})
	long := strings.Repeat("x", maxWhy+1)
	for _, c := range [][4]string{
		{"PUT", "nobody", `{"limit":1}`, "the account must be an Entra object ID"},
		{"PUT", "group.", `{"limit":1}`, "the account must be an Entra object ID"},
		{"PUT", someone, `{"why":"x"}`, "limit is needed"},
		{"PUT", someone, `{"limit":-1}`, "limit is negative"},
		{"PUT", someone, `{"limit":"ten"}`, "limit: "},
		{"PUT", someone, `{"limit":1e300}`, "limit: "},
		{"PUT", someone, `{"limit":1,"why":"a\nb"}`, "one line"},
		{"PUT", someone, `{"limit":1,"why":"` + long + `"}`, "at most 200 bytes"},
		{"POST", "center.kiosk", `{"why":"x"}`, "delta is needed"},
		{"POST", "center.kiosk", `{"delta":1}`, "why is needed"},
		{"POST", "center.kiosk", `{"delta":1,"why":"\u0007"}`, "one line"},
	} {
		path := "/v1/quotas/" + c[1]
		if c[0] == http.MethodPost {
			path += "/adjust"
		}
		req := httptest.NewRequest(c[0], path, strings.NewReader(c[2]))
		req.Header.Set("Authorization", "Bearer "+testTokens["admin"])
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, req)
		if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), c[3]) {
			t.Errorf("%v: %d %s", c, rec.Code, rec.Body)
		}
	}
}

// A backup that breaks off is an error at the client, never a shorter backup.
func TestBackupBreaksOff(t *testing.T) {
	var fails error
	backup := func(_ context.Context, w io.Writer) (time.Duration, error) {
		_, err := io.WriteString(w, strings.Repeat("b", 1<<20))
		return 0, errors.Join(err, fails)
	}
	c := newServed(t, Deps{Backup: backup, Audit: acceptingAudit{}}, "admin")
	var out strings.Builder
	if err := c.Backup(t.Context(), &out); err != nil || out.Len() != 1<<20 {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
	fails = errors.New("the disk can't be read")
	says(t, "a backup that breaks off", c.Backup(t.Context(), &out), "read the backup from the daemon")
	reader := newServed(t, Deps{Backup: backup, Audit: acceptingAudit{}}, "read")
	says(t, "with a token that may not", reader.Backup(t.Context(), &out), "It needs the role admin")
}

// brokenFile can't be read.
type brokenFile struct{}

func (brokenFile) Read([]byte) (int, error) { return 0, errors.New("the file can't be read") }

// What is not the API's fault is not said to be: a server that is not there, one that is
// another, a file that can't be read.
func TestClientErrors(t *testing.T) {
	ctx := t.Context()
	c := newServed(t, Deps{Badges: newBadges(t), Audit: acceptingAudit{}}, "operate")
	_, err := c.Import(ctx, brokenFile{}, false, false)
	says(t, "a file that can't be read", err, "the file can't be read")
	if strings.Contains(err.Error(), "daemon") {
		t.Errorf("the daemon has the blame: %v", err)
	}
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/v1/dead" {
			http.Error(rw, "no such page", http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(rw, "<html>")
	}))
	_, err = apiclient.New(other.URL, "token").Quota(ctx, quota.Account{Kind: quota.User, Name: someone}.Key())
	says(t, "a page", err, "is the address right?")
	_, err = apiclient.New(other.URL, "token").Dead(ctx, "1h")
	says(t, "no such page", err, "is the address right?")
	other.Close()
	_, err = apiclient.New(other.URL, "token").Dead(ctx, "1h")
	says(t, "nobody there", err, "is it running, and is admin.listen that address?")
	gone, cancel := context.WithCancelCause(ctx)
	cancel(errors.New("interrupted"))
	_, err = apiclient.New(other.URL, "token").Dead(gone, "1h")
	says(t, "interrupted", err, "interrupted")
}

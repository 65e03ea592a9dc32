package connector_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/directory"
	"pullprint/connector/job"
	"pullprint/connector/privacy"
	"pullprint/connector/store"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/racetest"
)

// What others have of a person is replaced wherever it stands: also who gave and took away a
// badge, and the words that an account keeps for the history, which has them already.
func TestEraseWhoAdministered(t *testing.T) {
	b := bustest.Open(t)
	keep(t, b.Badges(), "b.k.1111111111111111", `{"id":"1","owner":"`+leaverID+`","user_principal_name":"`+leaverName+`"}`)
	const other = `{"id":"2","owner":"` + stayerID + `","by":"%s","revoked_by":"%s"}`
	keep(t, b.Badges(), "b.k.2222222222222222", fmt.Sprintf(other, strings.ToUpper(leaverName), leaverID))
	ledger := ledger.New(b.Quota(), b, rand.Text)
	lab := quota.Account{Kind: quota.Center, Name: "lab"}
	note := quota.Note{By: leaverName, Why: "a jam of " + leaverName + ", not of x" + leaverName, At: time.Now()}
	if err := ledger.Adjust(t.Context(), lab, quota.Unit, note); err != nil {
		t.Fatal(err)
	}
	done, err := peopleOf(b).Erase(t.Context(), leaverID, privacy.Erasure{})
	if err != nil || done.Removed != 1 || done.Rewritten != 3 { // a badge; another's, the account and its history
		t.Errorf("%+v %v", done, err)
	}
	got, _, err := b.Badges().Get(t.Context(), "b.k.2222222222222222")
	if want := fmt.Sprintf(other, quota.Erased, quota.Erased); err != nil || string(got) != want {
		t.Errorf("%s %v, want %s", got, err, want)
	}
	for key, value := range picture(t, b) {
		if strings.Contains(strings.ReplaceAll(value, "x"+leaverName, ""), leaverName) {
			t.Errorf("%s: %s", key, value)
		}
	}
	if out, err := peopleOf(b).Export(t.Context(), leaverID); err != nil || !out.None() {
		t.Errorf("%+v %v", out, err)
	}
}

// unheardTenant is a directory that fails.
type unheardTenant struct{ err error }

func (d unheardTenant) User(context.Context, string) (graph.User, bool, error) {
	return graph.User{}, false, d.err
}

// While Entra can't be asked for the name of a person nobody is erased: what has the name alone
// would be left, and without the badges nothing tells later whose it is. An Entra that refuses
// to tell refuses it always: then the names on badges are taken.
func TestEraseWithoutEntra(t *testing.T) {
	racetest.Skip(t, "one person after the other")
	for name, c := range map[string]struct {
		err  error
		done bool
	}{
		"no answer":  {errors.New("connection refused"), false},
		"fails":      {&graph.Error{Status: http.StatusBadGateway}, false},
		"throttled":  {&graph.Error{Status: http.StatusTooManyRequests}, false},
		"no token":   {&graph.Error{Status: http.StatusUnauthorized}, false},
		"secret":     {&graph.Error{Err: &auth.Error{Status: http.StatusUnauthorized, Code: "AADSTS7000222"}}, false},
		"garbled":    {&graph.Error{Status: http.StatusOK}, false},
		"no consent": {&graph.Error{Status: http.StatusForbidden}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := bustest.Open(t)
			keep(t, b.Badges(), "b.k.1111111111111111", `{"id":"1","owner":"`+leaverID+`","user_principal_name":"`+leaverName+`"}`)
			if err := b.PublishAudit(t.Context(), "enrol", "a", []byte(`{"note":"of `+leaverName+`"}`)); err != nil {
				t.Fatal(err)
			}
			before := fmt.Sprint(picture(t, b))
			p := peopleOf(b)
			p.Users = unheardTenant{c.err}
			out, exported := p.Export(t.Context(), leaverID)
			done, err := p.Erase(t.Context(), leaverID, privacy.Erasure{})
			after := fmt.Sprint(picture(t, b))
			switch {
			case c.done && (err != nil || done.Removed != 1 || done.Rewritten != 1 || strings.Contains(after, leaverName) ||
				exported != nil || len(out.Audit) != 1):
				t.Errorf("%+v %v: %s; %+v, %v", done, err, after, out, exported)
			case !c.done && (!errors.Is(err, directory.ErrDirectory) || !errors.Is(exported, directory.ErrDirectory) || after != before):
				t.Errorf("%+v %v: %s; %+v, %v", done, err, after, out, exported)
			}
		})
	}
}

// Several who erase a person at once all succeed, and what is somebody else's is there once.
func TestEraseAtOnce(t *testing.T) {
	b := bustest.Open(t)
	for i := range 200 {
		owner := []string{leaverID, stayerID}[i%2]
		body := fmt.Appendf(nil, `{"id":"d%d","owner":"%s","actor":"%s"}`, i, owner, leaverID)
		if err := b.PublishDecision(t.Context(), "redirect", fmt.Sprint("d", i), body); err != nil {
			t.Fatal(err)
		}
		job := job.Key(leaverID, graph.Ref{Printer: "p", Job: fmt.Sprint(i)})
		keep(t, b.Jobs(), job, `{"printer":"p","job":"`+fmt.Sprint(i)+`","owner":"`+leaverID+`","state":"released"}`)
	}
	var all errgroup.Group
	for range 3 {
		all.Go(func() error {
			p := peopleOf(b)
			p.Offline = false
			_, err := p.Erase(t.Context(), leaverID, privacy.Erasure{})
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	n := 0
	err := b.Scan(t.Context(), store.Decisions, func(r store.Record) error {
		if n++; strings.Contains(string(r.Body), leaverID) {
			t.Errorf("%s", r.Body)
		}
		return nil
	})
	if err != nil || n != 100 {
		t.Errorf("%d decisions, %v", n, err)
	}
}

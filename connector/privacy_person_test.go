package connector_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/stored"
	"pullprint/connector/job"
	"pullprint/connector/privacy"
	"pullprint/connector/store"
	"pullprint/trigger/graph"
	"pullprint/trigger/racetest"
)

// thirdID has two badges of different names.
const thirdID = "77777777-2222-4333-8444-555555555555"

// tenant are the users of a directory: object ids by user name.
type tenant map[string]string

func (d tenant) User(_ context.Context, user string) (graph.User, bool, error) {
	for name, id := range d {
		if strings.EqualFold(user, name) || user == id {
			return graph.User{ID: id, UserPrincipalName: name}, true, nil
		}
	}
	return graph.User{}, false, nil
}

// picture is everything that is stored, by key and sequence.
func picture(t *testing.T, b *bus.Bus) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, kv := range map[string]*stored.KV{"jobs": b.Jobs(), "badges": b.Badges(), "quota": b.Quota(), "state": b.State()} {
		err := kv.Each(t.Context(), ">", func(key string, value []byte, rev uint64) error {
			if key != "format" {
				all[fmt.Sprint(name, " ", key, " ", rev)] = string(value)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []store.Kind{store.Decisions, store.Audit, store.Ledger, store.Dead} {
		err := b.Scan(t.Context(), kind, func(r store.Record) error {
			all[fmt.Sprint(kind, " ", r.Sequence)] = string(r.Body)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func keep(t *testing.T, kv *stored.KV, key, value string) {
	t.Helper()
	if _, ok, err := kv.CompareAndSet(t.Context(), key, []byte(value), 0, 0); !ok || err != nil {
		t.Fatal(key, ok, err)
	}
}

// A word that stands somewhere in what is stored, or the id of something else, is
// nobody: nothing is changed, and nothing is exported.
func TestEraseUnknownPerson(t *testing.T) {
	b := bustest.Open(t)
	plant(t, b, time.Now())
	keep(t, b.State(), "trigger.definition", `{"id":"`+westID+`","name":"pullprint","app":"`+appID+`"}`)
	job := job.Record{
		Ref: graph.Ref{Printer: pullID, Job: "77"}, Owner: stayerID, Queue: "Follow-Me", State: job.Held,
		Trail: []job.Step{{State: job.Held, Note: "came to " + pullID}},
	}
	value, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, b.Jobs(), job.Key(), string(value))
	keep(t, b.Badges(), "b.k.3333333333333333", `{"owner":"`+leaverID+`","user_principal_name":"held"}`)
	before := picture(t, b)
	p := peopleOf(b)
	for _, user := range []string{
		"", "held", "owner", "pullprint", "1", "d1", "redirect", ".*", "@", "Follow-Me", "a b@contoso.com",
		"nobody@contoso.com", leaverID[:35],
		pullID, strings.ToUpper(westID), appID,
	} {
		if done, err := p.Erase(t.Context(), user, privacy.Erasure{ForgetBudget: true}); !errors.Is(err, privacy.ErrUnknownPerson) {
			t.Errorf("erase %q: %+v %v", user, done, err)
		}
		if out, err := p.Export(t.Context(), user); !errors.Is(err, privacy.ErrUnknownPerson) {
			t.Errorf("export %q: %+v %v", user, out, err)
		}
	}
	for key, was := range picture(t, b) {
		if before[key] != was {
			t.Errorf("%s is %s", key, was)
		}
	}
}

// Who has a name is for Entra to say: a badge with the name of somebody else on it
// gives nobody away. When the account has been deleted, the badges tell.
func TestEraseByName(t *testing.T) {
	racetest.Skip(t, "one name after the other")
	for name, c := range map[string]struct {
		users tenant
		badge string // the name on the badge of who stays
		user  string
		want  string // whom it is; empty: nobody
	}{
		"of the directory":            {tenant{leaverName: leaverID}, "x@contoso.com", strings.ToUpper(leaverName), leaverID},
		"on the badge of another":     {tenant{leaverName: leaverID}, leaverName, leaverName, leaverID},
		"planted":                     {tenant{"s@contoso.com": stayerID}, "boss@contoso.com", "boss@contoso.com", ""},
		"of an account that is gone":  {tenant{"s@contoso.com": stayerID}, "x@contoso.com", leaverName, leaverID},
		"of two badges":               {tenant{}, leaverName, leaverName, ""},
		"of two badges, offline":      {nil, leaverName, leaverName, ""},
		"of one badge, offline":       {nil, "x@contoso.com", leaverName, leaverID},
		"beside another, offline":     {nil, "x@contoso.com", "visitor@contoso.com", ""},
		"of no badge, offline":        {nil, "x@contoso.com", "other@contoso.com", ""},
		"that nobody knows":           {tenant{}, "x@contoso.com", "other@contoso.com", ""},
		"of a badge with no owner id": {tenant{}, "x@contoso.com", "word@contoso.com", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := bustest.Open(t)
			keep(t, b.Badges(), "b.k.1111111111111111", `{"owner":"`+leaverID+`","user_principal_name":"`+leaverName+`"}`)
			keep(t, b.Badges(), "b.k.2222222222222222", `{"owner":"`+stayerID+`","user_principal_name":"`+c.badge+`"}`)
			keep(t, b.Badges(), "b.k.3333333333333333", `{"owner":"jdoe","user_principal_name":"word@contoso.com"}`)
			keep(t, b.Badges(), "b.k.4444444444444444", `{"owner":"`+thirdID+`","user_principal_name":"third@contoso.com"}`)
			keep(t, b.Badges(), "b.k.5555555555555555", `{"owner":"`+thirdID+`","user_principal_name":"visitor@contoso.com"}`)
			p := peopleOf(b)
			if c.users != nil {
				p.Users = c.users
			}
			done, err := p.Erase(t.Context(), c.user, privacy.Erasure{})
			if (c.want == "") != errors.Is(err, privacy.ErrUnknownPerson) || done.Owner != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%+v %v", done, err)
			}
			var left []string
			for key := range picture(t, b) {
				left = append(left, key)
			}
			if strings.HasPrefix(name, "beside") && (err == nil || !strings.Contains(err.Error(), thirdID)) {
				t.Errorf("the object id is not named: %v", err)
			}
			if want := 5 - min(1, len(c.want)); len(left) != want {
				t.Errorf("left: %v, want %d", left, want)
			}
		})
	}
}

// What an earlier version stored with ids in capitals is found, and an open job is in
// the way in any case of its letters.
func TestEraseAnyCase(t *testing.T) {
	upper := strings.ToUpper(leaverID)
	b := bustest.Open(t)
	keep(t, b.Badges(), "b.k.1111111111111111", `{"owner":"`+upper+`","user_principal_name":"`+leaverName+`"}`)
	keep(t, b.State(), "delegation."+upper+"."+stayerID, `{"owner":"`+stayerID+`","to":"`+upper+`"}`)
	open := job.Record{Ref: graph.Ref{Printer: "p", Job: "1"}, Owner: leaverID, State: job.Held}
	store := job.NewStore(b.Jobs(), job.DefaultRetention)
	rev, _, err := store.Put(t.Context(), &open, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := peopleOf(b)
	if done, err := p.Erase(t.Context(), upper, privacy.Erasure{}); !errors.Is(err, privacy.ErrUnfinished) {
		t.Errorf("with an open job: %+v %v", done, err)
	}
	open.State = job.Released
	if _, _, err := store.Put(t.Context(), &open, rev); err != nil {
		t.Fatal(err)
	}
	if done, err := p.Erase(t.Context(), upper, privacy.Erasure{}); err != nil || done.Removed != 3 || done.Owner != leaverID {
		t.Errorf("%+v %v", done, err)
	}
	if left := picture(t, b); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// In a record of somebody else only the person is replaced: what this version does
// not know of it, how it is written, and other words stay byte for byte.
func TestEraseKeepsOthers(t *testing.T) {
	b := bustest.Open(t)
	const job = `{ "printer":"p","job":"1", "owner":"%[1]s","state":"released",` +
		`"new":{"owner":"%[2]s","n":1.50e3},"decision":{"id":"1","actor":"%[2]s",` +
		`"text":"asked by %[3]s, not by jo%[3]s, x.%[3]s, o'%[3]s or %[3]s.au or %[1]s \u003c1\u003e",` +
		`"input":{"mode":"pull"}},"trail":[{"by":"p","note":"%[2]s"}]}`
	filled := func(id, name string) string { return fmt.Sprintf(job, stayerID, id, name) }
	keep(t, b.Badges(), "b.k.1111111111111111", `{"owner":"`+leaverID+`","user_principal_name":"`+leaverName+`"}`)
	keep(t, b.Jobs(), stayerID+".p.1", filled(leaverID, leaverName))
	if done, err := peopleOf(b).Erase(t.Context(), leaverID, privacy.Erasure{}); err != nil || done.Rewritten != 1 {
		t.Fatalf("%+v %v", done, err)
	}
	got, _, err := b.Jobs().Get(t.Context(), stayerID+".p.1")
	want := filled(leaverID, leaverName)
	want = strings.Replace(want, `"actor":"`+leaverID, `"actor":"erased`, 1)
	want = strings.Replace(want, `"note":"`+leaverID, `"note":"erased`, 1)
	want = strings.Replace(want, "asked by "+leaverName+",", "asked by erased,", 1)
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s, want\n%s", err, got, want)
	}
}

// busy is a bucket in which every change meets a conflict, so many times.
type busy struct {
	privacy.KV
	conflicts int
}

func (k *busy) Delete(ctx context.Context, key string, rev uint64) (bool, error) {
	if k.conflicts--; k.conflicts >= 0 {
		return false, nil
	}
	return k.KV.Delete(ctx, key, rev)
}

// A conflict is tried again; what is changed all the while is told, and left alone.
func TestEraseConflict(t *testing.T) {
	b := bustest.Open(t)
	keep(t, b.Badges(), "b.k.1111111111111111", `{"owner":"`+leaverID+`"}`)
	p := peopleOf(b)
	p.Badges = &busy{b.Badges(), 1000}
	done, err := p.Erase(t.Context(), leaverID, privacy.Erasure{})
	if !errors.Is(err, privacy.ErrLeft) || done.Removed != 0 || !strings.Contains(err.Error(), "1 record of the bucket for badges") {
		t.Errorf("always busy: %+v %v", done, err)
	}
	p.Badges = &busy{b.Badges(), 3}
	if done, err := p.Erase(t.Context(), leaverID, privacy.Erasure{}); err != nil || done.Removed != 1 {
		t.Errorf("three conflicts: %+v %v", done, err)
	}
}

// An export tells of nobody else: not whose job it was, not who shares an account.
func TestExportOfOneAlone(t *testing.T) {
	b := bustest.Open(t)
	plant(t, b, time.Now())
	keep(t, b.Quota(), "center.lab2", `{"seq":2,"reservations":{"p/1":{"job":"p/1","owner":"`+stayerID+`"},"p/2":{"job":"p/2","owner":"`+
		leaverID+`","amount":1}},"refunded":[{"owner":"`+stayerID+`"}]}`)
	if err := b.PublishAudit(t.Context(), "delegate", "d",
		[]byte(`{"action":"delegate","owner":"`+stayerID+`","to":"`+leaverID+`"}`)); err != nil {
		t.Fatal(err)
	}
	out, err := peopleOf(b).Export(t.Context(), leaverID)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte(stayerID)) || !bytes.Contains(text, []byte(`"p/2"`)) || bytes.Contains(text, []byte(`"p/1"`)) {
		t.Errorf("%s", text)
	}
	if n := len(out.Accounts); n != 2 {
		t.Errorf("%d accounts: %s", n, out.Accounts)
	}
}

// An export ends where it would get larger than it may, and is written as encoding/json does.
func TestExportUpTo(t *testing.T) {
	b := bustest.Open(t)
	plant(t, b, time.Now())
	whole, err := peopleOf(b).Export(t.Context(), leaverID)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, list := range [][]json.RawMessage{
		whole.Jobs, whole.Badges, whole.Accounts, whole.Delegations, whole.Decisions, whole.Ledger, whole.Audit, whole.Dead, whole.Notices,
	} {
		for _, record := range list {
			size += len(record)
		}
	}
	if out, err := peopleOf(b).ExportUpTo(t.Context(), leaverID, size); err != nil || len(out.Dead) != len(whole.Dead) {
		t.Errorf("up to %d bytes: %+v, %v", size, out, err)
	}
	for _, most := range []int{size - 1, 1} {
		if _, err := peopleOf(b).ExportUpTo(t.Context(), leaverID, most); !errors.Is(err, privacy.ErrTooLarge) {
			t.Errorf("up to %d of %d bytes: %v", most, size, err)
		}
	}
	var written bytes.Buffer
	if err := whole.Write(&written); err != nil {
		t.Fatal(err)
	}
	var got, want map[string]any
	marshaled, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(json.Unmarshal(written.Bytes(), &got), json.Unmarshal(marshaled, &want)); err != nil {
		t.Fatal(err)
	}
	if whole.Notices == nil { // a list that is empty either way
		want["notices"] = []any{}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("written %s, want %s", &written, marshaled)
	}
}

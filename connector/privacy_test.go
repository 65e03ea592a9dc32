package connector_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/stored"
	"pullprint/connector/decision"
	"pullprint/connector/delegation"
	"pullprint/connector/job"
	"pullprint/connector/privacy"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
	"pullprint/trigger/graph"
)

const (
	leaverID   = "d1d1d1d1-aaaa-4bbb-8ccc-123456789abc"
	leaverName = "leaver@contoso.com"
	stayerID   = "e2e2e2e2-aaaa-4bbb-8ccc-123456789abc"
)

// plant puts a person everywhere, and somebody else beside them.
func plant(t *testing.T, b *bus.Bus, now time.Time) {
	t.Helper()
	put := func(kv *stored.KV, key string, v any) {
		t.Helper()
		value, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := kv.CompareAndSet(t.Context(), key, value, 0, 0); !ok || err != nil {
			t.Fatal(key, ok, err)
		}
	}
	record := func(owner, j, actor string, state job.State) job.Record {
		return job.Record{
			Ref: graph.Ref{Printer: "p", Job: j}, Owner: owner, State: state, Seen: now, Decision: decision.Decision{ID: j, Actor: actor},
		}
	}
	for i := range 3 {
		r := record(leaverID, fmt.Sprint("l", i), "", job.Released)
		put(b.Jobs(), r.Key(), r)
	}
	r := record(stayerID, "s0", leaverID, job.Released)
	put(b.Jobs(), r.Key(), r)
	r = record(stayerID, "s1", "", job.Held)
	put(b.Jobs(), r.Key(), r)
	put(b.Badges(), "b.k.1111111111111111", map[string]string{"owner": leaverID, "user_principal_name": leaverName})
	put(b.Badges(), "b.k.2222222222222222", map[string]string{"owner": stayerID, "user_principal_name": "stayer-" + leaverName})
	put(b.State(), "delegation."+leaverID+"."+stayerID, delegation.Delegation{Owner: stayerID, To: leaverID})
	put(b.State(), "delegation."+stayerID+"."+leaverID, delegation.Delegation{Owner: leaverID, To: stayerID})
	for i, d := range []decision.Decision{{Owner: stayerID}, {Owner: leaverID}, {Owner: stayerID, Actor: leaverID}, {Owner: stayerID}} {
		d.ID, d.Verdict = fmt.Sprint("d", i), "redirect"
		body, _ := json.Marshal(d)
		if err := b.PublishDecision(t.Context(), d.Verdict, d.ID, body); err != nil {
			t.Fatal(err)
		}
	}
	for i, text := range []string{
		`{"action":"enrol","owner":"` + leaverID + `","note":"` + strings.ToUpper(leaverName) + ` has a new card"}`, `{"action":"usage"}`,
	} {
		if err := b.PublishAudit(t.Context(), "enrol", fmt.Sprint("a", i), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.PublishDead(t.Context(), "1", []byte(`{"error":"of `+leaverID+`"}`)); err != nil {
		t.Fatal(err)
	}
	ledger := ledger.New(b.Quota(), b, rand.Text)
	for i, who := range []string{leaverID, stayerID} {
		own, lab := quotatest.Weekly(who, 50), quotatest.Weekly("center.lab", 50)
		c := quotatest.Charge("p/"+who[:2], "try", 9, own, lab)
		c.Owner, c.Now = who, now
		if err := ledger.Reserve(t.Context(), c); err != nil {
			t.Fatal(i, err)
		}
		if _, err := ledger.Settle(t.Context(), c.Job, []quota.Account{own.Account, lab.Account}, now); err != nil {
			t.Fatal(i, err)
		}
	}
}

func peopleOf(b *bus.Bus) *privacy.People {
	return &privacy.People{
		Records: b, Jobs: b.Jobs(), Badges: b.Badges(), Quota: b.Quota(), State: b.State(),
		Ledger: ledger.New(b.Quota(), b, rand.Text), JobRetention: job.DefaultRetention, Offline: true,
	}
}

// found are the files below a folder that have a text in them, in any case.
func found(t *testing.T, dir string, words ...string) (in []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // the test's own folder
		for _, w := range words {
			if bytes.Contains(bytes.ToLower(text), []byte(w)) {
				in = append(in, path+": "+w)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// A person who was everywhere is nowhere after they were erased, not in a byte of
// the store's files; everybody else is as before.
func TestErase(t *testing.T) {
	dir := filepath.Join(bustest.TempDir(t), "nats")
	cfg := bus.Config{Embedded: &bus.Embedded{StoreDir: dir, MaxStore: 256 << 20}}
	open := func() *bus.Bus {
		t.Helper()
		b, err := bus.Open(t.Context(), cfg, bus.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := open()
	defer func() { _ = b.Close() }()
	plant(t, b, time.Now())
	before, err := peopleOf(b).Export(t.Context(), leaverName)
	if err != nil {
		t.Fatal(err)
	}
	counts := func(p privacy.Person) string {
		return fmt.Sprint(len(p.Jobs), len(p.Badges), len(p.Accounts), len(p.Delegations), len(p.Decisions), len(p.Ledger), len(p.Audit),
			len(p.Dead))
	}
	if got := counts(before); before.User != leaverID || got != "4 1 1 2 2 4 1 1" {
		t.Errorf("%s: %s", before.User, got)
	}
	done, err := peopleOf(b).Erase(t.Context(), leaverName, privacy.Erasure{ForgetBudget: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", done)
	if _, err := peopleOf(b).Export(t.Context(), leaverName); !errors.Is(err, privacy.ErrUnknownPerson) {
		t.Errorf("still known by name: %v", err)
	}
	after, err := peopleOf(b).Export(t.Context(), leaverID)
	if err != nil || counts(after) != "0 0 0 0 0 0 0 0" {
		t.Errorf("still known: %s %v", counts(after), err)
	}
	if stayer, err := peopleOf(b).Export(t.Context(), stayerID); err != nil || counts(stayer) != "2 1 2 0 3 4 0 0" {
		t.Errorf("the other: %s %v", counts(stayer), err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open() // the holes are no loss
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := bus.Compact(t.Context(), cfg, bus.Options{}); err != nil {
		t.Fatal(err)
	}
	if in := found(t, filepath.Dir(dir), leaverID, `"`+leaverName, " "+leaverName); len(in) > 0 {
		t.Errorf("still in %v", in)
	}
	b = open()
	if in := found(t, dir, stayerID); len(in) == 0 {
		t.Error("the search finds nobody")
	}
}

// What was spent in this week stays spent, until the week is over; jobs that have
// not ended are in the way.
func TestEraseKeepsBudget(t *testing.T) {
	b := bustest.Open(t)
	now := time.Now()
	plant(t, b, now)
	ledger := ledger.New(b.Quota(), b, rand.Text)
	claim := quotatest.Weekly(leaverID, 50)
	if _, err := peopleOf(b).Erase(t.Context(), stayerID, privacy.Erasure{}); !errors.Is(err, privacy.ErrUnfinished) {
		t.Errorf("with a held job: %v", err)
	}
	c := quotatest.Charge("p/open", "try", 1, claim)
	c.Owner, c.Now = leaverID, now
	if err := ledger.Reserve(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := peopleOf(b).Erase(t.Context(), leaverID, privacy.Erasure{}); !errors.Is(err, privacy.ErrUnfinished) {
		t.Errorf("with an open reservation: %v", err)
	}
	if _, err := ledger.Void(t.Context(), "p/open", "try", []quota.Account{claim.Account}, now); err != nil {
		t.Fatal(err)
	}
	if _, err := peopleOf(b).Erase(t.Context(), leaverID, privacy.Erasure{}); err != nil {
		t.Fatal(err)
	}
	bal, err := ledger.Balances(t.Context(), []quota.Claim{claim}, now)
	if err != nil || bal[0].Spent != 9*quota.Unit {
		t.Errorf("%+v %v, want 9 spent", bal, err)
	}
	value, _, err := b.Quota().Get(t.Context(), leaverID)
	if err != nil || strings.Contains(string(value), "p/") || strings.Contains(string(value), "outbox") {
		t.Errorf("the account tells more than it has to: %s %v", value, err)
	}
}

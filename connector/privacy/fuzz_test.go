package privacy

import (
	"encoding/json"
	"strings"
	"testing"

	"pullprint/policy/quota"
	"pullprint/trigger/fuzztest"
)

// FuzzWithout: whatever a stored record is (of a job, an entry of the ledger, an account, a notice), a
// person who is taken out of it is not found in it any more, and what was JSON is JSON.
func FuzzWithout(f *testing.F) {
	who := newIdentity("66666666-7777-4888-8999-aaaaaaaaaaaa", "anna@contoso.com")
	types := []fields{
		jobFields, decisionFields, entryFields, accountFields, noticeFields, boxFields, badgeFields, delegationFields,
		actionFields, deadFields,
	}
	for i, record := range []string{
		`{"owner":"ID","charge":{"claims":[{"account":"ID"}]},"trail":[{"note":"for Anna@contoso.com, ID"}],"printer":"p"}`,
		`{"owner":"ID","text":"anna@contoso.com.","input":{"groups":["ID"],"balances":[{"key":"ID"}]}}`,
		`{"account":"ID","by":"\u0061nna@contoso.com","why":"ID-ID ID"}`,
		`{"reservations":{"p/1":{"owner":"ID"}},"outbox":[{"owner":"ID","account":"ID","why":"joanna@contoso.com"}]}`,
		`{"owner":"ID"}{"owner":"ID"}`, `["ID"`, `"ID"`, `ID`,
	} {
		f.Add(uint8(i), []byte(strings.ReplaceAll(record, "ID", who.id)))
	}
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, n uint8, raw []byte) {
		defer watch.Input(t)()
		of := types[int(n)%len(types)]
		out, _ := of.without(who, raw)
		if of.concerns(who, out) {
			t.Errorf("%q is still about the person", out)
		}
		if json.Valid(raw) != json.Valid(out) {
			t.Errorf("%q became %q", raw, out)
		}
		if again, changed := of.without(who, out); changed && string(again) != string(out) {
			t.Errorf("%q, and a second time %q", out, again)
		}
		for _, told := range of.addAbout(nil, who, raw) {
			if len(told) > len(raw)+len(quota.Erased)*len(raw) {
				t.Errorf("%d bytes of %d", len(told), len(raw))
			}
		}
		_ = part(raw, "owner", "decision")
	})
}

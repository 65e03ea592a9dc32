package admin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/delegation"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/connector/tap"
	"pullprint/trigger/fuzztest"
)

// FuzzTapBody: whatever the body of a tap over NATS is, it is answered with a problem that quotes
// nothing of it, and no token but the reader's own is let in.
func FuzzTapBody(f *testing.F) {
	a := NewAPI(Deps{
		Logger: zap.NewNop(), Tokens: newTokens(f),
		Taps: tap.New(release.New(release.Options{Delegations: delegation.New(nil), Logger: zap.NewNop()}), nil, nil, zap.NewNop()),
	})
	for _, body := range []string{
		`{"badge":"1"}`, `{"device":"east","badge":"1"}`, `{"badge":"1","token":"` + testTokens["west"] + `"}`, `{"badge":"1","token":"x"}`,
		`{}`, `[]`, ``, `{"badge":1}`, `{"badge":"1"}{}`, "\xff", `{"badge":"1","more":{}}`,
		`{"badge":"1","badge":"2"}`, `{"Token":"\u0000"}`,
	} {
		f.Add(true, []byte(body))
		f.Add(false, []byte(body))
	}
	card := []byte("04A2B3C4D5E680")
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, header bool, body []byte) {
		defer watch.Input(t)()
		in := store.TapRequest{Device: "west", Body: body}
		if header {
			in.Authorization = "Bearer " + testTokens["west"]
		}
		reply := a.AnswerTap(t.Context(), in)
		var p apiclient.Problem
		if err := json.Unmarshal(reply.Body, &p); err != nil || p.Status != reply.Status || p.Title == "" {
			t.Errorf("%d %s", reply.Status, reply.Body)
		}
		if reply.Status >= http.StatusInternalServerError || reply.Status == http.StatusOK {
			t.Errorf("%d %s", reply.Status, reply.Body)
		}
		known := header || bytes.Contains(body, []byte(testTokens["west"])) || bytes.Contains(body, []byte(`\u`)) ||
			bytes.Contains(body, []byte(`\/`))
		if !known && reply.Status != http.StatusUnauthorized {
			t.Errorf("without a token: %d %s", reply.Status, reply.Body)
		}
		in.Body = bytes.ReplaceAll(body, []byte("1"), card)
		if reply := a.AnswerTap(t.Context(), in); bytes.Contains(reply.Body, card) {
			t.Errorf("quotes a card number: %s", reply.Body)
		}
	})
}

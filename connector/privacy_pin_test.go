package connector_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/privacy"
	"pullprint/policy/pin"
)

// A person is told that they have a PIN, and since when, and never the hash; an erasure takes the PIN, and
// the wrong tries at it and at codes.
func TestPrivacyOfPIN(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	pins := pin.New(b.Badges(), []pin.Pepper{{ID: "k1", Secret: []byte(badgeKey(1))}}, rand.Reader)
	for _, owner := range []string{studentID, stayerID} {
		if err := pins.Set(t.Context(), owner, "271828", owner, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	try := pin.Try{Owner: studentID, Device: "hq-2-west", PIN: "314159"}
	if _, err := pins.Check(t.Context(), try, time.Now()); err == nil {
		t.Fatal("a wrong PIN is right")
	}
	if err := pins.CountCode(t.Context(), studentID, time.Now()); err != nil {
		t.Fatal(err)
	}
	out, err := peopleOf(b).Export(t.Context(), studentID)
	if err != nil || len(out.Badges) != 3 {
		t.Fatalf("%s, %v", out.Badges, err)
	}
	told := false
	for _, raw := range out.Badges {
		told = told || strings.Contains(string(raw), `"pin_set":"2`)
		if strings.Contains(string(raw), "hash") || strings.Contains(string(raw), "v1:") {
			t.Errorf("the hash is exported: %s", raw)
		}
	}
	if !told {
		t.Errorf("no PIN: %s", out.Badges)
	}
	if _, err := peopleOf(b).Erase(t.Context(), studentID, privacy.Erasure{}); err != nil {
		t.Fatal(err)
	}
	for _, key := range pin.Keys(studentID) {
		if _, rev, err := b.Badges().Get(t.Context(), key); err != nil || rev != 0 {
			t.Error(key, rev, err)
		}
	}
	if s, err := pins.StateOf(t.Context(), stayerID, time.Now()); err != nil || !s.Set {
		t.Errorf("%+v, %v", s, err)
	}
}

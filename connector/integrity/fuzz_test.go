package integrity

import (
	"strings"
	"testing"

	"pullprint/policy/badge"
	"pullprint/trigger/fuzztest"
)

// FuzzCheckRecord: no decoder of accounts, badges and state panics at what is stored; one that is
// refused is named, and nothing of its value is quoted.
func FuzzCheckRecord(f *testing.F) {
	buckets := []string{bucketQuota, bucketBadges, bucketState}
	for i, key := range []string{"user.ada", "owner.x", "trigger.definition", "trigger.subscription", "delegation.a.b", "export.ledger"} {
		for j := range buckets {
			f.Add(uint8(j), key, []byte(`{"seq":1}`))
			f.Add(uint8(j), key, []byte(`{"id":"x","owner":"a","to":"b","next":1,"current":{"id":"s"}}`))
		}
		f.Add(uint8(i), key, []byte(`[`))
	}
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, n uint8, key string, value []byte) {
		defer watch.Input(t)()
		bucket := buckets[int(n)%len(buckets)]
		err := CheckRecord(bucket, key, value)
		_ = ofNobody(bucket, key, value)
		_, _ = badge.OwnerOf(key, value)
		if err == nil {
			return
		}
		if panicked := recordKind(bucket) + " in " + bucket; err.Error() == panicked {
			t.Errorf("the decoder panics at %s %q", key, value)
		}
		if len(err.Error()) > 1<<10+2*len(key) {
			t.Errorf("%d bytes of error", len(err.Error()))
		}
		secret := "a-value-that-is-secret"
		if err := CheckRecord(bucket, key, append([]byte(secret), value...)); err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("quotes the value: %v", err)
		}
	})
}

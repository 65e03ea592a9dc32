package own

import (
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/cache"
)

// Two exports are made at once, one of a person, and one a minute of each.
func TestExportsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := exports{asked: cache.Limit{Times: 1, In: exportEvery}}
		begin := func(person string, want bool) func() {
			t.Helper()
			end, got := e.begin(person)
			if got != want {
				t.Errorf("%s may begin: %t", person, got)
			}
			return end
		}
		annas := begin("anna", true)
		time.Sleep(exportEvery)
		begin("anna", false) // the first is not sent yet
		begin("bert", true)
		begin("carla", false)
		annas()
		begin("anna", true)()
		begin("anna", false)
		begin("carla", true)
	})
}

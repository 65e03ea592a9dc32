package connector_test

import (
	"strings"
	"testing"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/notice"
	"pullprint/connector/privacy"
)

// What a person has chosen to be told is in an export of them and in nobody else's, and gone after an
// erasure.
func TestChoiceOfErased(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		choices := notice.NewChoices(b.State())
		for _, person := range []string{studentID, stayerID} {
			if err := choices.SetOff(t.Context(), person, []string{notice.HoldEnding}); err != nil {
				t.Fatal(err)
			}
		}
		told, err := peopleOf(b).Export(t.Context(), studentID)
		if err != nil || len(told.Notices) != 1 || !strings.Contains(string(told.Notices[0]), notice.HoldEnding) {
			t.Errorf("%v: exported %s", err, told.Notices)
		}
		if _, err := peopleOf(b).Erase(t.Context(), studentID, privacy.Erasure{}); err != nil {
			t.Fatal(err)
		}
		for key, value := range picture(t, b) {
			if strings.Contains(key+value, studentID) {
				t.Errorf("%s: %s", key, value)
			}
		}
		if off, err := choices.Off(t.Context(), stayerID); err != nil || len(off) != 1 {
			t.Errorf("%v: another has %q", err, off)
		}
	})
}

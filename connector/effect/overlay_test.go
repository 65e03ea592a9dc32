package effect

import (
	"testing"

	"pullprint/connector/decision"
)

func TestOverlay(t *testing.T) {
	for own, want := range map[string]string{
		`{"copies":3,"margin":{"top":1},"newSetting":[1]}`: `{"colorMode":"grayscale","copies":3,` +
			`"margin":{"top":1},"newSetting":[1]}`,
		`{"colorMode":"color","outputBin":null,"quality":"unknownFutureValue","@odata.type":"x"}`: `{"colorMode":"grayscale"}`,
		``:   `{"colorMode":"grayscale"}`,
		`[]`: ``,
	} {
		got, err := overlay([]byte(own), &decision.Settings{ColorMode: "grayscale"})
		if string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s, %v", own, got, err)
		}
	}
	if got, err := overlay([]byte(`{"copies":3}`), nil); got != nil || err != nil {
		t.Errorf("nothing to set: %s, %v", got, err)
	}
}

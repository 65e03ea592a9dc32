package policyfile

import (
	"slices"
	"strings"
	"testing"

	"pullprint/policy/reasons"
)

// Each code of the program tells its owner why and what to do, and no policy can use it.
func TestOwnReasons(t *testing.T) {
	for _, code := range reasons.Codes() {
		r, ok := reasons.Of(code)
		if !slices.Contains(ippKeywords, r.IPP) {
			t.Errorf("%s: %q is no keyword", code, r.IPP)
		}
		if !ok || !strings.HasSuffix(r.Text, ".") || !strings.HasSuffix(r.Remedy, ".") || !reasonCode.MatchString(code) {
			t.Errorf("%s: %+v", code, r)
		}
		_, err := Load("p", []byte(rules(`{name: r, at: arrival, when: 'true', verdict: abort, reason: `+code+`, text: a, remedy: b}`)))
		if err == nil || !strings.Contains(err.Error(), "of the program itself") {
			t.Errorf("%s in a policy: %v", code, err)
		}
	}
}

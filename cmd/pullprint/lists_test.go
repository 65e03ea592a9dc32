package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/printer"
	"pullprint/policy/pin"
)

// A PIN that is not there has no state; one of somebody who was locked out by guesses has.
func TestPINTable(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]apiclient.PINState{
		"anna none - -": {}, "anna none - locked until it is unlocked or set anew": {State: pin.State{LockedForGood: true}},
		"anna set 02 Nov 2026 - open": {State: pin.State{Set: true, Changed: time.Date(2026, 11, 2, 12, 0, 0, 0, time.Local)}},
	} {
		s.User = "anna"
		var out bytes.Buffer
		if err := printPIN(&out, &s, nil); err != nil {
			t.Fatal(err)
		}
		if _, row, _ := strings.Cut(out.String(), "\n"); strings.Join(strings.Fields(row), " ") != want {
			t.Errorf("%q, want %q", row, want)
		}
	}
}

// What an older daemon does not tell is a dash.
func TestFactorList(t *testing.T) {
	t.Parallel()
	if a, b := factorList(nil), factorList([]printer.Factor{printer.ByBadgeAndPIN, printer.ByPIN}); a != "-" || b != "badge+pin, pin" {
		t.Errorf("%q, %q", a, b)
	}
}

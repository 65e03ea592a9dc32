package phone

import (
	"testing"

	"pullprint/connector/bus/bustest"
)

// A restore makes no link valid again that was ended since the backup, and nobody present.
func TestRestore(t *testing.T) {
	b := bustest.Open(t)
	d := New(b.State(), keysOf(t, "a"), "https://print.example.com/", devices)
	renew := func(device string) (k string) {
		t.Helper()
		if _, err := d.Renew(t.Context(), device); err != nil {
			t.Fatal(err)
		}
		return linkOf(t, d, device)
	}
	sheet, once := linkOf(t, d, "east"), renew("west")
	code, _ := d.Code("east", begins)
	enter(t, d, person, code, begins, nil)
	present(t, d, "east", person, begins, true)
	file := bustest.Backup(t, b)
	east, west := renew("east"), renew("west")

	b = bustest.Restore(t, b, file)
	d = New(b.State(), d.keys, d.base, devices)
	verify(t, d, "east", sheet, ErrLink)
	verify(t, d, "east", east, nil)
	verify(t, d, "west", once, ErrLink)
	verify(t, d, "west", west, nil)
	present(t, d, "east", person, begins, false)
}

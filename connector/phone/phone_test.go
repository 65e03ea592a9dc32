package phone

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/printer"
	"pullprint/policy/badge"
)

const person, other = "5b0c3a9e-0001-4c1d-8a2b-3c4d5e6f7081", "5b0c3a9e-0002-4c1d-8a2b-3c4d5e6f7082"

var devices = []printer.Device{
	{ID: "west", Phone: printer.PhoneLink}, {ID: "east", Phone: printer.PhoneCode}, {ID: "none"},
}

// keysOf are badge keys made of single letters, the current one first.
func keysOf(t *testing.T, letters string) Keys {
	t.Helper()
	var file strings.Builder
	for _, l := range letters {
		fmt.Fprintln(&file, base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(l), 32))))
	}
	keys, err := badge.ParseKeys([]byte(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	return badge.NewRegistry(nil, keys, badge.Chain{})
}

func newDevices(t *testing.T) *Devices {
	t.Helper()
	return New(bustest.Open(t).State(), keysOf(t, "a"), "https://print.example.com/", devices)
}

// linkOf is the k of the link that a device has now.
func linkOf(t *testing.T, d *Devices, device string) string {
	t.Helper()
	link, err := d.URL(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	k, ok := strings.CutPrefix(link, "https://print.example.com/at/"+device+"?k=")
	if !ok {
		t.Fatal(link)
	}
	if k, err = url.QueryUnescape(k); err != nil {
		t.Fatal(err)
	}
	return k
}

func verify(t *testing.T, d *Devices, device, k string, want error) {
	t.Helper()
	if err := d.Verify(t.Context(), device, k); !errors.Is(err, want) {
		t.Errorf("%s with %q: %v, want %v", device, k, err, want)
	}
}

// A link is valid at its own device, and nothing that differs from it is.
func TestLink(t *testing.T) {
	d := newDevices(t)
	k := linkOf(t, d, "west")
	verify(t, d, "west", k, nil)
	verify(t, d, "east", k, ErrLink)
	verify(t, d, "none", k, ErrNoDevice)
	verify(t, d, "unknown", k, ErrNoDevice)
	for i := range k {
		changed := []byte(k)
		if changed[i]++; changed[i] == k[i] {
			t.Fatal("not changed")
		}
		verify(t, d, "west", string(changed), ErrLink)
	}
	for _, wrong := range []string{"", k[:len(k)-1], k + "A", k + "=", k + k, strings.ToUpper(k), strings.Repeat("A", 1<<20)} {
		verify(t, d, "west", wrong, ErrLink)
	}
	if _, err := d.URL(t.Context(), "none"); !errors.Is(err, ErrNoDevice) {
		t.Error(err)
	}
	if _, err := d.Renew(t.Context(), "none"); !errors.Is(err, ErrNoDevice) {
		t.Error(err)
	}
}

// A renewed link ends those before it, for all replicas, and only at its device; however many renew it at
// once, one link is valid in the end.
func TestRenew(t *testing.T) {
	d := newDevices(t)
	replica := New(d.store, d.keys, d.base, devices)
	old, east := linkOf(t, d, "west"), linkOf(t, d, "east")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := d.Renew(t.Context(), "west"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	first := linkOf(t, replica, "west")
	if _, err := d.Renew(t.Context(), "west"); err != nil {
		t.Fatal(err)
	}
	verify(t, replica, "west", old, ErrLink)
	verify(t, replica, "west", first, ErrLink)
	verify(t, replica, "west", linkOf(t, replica, "west"), nil)
	verify(t, replica, "east", east, nil)
}

// A generation that is damaged lets no link be valid, also none that was ended, until it is renewed.
func TestDamagedGeneration(t *testing.T) {
	d := newDevices(t)
	old := linkOf(t, d, "west")
	if _, ok, err := d.store.CompareAndSet(t.Context(), generationKey("west"), []byte("x"), 0, 0); err != nil || !ok {
		t.Fatal(ok, err)
	}
	verify(t, d, "west", old, errDamaged)
	if _, err := d.URL(t.Context(), "west"); !errors.Is(err, errDamaged) {
		t.Error(err)
	}
	if _, err := d.Renew(t.Context(), "west"); err != nil {
		t.Fatal(err)
	}
	verify(t, d, "west", old, ErrLink)
	verify(t, d, "west", linkOf(t, d, "west"), nil)
}

// A sheet outlives a change of the badge keys while its key is still in the file.
func TestBadgeKeysChange(t *testing.T) {
	d := newDevices(t)
	old := linkOf(t, d, "west")
	d.keys = keysOf(t, "ba")
	verify(t, d, "west", old, nil)
	verify(t, d, "west", linkOf(t, d, "west"), nil)
	if linkOf(t, d, "west") == old {
		t.Error("a new sheet has the old key")
	}
	d.keys = keysOf(t, "b")
	verify(t, d, "west", old, ErrLink)
}

// begins is the beginning of a window of codes.
var begins = time.Unix(1_800_000_000, 0)

func enter(t *testing.T, d *Devices, who, code string, now time.Time, want error) {
	t.Helper()
	if err := d.Enter(t.Context(), "east", who, code, now); !errors.Is(err, want) {
		t.Errorf("%q: %v, want %v", code, err, want)
	}
}

func present(t *testing.T, d *Devices, device, who string, now time.Time, want bool) {
	t.Helper()
	if is, err := d.Present(t.Context(), device, who, now); err != nil || is != want {
		t.Errorf("%s: present %v, %v", device, is, err)
	}
}

// A code is accepted for 60 s from when it appears, at its device, and makes the person who typed it present
// for some minutes.
func TestCode(t *testing.T) {
	d := newDevices(t)
	code, left := d.Code("east", begins.Add(10*time.Second))
	if len(code) != 6 || left != 20*time.Second {
		t.Fatalf("%q for %v", code, left)
	}
	if none, _ := d.Code("west", begins); none != "" {
		t.Errorf("a code where none is needed: %q", none)
	}
	present(t, d, "west", person, begins, true)
	present(t, d, "none", person, begins, false)
	present(t, d, "east", person, begins, false)
	enter(t, d, other, code, begins.Add(60*time.Second), ErrCode)
	enter(t, d, other, code, begins.Add(-time.Second), ErrCode)
	if err := d.Enter(t.Context(), "west", other, code, begins); !errors.Is(err, ErrCode) {
		t.Errorf("at a device without codes: %v", err)
	}
	last := begins.Add(60*time.Second - 1)
	enter(t, d, person, " "+code[:3]+"-"+code[3:]+" ", last, nil)
	present(t, d, "east", person, last.Add(presentFor-1), true)
	present(t, d, "east", person, last.Add(presentFor), false)
	present(t, d, "east", other, last, false)
	enter(t, d, person, "", last, ErrCode)
	present(t, d, "east", person, last, true)
}

// Of many guesses at once no more are looked at than are allowed, and then the right code is not either, until
// the first is old; other people are not kept waiting.
func TestGuesses(t *testing.T) {
	d := newDevices(t)
	code, _ := d.Code("east", begins)
	var looked atomic.Int64
	var all sync.WaitGroup
	for range 4 * maxGuesses {
		all.Go(func() {
			if errors.Is(d.Enter(t.Context(), "east", person, "no", begins), ErrCode) {
				looked.Add(1)
			}
		})
	}
	all.Wait()
	for range maxGuesses { // in case concurrent ones gave up
		_ = d.Enter(t.Context(), "east", person, "no", begins)
	}
	if n := looked.Load(); n > maxGuesses {
		t.Errorf("%d guesses were looked at", n)
	}
	enter(t, d, person, code, begins, ErrGuesses)
	present(t, d, "east", person, begins, false)
	enter(t, d, other, code, begins, nil)
	later := begins.Add(guessesIn)
	code, _ = d.Code("east", later)
	enter(t, d, person, code, later, nil)
}

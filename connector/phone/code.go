package phone

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pullprint/connector/printer"
	"pullprint/connector/store"
)

// Codes change every codeEvery, and each is accepted for two of these: 60 s from when it appears, so that one
// which is typed while it changes is not refused.
const codeEvery = 30 * time.Second

// presentFor is how long a person counts as being there after they typed the code: time to look through some
// jobs and print them.
const presentFor = 5 * time.Minute

// The guesses of one person at one device. Two of a million codes are accepted at a time, so who tries all
// day has one chance in a thousand, and gains by it to print jobs of their own.
const (
	maxGuesses = 5
	guessesIn  = 15 * time.Minute
)

var (
	// ErrCode says that a code is none that the station shows, or no longer.
	ErrCode = errors.New("the code is not the one that the station shows")
	// ErrGuesses says that a person typed too many wrong codes; they may try again in 15 minutes.
	ErrGuesses = errors.New("too many wrong codes")
)

// Code is what the station of a device shows at a time, and for how much longer; empty when the device has
// no codes.
func (d *Devices) Code(device string, now time.Time) (code string, left time.Duration) {
	if d.Mode(device) != printer.PhoneCode {
		return "", 0
	}
	window := now.UnixNano() / int64(codeEvery)
	return d.codes(device, window)[0], time.Duration((window+1)*int64(codeEvery) - now.UnixNano())
}

// codes are those of a device in a window of time, that of the current key first.
func (d *Devices) codes(device string, window int64) (list []string) {
	for _, tag := range hashes(d.keys, "code", device, strconv.FormatInt(window, 10)) {
		list = append(list, fmt.Sprintf("%06d", binary.BigEndian.Uint64(tag)%1_000_000))
	}
	return list
}

// valid reports whether a code is the one of now, or of the window before.
func (d *Devices) valid(device, code string, now time.Time) (ok bool) {
	window := now.UnixNano() / int64(codeEvery)
	for _, c := range slices.Concat(d.codes(device, window), d.codes(device, window-1)) {
		ok = subtle.ConstantTimeCompare([]byte(c), []byte(code)) == 1 || ok
	}
	return ok
}

// presence is what is stored of a person at a device with codes, for as long as any of it counts.
type presence struct {
	// Until is how long the person counts as being there; zero when they never typed a right code.
	Until time.Time `json:"until,omitzero"`
	// Wrong are the times of wrong codes.
	Wrong []time.Time `json:"wrong,omitempty"`
}

func presenceKey(device, person string) string { return "phone.at." + device + "." + person }

// Present reports whether a person may act at a device by phone now: at one with codes for a while after they
// typed the right one.
func (d *Devices) Present(ctx context.Context, device, person string, now time.Time) (bool, error) {
	switch d.Mode(device) {
	case printer.PhoneLink:
		return true, nil
	case printer.PhoneOff:
		return false, nil
	}
	// What is damaged counts as nothing, which at most makes the person type the code once more.
	p, _, err := store.Read[presence](ctx, d.store, presenceKey(device, person))
	if err != nil {
		return false, fmt.Errorf("read who is at a device: %w", err)
	}
	return now.Before(p.Until), nil
}

// Enter takes the code that a person typed: afterwards they are present. The error is ErrCode, ErrGuesses, or
// that of the store. Whether a code is looked at is decided by a compare-and-set, so that tries at once, on
// any replicas, are no more than maxGuesses.
func (d *Devices) Enter(ctx context.Context, device, person, typed string, now time.Time) error {
	code := strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, typed)
	right := d.Mode(device) == printer.PhoneCode && d.valid(device, code, now)
	var outcome error
	err := store.Change(ctx, d.store, presenceKey(device, person), guessesIn, func(p *presence) bool {
		p.Wrong = slices.DeleteFunc(p.Wrong, func(at time.Time) bool { return now.Sub(at) >= guessesIn })
		switch {
		case len(p.Wrong) >= maxGuesses:
			outcome = ErrGuesses
			return false
		case right:
			*p, outcome = presence{Until: now.Add(presentFor)}, nil
		default:
			p.Wrong, outcome = append(p.Wrong, now), ErrCode
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("store who is at a device: %w", err)
	}
	return outcome
}

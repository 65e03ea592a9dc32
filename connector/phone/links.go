// Package phone lets people act at a device with their phones: it makes and checks the link that a sheet at
// the device shows as a QR code, and the code that its station shows. A link is knowledge of the device, and a
// photograph of it works anywhere; the code shows that somebody reads the station now. Neither says who that
// is: a sign-in does.
package phone

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"pullprint/connector/printer"
	"pullprint/connector/store"
)

var (
	// ErrNoDevice says that no device has that id, or that it is none for phones.
	ErrNoDevice = errors.New("no device for phones has that id")
	// ErrLink says that a link is not the one that the sheet of the device has now.
	ErrLink = errors.New("the link of the device is not valid")
)

// linkBytes is how much of a keyed hash a link has: 128 bits can't be guessed, and make a code of few dots.
const linkBytes = 16

// Keys makes keyed hashes; *badge.Registry does. Links are derived from the badge keys and need no secret of
// their own: each purpose has its own domain of HMAC, every replica has the file, and devices can't be
// configured without it. A key in the store would be lost with the store, and with it every sheet on the
// walls. When the badge keys change, sheets made with a key that is still in the file stay valid.
type Keys interface {
	// DeviceTags are the hashes of a text, in hexadecimal, by the current key and then by older ones.
	DeviceTags(text string) []string
}

// Devices are those at which people may act by phone. It is safe for concurrent use.
type Devices struct {
	store store.KV // generations, and what people typed
	keys  Keys
	base  string
	modes map[string]printer.Phone
}

// New returns the devices of a list that have phone set. base is where browsers reach the pages.
func New(kv store.KV, keys Keys, base string, list []printer.Device) *Devices {
	d := &Devices{store: kv, keys: keys, base: strings.TrimRight(base, "/"), modes: map[string]printer.Phone{}}
	for i := range list {
		if list[i].Phone != printer.PhoneOff {
			d.modes[list[i].ID] = list[i].Phone
		}
	}
	return d
}

// Mode is how a device is used by phone; PhoneOff when it is not, or not configured.
func (d *Devices) Mode(device string) printer.Phone { return d.modes[device] }

// Path is the address of a device's page, below the public URL, with the k of its link.
func Path(device, k string) string { return FormPath(device, "", k) }

// FormPath is the address of a form of that page.
func FormPath(device, form, k string) string {
	if form != "" {
		form = "/" + form
	}
	return "/at/" + url.PathEscape(device) + form + "?" + url.Values{"k": {k}}.Encode()
}

// URL is the link of a device, for its sheet.
func (d *Devices) URL(ctx context.Context, device string) (string, error) {
	if d.Mode(device) == printer.PhoneOff {
		return "", fmt.Errorf("%w: %s", ErrNoDevice, device)
	}
	g, err := d.generation(ctx, device)
	if err != nil {
		return "", err
	}
	return d.base + Path(device, encoded(d.tags(device, g)[0])), nil
}

// Verify checks the k of a device's link. The error is ErrNoDevice, ErrLink, or that of the store.
func (d *Devices) Verify(ctx context.Context, device, k string) error {
	if d.Mode(device) == printer.PhoneOff {
		return fmt.Errorf("%w: %s", ErrNoDevice, device)
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(k)
	if err != nil || len(given) != linkBytes {
		return ErrLink
	}
	g, err := d.generation(ctx, device)
	if err != nil {
		return err
	}
	for _, tag := range d.tags(device, g) {
		if subtle.ConstantTimeCompare(given, tag) == 1 {
			return nil
		}
	}
	return ErrLink
}

// Renew makes a new link for a device, and ends the one before.
func (d *Devices) Renew(ctx context.Context, device string) (string, error) {
	if d.Mode(device) == printer.PhoneOff {
		return "", fmt.Errorf("%w: %s", ErrNoDevice, device)
	}
	// By the clock, so that no generation comes a second time after one was lost with the store, or is damaged.
	err := store.Change(ctx, d.store, generationKey(device), 0, func(g *generation) bool {
		g.Generation = max(g.Generation+1, time.Now().Unix())
		return true
	})
	if err != nil {
		return "", fmt.Errorf("store the generation of a link: %w", err)
	}
	return d.URL(ctx, device)
}

// generation is what is stored of a device's link once it was renewed.
type generation struct {
	Generation int64 `json:"generation"`
}

func generationKey(device string) string { return "phone.link." + device }

// errDamaged is a generation that can't be read: no link is valid until it is renewed, as the one that was
// ended last might be.
var errDamaged = errors.New("the generation of the link is damaged; renew it: pullprint devices qr --renew DEVICE")

// generation is that of the links of a device, 0 before one was renewed.
func (d *Devices) generation(ctx context.Context, device string) (int64, error) {
	v, revision, err := store.Read[generation](ctx, d.store, generationKey(device))
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the generation of a link: %w", err)
	case revision != 0 && v.Generation <= 0:
		return 0, fmt.Errorf("device %s: %w", device, errDamaged)
	}
	return v.Generation, nil
}

// tags are what links of a generation may have, that of the current key first.
func (d *Devices) tags(device string, g int64) [][]byte {
	return hashes(d.keys, "link", device, strconv.FormatInt(g, 10))
}

// hashes are keyed hashes of parts, which have no NUL, cut to linkBytes.
func hashes(keys Keys, parts ...string) (list [][]byte) {
	for _, tag := range keys.DeviceTags(strings.Join(parts, "\x00")) {
		if raw, err := hex.DecodeString(tag); err == nil { // always: it is what Keys promises
			list = append(list, raw[:linkBytes])
		}
	}
	return list
}

func encoded(tag []byte) string { return base64.RawURLEncoding.EncodeToString(tag) }

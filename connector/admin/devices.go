package admin

import (
	"context"
	"net/http"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/tap"
)

func (a *API) listDevices(r *request) (any, error) {
	return apiclient.DeviceList{Devices: a.DeviceEntries(r.Context())}, nil
}

// DeviceEntries are the configured devices, with whether their readers are locked and, if the store tells,
// when they were last heard of.
func (a *API) DeviceEntries(ctx context.Context) []apiclient.DeviceEntry {
	out, now := []apiclient.DeviceEntry{}, time.Now()
	var heard map[string]tap.Heard
	if a.Readers != nil {
		heard, _ = a.Readers.All(ctx) // the check of the readers says what is wrong
	}
	for _, d := range a.Devices {
		e := apiclient.DeviceEntry{
			ID: d.ID, PrinterID: d.PrinterID, Queues: d.Queues, Location: d.Location, Phone: d.Phone, Factors: d.InForce(),
		}
		if a.Taps != nil {
			e.LockedUntil = a.Taps.LockedUntil(d.ID, now)
		}
		if h, ok := heard[d.ID]; ok {
			e.Heard, e.Silent = h.At, a.Readers.Silent(h, now)
		}
		out = append(out, e)
	}
	return out
}

// The bounds of the list of failures: a day is what the index knows at least, and so many printers are
// a page of the API.
const (
	failuresOf  = 24 * time.Hour
	maxFailures = 500
)

func (a *API) listFailures(*request) (any, error) {
	return a.PrinterFailures(time.Now(), maxFailures), nil
}

// PrinterFailures are the n printers at which most jobs failed within the last 24 hours, those first.
func (a *API) PrinterFailures(now time.Time, n int) apiclient.FailureList {
	list := apiclient.FailureList{Since: now.Add(-failuresOf), Printers: []apiclient.PrinterFailures{}}
	for _, f := range a.Index.Failures(list.Since, n) {
		one := apiclient.PrinterFailures{Device: f.Device, Jobs: f.Jobs, Last: f.Last, Detail: f.Detail}
		if d, ok := printer.DeviceByID(a.Devices, f.Device); ok {
			one.Location = d.Location
		}
		list.Printers = append(list.Printers, one)
	}
	return list
}

// hasDevice reports whether a device is configured.
func (a *API) hasDevice(id string) bool {
	_, ok := printer.DeviceByID(a.Devices, id)
	return ok
}

// Phones makes the links by which phones reach devices; *phone.Devices does.
type Phones interface {
	URL(ctx context.Context, device string) (string, error)
	// Renew makes a new link, and ends the one before.
	Renew(ctx context.Context, device string) (string, error)
}

func (a *API) showLink(r *request) (any, error) {
	device, err := a.phoneDevice(r)
	if err != nil {
		return nil, err
	}
	link, err := a.Phones.URL(r.Context(), device)
	return apiclient.DeviceLink{Device: device, URL: link}, err
}

func (a *API) renewLink(r *request) (any, error) {
	note, err := r.note()
	if err != nil {
		return nil, err
	}
	device, err := a.phoneDevice(r)
	if err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), apiclient.Action{Device: device, Note: note}); err != nil {
		return nil, err
	}
	link, err := a.Phones.Renew(r.Context(), device)
	return apiclient.DeviceLink{Device: device, URL: link}, err
}

// phoneDevice is the device of the path, if people may release their jobs there by phone.
func (a *API) phoneDevice(r *request) (string, error) {
	device, ok := printer.DeviceByID(a.Devices, r.PathValue("device"))
	if !ok {
		return "", release.ErrNoDevice
	}
	if a.Phones == nil || device.Phone == printer.PhoneOff {
		return "", failure(http.StatusConflict, "not-for-phones", "The device is not used by phone",
			"Set devices[].phone and sign_in in the configuration, and restart.")
	}
	return device.ID, nil
}

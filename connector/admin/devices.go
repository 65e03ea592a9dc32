package admin

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"pullprint/connector/printer"
	"pullprint/connector/release"
)

// DeviceList is the answer to GET /v1/devices.
type DeviceList struct {
	Devices []DeviceEntry `json:"devices"`
}

// DeviceEntry is a device as it is configured.
type DeviceEntry struct {
	ID        string   `json:"id"`
	PrinterID string   `json:"printer_id"`
	Queues    []string `json:"queues"`
	Location  string   `json:"location,omitempty"`
	// Phone is true or code where people may release their jobs by phone; absent elsewhere.
	Phone printer.Phone `json:"phone,omitempty"`
	// LockedUntil is set while the reader is locked after unknown badges, at this
	// instance.
	LockedUntil time.Time `json:"locked_until,omitzero"`
}

func (a *API) listDevices(*request) (any, error) { return DeviceList{a.DeviceEntries()}, nil }

// DeviceEntries are the configured devices, with whether their readers are locked.
func (a *API) DeviceEntries() []DeviceEntry {
	out := []DeviceEntry{}
	for _, d := range a.Devices {
		e := DeviceEntry{ID: d.ID, PrinterID: d.PrinterID, Queues: d.Queues, Location: d.Location, Phone: d.Phone}
		if a.Taps != nil {
			e.LockedUntil = a.Taps.LockedUntil(d.ID, time.Now())
		}
		out = append(out, e)
	}
	return out
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

// DeviceLink is the answer to GET and POST /v1/devices/{device}/link.
type DeviceLink struct {
	Device string `json:"device"`
	// URL is what the QR code of the device's sheet has.
	URL string `json:"url"`
}

func (a *API) showLink(r *request) (any, error) {
	device, err := a.phoneDevice(r)
	if err != nil {
		return nil, err
	}
	link, err := a.Phones.URL(r.Context(), device)
	return DeviceLink{device, link}, err
}

// renewLinkBody is the body of POST /v1/devices/{device}/link.
type renewLinkBody struct {
	// Note says in the audit why.
	Note string `json:"note"`
}

func (a *API) renewLink(r *request) (any, error) {
	var in renewLinkBody
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if err := checkLine("note", in.Note); err != nil {
		return nil, err
	}
	device, err := a.phoneDevice(r)
	if err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), Action{Device: device, Note: in.Note}); err != nil {
		return nil, err
	}
	link, err := a.Phones.Renew(r.Context(), device)
	return DeviceLink{device, link}, err
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

// Devices lists the configured devices.
func (c *Client) Devices(ctx context.Context) ([]DeviceEntry, error) {
	var out DeviceList
	err := c.call(ctx, http.MethodGet, "/v1/devices", nil, &out)
	return out.Devices, err
}

func linkPath(device string) string { return "/v1/devices/" + url.PathEscape(device) + "/link" }

// DeviceLink is the link by which phones reach a device.
func (c *Client) DeviceLink(ctx context.Context, device string) (out DeviceLink, err error) {
	err = c.call(ctx, http.MethodGet, linkPath(device), nil, &out)
	return out, c.olderRoute(ctx, err, "GET /v1/devices/{device}/link")
}

// RenewDeviceLink makes a new link for a device and ends the one before; the note says in the audit why.
func (c *Client) RenewDeviceLink(ctx context.Context, device, note string) (out DeviceLink, err error) {
	err = c.call(ctx, http.MethodPost, linkPath(device), renewLinkBody{note}, &out)
	return out, c.olderRoute(ctx, err, "POST /v1/devices/{device}/link")
}

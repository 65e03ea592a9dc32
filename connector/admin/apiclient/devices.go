package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"pullprint/connector/printer"
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
	// Factors are the ways in which people prove there who they are, alternatives, as devices[].factors.
	Factors []printer.Factor `json:"factors,omitempty"`
	// LockedUntil is set while the reader is locked after unknown badges, at this
	// instance.
	LockedUntil time.Time `json:"locked_until,omitzero"`
	// Heard is when something was last heard of its reader, to within five minutes; absent after 30 days.
	Heard time.Time `json:"heard,omitzero"`
	// Silent is true when its station is not heard of any more.
	Silent bool `json:"silent,omitempty"`
}

// FailureList is the answer to GET /v1/failures.
type FailureList struct {
	// Since is 24 hours ago.
	Since time.Time `json:"since"`
	// Printers are those with most failures first; there is none without one.
	Printers []PrinterFailures `json:"printers"`
}

// PrinterFailures are the jobs that failed at one printer.
type PrinterFailures struct {
	// Device is the id of the device, or the name of the queue whose jobs print where they were sent.
	Device   string `json:"device"`
	Location string `json:"location,omitempty"`
	Jobs     int    `json:"jobs"`
	// Last is when the newest was seen to fail, Detail the printer's word for it.
	Last   time.Time `json:"last"`
	Detail string    `json:"detail,omitempty"`
}

// Failures lists the printers at which jobs failed within the last 24 hours.
func (c *Client) Failures(ctx context.Context) (out FailureList, err error) {
	const route = "/v1/failures"
	err = c.call(ctx, http.MethodGet, route, nil, &out)
	return out, c.olderRoute(ctx, err, "GET "+route)
}

// DeviceLink is the answer to GET and POST /v1/devices/{device}/link.
type DeviceLink struct {
	Device string `json:"device"`
	// URL is what the QR code of the device's sheet has.
	URL string `json:"url"`
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
	err = c.call(ctx, http.MethodPost, linkPath(device), NoteBody{note}, &out)
	return out, c.olderRoute(ctx, err, "POST /v1/devices/{device}/link")
}

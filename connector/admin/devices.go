package admin

import (
	"slices"
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
	// LockedUntil is set while the reader is locked after unknown badges, at this
	// instance.
	LockedUntil time.Time `json:"locked_until,omitzero"`
}

func (a *API) listDevices(*request) (any, error) { return DeviceList{a.DeviceEntries()}, nil }

// DeviceEntries are the configured devices, with whether their readers are locked.
func (a *API) DeviceEntries() []DeviceEntry {
	out := []DeviceEntry{}
	for _, d := range a.Devices {
		e := DeviceEntry{ID: d.ID, PrinterID: d.PrinterID, Queues: d.Queues}
		if a.Taps != nil {
			e.LockedUntil = a.Taps.LockedUntil(d.ID, time.Now())
		}
		out = append(out, e)
	}
	return out
}

// hasDevice reports whether a device is configured.
func (a *API) hasDevice(id string) bool {
	return slices.ContainsFunc(a.Devices, func(d printer.Device) bool { return d.ID == id })
}

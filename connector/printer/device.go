package printer

import (
	"slices"

	"pullprint/trigger/graph"
)

// Device is one entry of devices in the configuration: a physical printer with
// a reader in front of it.
type Device struct {
	// ID is its name in readers, URLs, subjects and metrics.
	ID string `yaml:"id"`
	// PrinterID is the printer's id at Graph: where released jobs are sent.
	PrinterID string `yaml:"printer_id"`
	// Queues are the names of the pull queues whose jobs it may release.
	Queues []string `yaml:"queues"`
	// TokenFile holds the reader's own bearer token; empty means that only API
	// tokens may tap here.
	TokenFile string `yaml:"token_file"`
	// Location says to people where it stands, as "HQ, 2nd floor"; it may be empty.
	Location string `yaml:"location"`
	// UnknownState is what is done with a job while Graph does not know the state of
	// the printer: UnknownRelease, also when empty, or UnknownKeep.
	UnknownState string `yaml:"unknown_state"`
	// Phone says whether people may release their jobs there by phone.
	Phone Phone `yaml:"phone"`
	// Factors are the ways in which people prove there who they are, alternatives; empty is ByBadge.
	Factors []Factor `yaml:"factors"`
}

// Phone says whether people may release their jobs at a device by phone, with the link that its sheet shows
// as a QR code.
type Phone string

// The values of Phone.
const (
	PhoneOff  Phone = ""
	PhoneLink Phone = "true" // whoever has the link
	PhoneCode Phone = "code" // whoever has the link, and reads a code off the device's station
)

// UnmarshalText implements encoding.TextUnmarshaler: false is PhoneOff. It takes anything; which values
// there are is checked with the configuration.
func (p *Phone) UnmarshalText(text []byte) error {
	if *p = Phone(text); *p == "false" {
		*p = PhoneOff
	}
	return nil
}

// Place is what people are told to go to: where the device stands, if that is known, and its
// id, as that is what its label has.
func (d Device) Place() string {
	if d.Location == "" {
		return d.ID
	}
	return d.Location + " (" + d.ID + ")"
}

// DeviceByID is the device of an id in a list; ok is false when there is none.
func DeviceByID(list []Device, id string) (d Device, ok bool) {
	i := slices.IndexFunc(list, func(d Device) bool { return d.ID == id })
	if i < 0 {
		return Device{}, false
	}
	return list[i], true
}

// CanonicalDevices are devices with their ids as Graph's are kept.
func CanonicalDevices(list []Device) []Device {
	list = slices.Clone(list)
	for i := range list {
		list[i].PrinterID = graph.Canonical(list[i].PrinterID)
	}
	return list
}

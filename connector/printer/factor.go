package printer

import "slices"

// Factor is a way in which a person proves at a device who they are.
type Factor string

// The factors of a device; several in its list are alternatives.
const (
	// ByBadge is a badge alone.
	ByBadge Factor = "badge"
	// ByPIN is a user name or an employee id, and a PIN.
	ByPIN Factor = "pin"
	// ByBadgeAndPIN is a badge, and then a PIN.
	ByBadgeAndPIN Factor = "badge+pin"
)

// InForce are the factors of the device. One that is configured without any takes a badge.
func (d Device) InForce() []Factor {
	if len(d.Factors) == 0 {
		return []Factor{ByBadge}
	}
	return d.Factors
}

// Takes reports whether a factor is among those of the device.
func (d Device) Takes(f Factor) bool { return slices.Contains(d.InForce(), f) }

// Card is the factor that a badge at the device belongs to; empty where it counts for nothing.
func (d Device) Card() Factor {
	for _, f := range []Factor{ByBadge, ByBadgeAndPIN} {
		if d.Takes(f) {
			return f
		}
	}
	return ""
}

// AsksPIN reports whether people type PINs at the device.
func (d Device) AsksPIN() bool { return d.Takes(ByPIN) || d.Card() == ByBadgeAndPIN }

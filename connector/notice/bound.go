package notice

import (
	"strings"

	"pullprint/trigger/graph"
)

// What a notice has at most. Ten of them, which may wait for one person, are less than the 1 MiB that
// NATS takes as one value, also when JSON needs six bytes for each: what does not fit would never be
// stored, and whoever stores it would try for ever.
const (
	// maxText is the length of a text or a remedy: those of rules have 500 characters, of four bytes at
	// most.
	maxText = 2000
	// maxName is the length of a kind, reason, queue or device.
	maxName = 200
	// maxID is the length of an id, or of a number of Graph's.
	maxID = 400
	// maxDevices is how many devices a notice names: more are no help to whoever reads it.
	maxDevices = 50
)

// Bound cuts what is longer than a notice needs. It reports false when the notice has no id, or one
// that none of ours is like.
func (n *Notice) Bound() bool {
	n.Text, n.Remedy = cut(n.Text, maxText), cut(n.Remedy, maxText)
	n.Kind, n.Reason, n.Queue, n.Device = cut(n.Kind, maxName), cut(n.Reason, maxName), cut(n.Queue, maxName), cut(n.Device, maxName)
	var devices []string
	for _, d := range n.Devices[:min(len(n.Devices), maxDevices)] {
		devices = append(devices, cut(d, maxName))
	}
	n.Devices = devices
	return n.ID != "" && plausible(n.ID, n.Ref)
}

// plausible reports whether an id and a job have the length of ours.
func plausible(id string, ref graph.Ref) bool {
	return len(id) <= maxID && len(ref.Printer) <= maxID && len(ref.Job) <= maxID
}

// cut is the beginning of a text.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

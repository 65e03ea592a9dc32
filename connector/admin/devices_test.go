package admin

import (
	"slices"
	"testing"

	"pullprint/connector/printer"
)

// The list of devices tells the factors that are in force: a badge where none is configured.
func TestDeviceFactors(t *testing.T) {
	t.Parallel()
	both := []printer.Factor{printer.ByBadgeAndPIN, printer.ByPIN}
	a := &API{Deps: Deps{Devices: []printer.Device{{ID: "west"}, {ID: "east", Factors: both}}}}
	list := a.DeviceEntries(t.Context())
	if !slices.Equal(list[0].Factors, []printer.Factor{printer.ByBadge}) || !slices.Equal(list[1].Factors, both) {
		t.Errorf("%+v", list)
	}
}

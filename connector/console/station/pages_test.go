package station

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/console/view"
)

// newPages are pages that nothing is asked of but to be written.
func newPages(t *testing.T) *Pages {
	t.Helper()
	site, err := view.New(view.Options{DefaultZone: func() *time.Location { return time.UTC }, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Deps{Site: site, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

package pages

import (
	"context"
	"io"

	"pullprint/trigger/pages/document"
)

// CountScaled counts within a part of what a count may hold and work, and of what a part of a
// package may be.
func CountScaled(ctx context.Context, r io.ReaderAt, size int64, contentType string, part int64) (int, error) {
	b := document.NewBudget(ctx)
	b.Limits = document.Limits{Held: b.Limits.Held / part, Work: b.Limits.Work / part, Part: b.Limits.Part / part}
	return shared.within(ctx, b, r, size, contentType)
}

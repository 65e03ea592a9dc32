package pages

import (
	"context"
	"io"
)

// CountScaled counts within a part of what a count may hold and work, and of what a part of a
// package may be.
func CountScaled(ctx context.Context, r io.ReaderAt, size int64, contentType string, part int64) (int, error) {
	return shared.within(&budget{ctx: ctx, held: maxHeld / part, may: maxWork / part, part: maxPart / part}, r, size,
		contentType)
}

package pages

import (
	"context"
	"io"
)

// CountScaled counts within a part of what a count may hold and work.
func CountScaled(ctx context.Context, r io.ReaderAt, size int64, contentType string, part int64) (int, error) {
	return countWithin(&budget{ctx: ctx, held: maxHeld / part, may: maxWork / part}, r, size, contentType)
}

package store

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. In text it is a number and a unit: 2GiB, 512MiB,
// 500MB, 1024 (bytes). Units are B, kB, MB, GB, TB (powers of 1000) and KiB,
// MiB, GiB, TiB (powers of 1024); case and a space before the unit are free.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"B", 1},
}

// SizeError says that a text is no size.
type SizeError struct{ Text string }

// Error implements error.
func (e *SizeError) Error() string {
	return fmt.Sprintf("size %q: want a whole number with a unit, like 2GiB, 512MiB or 500MB", e.Text)
}

// Explain says what is wrong and what to do, without the text, which may come from the environment.
func (e *SizeError) Explain() (message, hint string) {
	return "expected a size", "write a whole number with a unit, as 2GiB, 512MiB or 500MB"
}

// UnmarshalText reads a size. An error is a *SizeError.
func (s *Size) UnmarshalText(text []byte) error {
	in := strings.TrimSpace(string(text))
	number, factor := in, int64(1)
	for _, u := range sizeUnits {
		if n := len(in) - len(u.name); n >= 0 && strings.EqualFold(in[n:], u.name) {
			number, factor = strings.TrimSpace(in[:n]), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return &SizeError{in}
	}
	*s = Size(n * factor)
	return nil
}

// MarshalText writes the size in the largest unit that holds it exactly.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String is the text form.
func (s Size) String() string {
	if s > 0 {
		best := sizeUnits[len(sizeUnits)-1]
		for _, u := range sizeUnits {
			if int64(s)%u.bytes == 0 && u.bytes > best.bytes {
				best = u
			}
		}
		if best.bytes > 1 {
			return strconv.FormatInt(int64(s)/best.bytes, 10) + best.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

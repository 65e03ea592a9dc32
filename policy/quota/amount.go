// Package quota is the arithmetic of print budgets: what an account has in its periods,
// what is reserved, spent and given back. It is pure: no I/O, no clock, no randomness.
// Package ledger keeps accounts durably. Amounts are whole millionths: nothing is ever
// rounded away.
package quota

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Amount is an amount in millionths of a unit. A unit is a page, or one of a
// currency.
type Amount int64

// Unit is one page, or one of a currency.
const Unit Amount = 1_000_000

var (
	// ErrOverflow says that an amount is beyond what can be counted.
	ErrOverflow = errors.New("the amount is too large")
	// ErrAmount says that a text is not an amount.
	ErrAmount = errors.New("not a valid amount; write it as 12 or 12.5, with at most 6 digits after the point")
)

// Add is a + b.
func (a Amount) Add(b Amount) (Amount, error) {
	c := a + b
	if (b > 0 && c < a) || (b < 0 && c > a) {
		return 0, ErrOverflow
	}
	return c, nil
}

// Sub is a - b.
func (a Amount) Sub(b Amount) (Amount, error) {
	c := a - b
	if (b > 0 && c > a) || (b < 0 && c < a) {
		return 0, ErrOverflow
	}
	return c, nil
}

// plus is a + b, or the nearest amount that can be counted: a limit that is meant to be none
// may be as large as any.
func (a Amount) plus(b Amount) Amount {
	c, err := a.Add(b)
	switch {
	case err == nil:
		return c
	case b > 0:
		return math.MaxInt64
	}
	return -math.MaxInt64
}

// Times is a * n, for an n of at least 0.
func (a Amount) Times(n int64) (Amount, error) {
	if n < 0 || a == math.MinInt64 {
		return 0, ErrOverflow
	}
	abs := uint64(max(a, -a)) //nolint:gosec // not negative
	hi, lo := bits.Mul64(abs, uint64(n))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, ErrOverflow
	}
	if a < 0 {
		return -Amount(lo), nil
	}
	return Amount(lo), nil
}

// ParseAmount reads 12, -12.5 or 0.000001.
func ParseAmount(text string) (Amount, error) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, part, point := strings.Cut(digits, ".")
	if whole == "" || (point && part == "") || len(part) > 6 || !allDigits(whole+part) {
		return 0, ErrAmount
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", 6-len(part)), 10, 64)
	if err != nil {
		return 0, ErrOverflow
	}
	if negative {
		n = -n
	}
	return Amount(n), nil
}

func allDigits(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// String writes an amount as ParseAmount reads it, without zeros at its end.
func (a Amount) String() string {
	sign := ""
	u := uint64(a) //nolint:gosec // turned around below when it is negative
	if a < 0 {
		sign, u = "-", -u
	}
	whole, part := u/uint64(Unit), u%uint64(Unit)
	if part == 0 {
		return sign + strconv.FormatUint(whole, 10)
	}
	return sign + strconv.FormatUint(whole, 10) + "." + strings.TrimRight(fmt.Sprintf("%06d", part), "0")
}

// MarshalJSON writes a number of units.
func (a Amount) MarshalJSON() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalJSON reads a number of units, exactly.
func (a *Amount) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(text, &n); err != nil || text[0] == '"' {
		return ErrAmount
	}
	v, err := ParseAmount(n.String())
	if err != nil {
		return err
	}
	*a = v
	return nil
}

package policyfile

import (
	"fmt"
	"strings"

	"pullprint/policy"
	"pullprint/policy/quota"
)

// unknownFile says what becomes of a job when something is out of reach.
type unknownFile struct {
	Directory policy.FailMode `yaml:"directory"`
	Quota     policy.FailMode `yaml:"quota"`
	Device    policy.FailMode `yaml:"device"`
	Pages     policy.FailMode `yaml:"pages"`
}

// refundsFile says what is given back of a job that did not end well at its
// printer.
type refundsFile struct {
	Aborted  decimal `yaml:"aborted"`
	Canceled decimal `yaml:"canceled"`
	PerDay   decimal `yaml:"per_day"`
}

// What a file says of pages.
const (
	pagesCount    = "count"
	pagesMetadata = "metadata-only"
)

// general reads what the file says besides prices, rules and allowances.
func (l *loader) general(f *file) {
	if f.Zone != "" {
		l.def.Zone = l.zone("zone", f.Zone)
	}
	l.def.Language = f.Language
	l.refuse(f.Language != "" && !language.MatchString(f.Language), "language", "write it as en, de or de-CH",
		"%q is not a valid language", f.Language)
	oneOf(l, "pages", f.Pages, "value of pages", pagesCount, pagesMetadata)
	l.def.MetadataOnly = f.Pages == pagesMetadata
	l.def.BytesPerPage = f.BytesPerPage
	l.refuse(f.BytesPerPage < 0, "bytes_per_page", "write how many bytes a page has on average, as 50_000",
		"bytes_per_page is negative")
	l.def.Unknown = map[policy.Dependency]policy.FailMode{}
	for dep, mode := range map[policy.Dependency]policy.FailMode{
		policy.Directory: f.Unknown.Directory, policy.Ledger: f.Unknown.Quota, policy.Device: f.Unknown.Device,
		policy.Document: f.Unknown.Pages,
	} {
		key := "unknown." + string(dep)
		if oneOf(l, key, mode, "value of "+key, policy.FailHold, policy.FailAllow, policy.FailAbort); mode != "" {
			l.def.Unknown[dep] = mode
		}
	}
	oneOf(l, "reserve", f.Reserve, "value of reserve", policy.Release, policy.Arrival)
	l.def.ReserveAtArrival = f.Reserve == policy.Arrival
	l.def.Refunds = &policy.Refunds{
		Aborted: l.refunded("aborted", f.Refunds.Aborted), Canceled: l.refunded("canceled", f.Refunds.Canceled),
		PerDay: f.Refunds.PerDay.Amount,
	}
}

// refunded is a part that is given back, in thousandths; all when the file does not say.
func (l *loader) refunded(key string, part decimal) int64 {
	const thousandth = quota.Unit / 1000
	if !part.given {
		return 1000
	}
	l.refuse(part.Amount > quota.Unit || part.Amount%thousandth != 0, "refunds."+key,
		"write a part of 1, as 0.5 for half, with at most 3 digits", "a refund of more than was paid, or too exact")
	return int64(part.Amount / thousandth)
}

// decimal is a number of the file, as 0.2: exact, and at least zero.
type decimal struct {
	quota.Amount
	given bool
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *decimal) UnmarshalText(text []byte) error {
	d.given = true // also when it can't be read: that is told already
	a, err := quota.ParseAmount(strings.ReplaceAll(string(text), "_", ""))
	if err != nil || a < 0 {
		return fmt.Errorf("expected a number of at least 0 with at most 6 digits after the point, as 0.25")
	}
	d.Amount = a
	return nil
}

// pricesFile says what printing costs. Without it, a page costs one unit.
type pricesFile struct {
	Page           decimal `yaml:"page"`
	Color          decimal `yaml:"color"`
	DuplexDiscount decimal `yaml:"duplex_discount"`
	Currency       string  `yaml:"currency"`
}

func (l *loader) prices(f pricesFile) {
	if f.Page.given {
		l.def.PagePrice = &f.Page.Amount
	}
	if f.Color.given {
		l.def.ColorPrice = &f.Color.Amount
	}
	l.refuse(f.DuplexDiscount.Amount > quota.Unit, "prices.duplex_discount",
		"write a part of the price, as 0.2 for a fifth less", "a discount of more than 1")
	l.def.DuplexDiscount, l.def.Currency = f.DuplexDiscount.Amount, f.Currency
	l.refuse(len(f.Currency) > 8 || strings.ContainsAny(f.Currency, "{}\n\t "), "prices.currency", "write it as EUR",
		"%q is not a valid currency", f.Currency)
}

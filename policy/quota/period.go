package quota

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // policies name time zones, also where the system has none
)

// Every is how often an allowance renews.
type Every string

// The periods.
const (
	Day   Every = "day"
	Week  Every = "week"
	Month Every = "month"
	Term  Every = "term"
)

// Period is a span of time that comes again: the days, weeks, months or terms
// of a time zone. The zero Period is none.
type Period struct {
	every  Every
	anchor string
	zone   *time.Location
	minute int        // of a day, after midnight
	day    int        // of a week, from Sunday; of a month, from 1
	terms  []monthDay // in the order of the year
}

type monthDay struct {
	month time.Month
	day   int
}

var weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// ParsePeriod reads a period. Its anchor is when it begins: of a day HH:MM, of a
// week a weekday, of a month its day from 1 to 28, of a term the days on which
// terms begin, as 02-15,09-01; only that of a term is needed.
func ParsePeriod(every Every, anchor string, zone *time.Location) (Period, error) {
	p := Period{every: every, anchor: strings.ToLower(strings.Join(strings.Fields(anchor), "")), zone: zone}
	var err error
	switch every {
	case Day:
		err = p.dayAnchor()
	case Week:
		if p.day = 1; p.anchor != "" {
			p.day = slices.Index(weekdays, p.anchor)
		}
		if p.day < 0 {
			err = fmt.Errorf("%q is not a weekday; write it as monday", anchor)
		}
	case Month:
		if p.day = 1; p.anchor != "" {
			p.day, err = strconv.Atoi(p.anchor)
		}
		if err != nil || p.day < 1 || p.day > 28 {
			err = fmt.Errorf("%q is not a day that every month has; write 1 to 28", anchor)
		}
	case Term:
		err = p.termAnchor(anchor)
	default:
		err = fmt.Errorf("%q is not a valid period; write day, week, month or term", every)
	}
	if err == nil && zone == nil {
		err = errors.New("a period without a time zone")
	}
	if err != nil {
		return Period{}, err
	}
	return p, nil
}

func (p *Period) dayAnchor() error {
	if p.anchor == "" {
		return nil
	}
	t, err := time.Parse("15:04", p.anchor)
	if err != nil {
		return fmt.Errorf("%q is not a time of day; write it as 06:00", p.anchor)
	}
	p.minute = t.Hour()*60 + t.Minute()
	return nil
}

func (p *Period) termAnchor(anchor string) error {
	if p.anchor == "" {
		return errors.New("the days on which terms begin are missing; write anchor: '02-15, 09-01'")
	}
	for part := range strings.SplitSeq(p.anchor, ",") {
		t, err := time.Parse("2006-01-02", "2001-"+part) // a year without 29 February
		if err != nil {
			return fmt.Errorf("%q are not days of a year; write the days on which terms begin as 02-15, 09-01", anchor)
		}
		p.terms = append(p.terms, monthDay{t.Month(), t.Day()})
	}
	slices.SortFunc(p.terms, func(a, b monthDay) int { return (int(a.month)*32 + a.day) - (int(b.month)*32 + b.day) })
	if len(slices.Compact(slices.Clone(p.terms))) != len(p.terms) {
		return fmt.Errorf("%q names a day twice", anchor)
	}
	return nil
}

// String is the period in one word: the same for the same period, and the name
// of what is kept by it.
func (p Period) String() string {
	if p.every == "" {
		return ""
	}
	return string(p.every) + ";" + p.anchor + ";" + p.zone.String()
}

// MarshalText writes String.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads it.
func (p *Period) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*p = Period{}
		return nil
	}
	every, rest, _ := strings.Cut(string(text), ";")
	anchor, name, ok := strings.Cut(rest, ";")
	if !ok {
		return errors.New("not a valid period")
	}
	zone, err := LoadZone(name)
	if err == nil {
		*p, err = ParsePeriod(Every(every), anchor, zone)
	}
	return err
}

var offset = regexp.MustCompile(`^([+-])([01][0-9]|2[0-3]):([0-5][0-9])$`)

// LoadZone is the time zone of a name, as Europe/Zurich, or of an offset, as +01:00.
func LoadZone(name string) (*time.Location, error) {
	if m := offset.FindStringSubmatch(name); m != nil {
		hours, _ := strconv.Atoi(m[2])
		minutes, _ := strconv.Atoi(m[3])
		seconds := hours*3600 + minutes*60
		if m[1] == "-" {
			seconds = -seconds
		}
		return time.FixedZone(name, seconds), nil
	}
	if zone, err := time.LoadLocation(name); err == nil && name != "" && name != "Local" {
		return zone, nil
	}
	return nil, fmt.Errorf("%q is not a valid time zone", name)
}

// Window is the period that now is in: from start on, up to end, when the next
// one begins. Windows follow each other without a gap.
func (p Period) Window(now time.Time) (start, end time.Time) {
	if p.every == "" {
		return time.Time{}, time.Time{}
	}
	// What the calendar says is right but for the hours around a change of the
	// clocks: they may be of the period before or after.
	n := 0
	for start = p.begin(now, 0); start.After(now); start = p.begin(now, n) {
		n--
	}
	for end = p.begin(now, n+1); !end.After(now); end = p.begin(now, n+1) {
		start = end
		n++
	}
	return start, end
}

// begin is when the n-th period after the one begins that the calendar day of now
// is in.
func (p Period) begin(now time.Time, n int) time.Time {
	t := now.In(p.zone)
	y, m, d := t.Date()
	switch p.every {
	case Week:
		return p.first(y, m, d-(int(t.Weekday())-p.day+7)%7+7*n)
	case Month:
		if d < p.day {
			m--
		}
		return p.first(y, m+time.Month(n), p.day)
	case Term:
		i := len(p.terms) - 1 // of those of this year, the last that has begun
		for i >= 0 && (p.terms[i].month > m || (p.terms[i].month == m && p.terms[i].day > d)) {
			i--
		}
		i += n
		year := i / len(p.terms)
		if i %= len(p.terms); i < 0 {
			i += len(p.terms)
			year--
		}
		return p.first(y+year, p.terms[i].month, p.terms[i].day)
	}
	return p.first(y, m, d+n)
}

// first is the first moment at or after a day's time of beginning on the clocks of
// the zone: where they are put forward, that time may not exist.
func (p Period) first(y int, m time.Month, d int) time.Time {
	t := time.Date(y, m, d, 0, p.minute, 0, 0, p.zone)
	want := time.Date(y, m, d, 0, p.minute, 0, 0, time.UTC)
	clock := func(t time.Time) time.Time { // what the clocks of the zone show
		_, offset := t.Zone()
		return t.UTC().Add(time.Duration(offset) * time.Second)
	}
	begins, ends := t.ZoneBounds()
	switch shows := clock(t); {
	case shows.Before(want):
		return ends
	case shows.After(want):
		return begins
	}
	if begins.IsZero() {
		return t
	}
	// Where they are put back, it is there twice: time.Date doesn't say which one it
	// gives.
	_, before := begins.Add(-1).Zone()
	if earlier := want.Add(-time.Duration(before) * time.Second); earlier.Before(t) &&
		clock(earlier.In(p.zone)).Equal(want) {
		return earlier.In(p.zone)
	}
	return t
}

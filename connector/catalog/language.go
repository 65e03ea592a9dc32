package catalog

import (
	"math"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// Language is one language of a Catalog.
type Language struct {
	tag     language.Tag
	printer *message.Printer
	texts   map[string]text
}

// Code is the language's tag, for the attribute lang.
func (l Language) Code() string { return l.tag.String() }

// Text is the text that is key in English, with args as fmt has them. Numbers are written as
// in this language, and the plural goes by the first argument.
func (l Language) Text(key string, args ...any) string { return l.printer.Sprintf(key, args...) }

// Has reports whether a text is in this language. English has all.
func (l Language) Has(key string) bool {
	_, ok := l.texts[key]
	return ok || l.tag == language.English
}

// maxDigits is how many digits of a fraction are written: amounts are kept in millionths.
const maxDigits = 6

// Number writes a number with at least so many digits of a fraction.
func (l Language) Number(v float64, digits int) string {
	return l.printer.Sprint(number.Decimal(v, number.MinFractionDigits(digits), number.MaxFractionDigits(maxDigits)))
}

// Amount is what something costs, or what is left: in a currency, or without one in pages.
func (l Language) Amount(v float64, currency string) string {
	switch {
	case currency != "":
		return l.Number(v, 2) + " " + currency
	case v == math.Trunc(v):
		return l.Text("%d pages", int64(v))
	}
	return l.Text("%s pages", l.Number(v, 0))
}

// Days and months are texts of the catalog, by their English names.
const (
	days   = "Sun Mon Tue Wed Thu Fri Sat"
	months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
)

// Clock is a day of the week with the time, as Mon 15:04, in the zone of t.
func (l Language) Clock(t time.Time) string {
	return l.Text("%s %s", l.Text(strings.Fields(days)[t.Weekday()]), t.Format("15:04"))
}

// Date is a day with the time, as Mon 2 Nov 15:04, in the zone of t.
func (l Language) Date(t time.Time) string { return l.date(t, "15:04") }

// Moment is a day with the time to the second, as Mon 2 Nov 15:04:05 CET, in the zone of t.
func (l Language) Moment(t time.Time) string { return l.date(t, "15:04:05 MST") }

func (l Language) date(t time.Time, clock string) string {
	return l.Text("%[1]s %[2]s %[3]s %[4]s", l.Text(strings.Fields(days)[t.Weekday()]), t.Format("2"),
		l.Text(strings.Fields(months)[t.Month()-1]), t.Format(clock))
}

// Until is a time to come in words, as today 15:04; both are in the zone of the reader.
func (l Language) Until(now, t time.Time) string {
	day := func(t time.Time) time.Time {
		y, m, d := t.Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	switch day(t).Sub(day(now)) {
	case 0:
		return l.Text("today %s", t.Format("15:04"))
	case 24 * time.Hour:
		return l.Text("tomorrow %s", t.Format("15:04"))
	}
	return l.Date(t)
}

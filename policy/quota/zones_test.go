package quota_test

import (
	"archive/zip"
	"flag"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tests, also where the system has none

	"pullprint/policy/quota"
)

// allChanges has TestWindowsOfAllZones look at each change of the clocks in each zone.
var allChanges = flag.Bool("zones", false, "look at every change of the clocks in every zone, not at every seventh")

// zones are those of the database that comes with Go, after some with odd changes.
func zones(t *testing.T) (list []*time.Location, odd int) {
	t.Helper()
	names := []string{
		"America/Santiago", "America/Havana", "Atlantic/Azores", "Asia/Beirut", "Africa/Cairo", "America/Asuncion", "America/Sao_Paulo",
		"Pacific/Apia", "Africa/Casablanca", "Australia/Lord_Howe", "America/St_Johns", "Europe/Zurich", "Asia/Amman", "Asia/Gaza", "UTC",
	}
	odd = len(names)
	//nolint:staticcheck // tests run where the toolchain is
	if db, err := zip.OpenReader(filepath.Join(runtime.GOROOT(), "lib", "time", "zoneinfo.zip")); err == nil {
		for _, f := range db.File {
			if !strings.HasSuffix(f.Name, "/") {
				names = append(names, f.Name)
			}
		}
		_ = db.Close()
	}
	for _, name := range names {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, loc)
	}
	return list, odd
}

func period(t testing.TB, every quota.Every, anchor string, zone *time.Location) quota.Period {
	t.Helper()
	p, err := quota.ParsePeriod(every, anchor, zone)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Windows follow each other without gap or overlap, in every zone, around every
// change of its clocks, and each begins at the first moment at or after its time.
func TestWindowsOfAllZones(t *testing.T) {
	from, to := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2041, 1, 1, 0, 0, 0, 0, time.UTC)
	checked := map[string]bool{} // many zones are the same
	list, odd := zones(t)
	for n, zone := range list {
		changes := []time.Time{from}
		id := ""
		for _, at := from.In(zone).ZoneBounds(); !at.IsZero() && at.Before(to); {
			changes = append(changes, at)
			id += at.Format(time.RFC3339) + " "
			_, next := at.ZoneBounds()
			if !next.IsZero() && !next.After(at) { // time.Time takes the last day of a leap year for one of the next
				next = at.Add(36 * time.Hour)
			}
			at = next
		}
		if checked[id] && len(changes) > 1 {
			continue
		}
		checked[id] = true
		for _, p := range []quota.Period{
			period(t, quota.Day, "", zone), period(t, quota.Day, "00:30", zone), period(t, quota.Day, "02:15", zone),
			period(t, quota.Day, "23:30", zone),
			period(t, quota.Week, "", zone), period(t, quota.Week, "sunday", zone), period(t, quota.Month, "", zone),
			period(t, quota.Month, "28", zone),
			period(t, quota.Term, "03-29,10-25", zone),
		} {
			for i, at := range changes {
				if *allChanges || n < odd || i%7 == 0 { // summer time begins and ends among these
					aroundChange(t, p, at.In(zone))
				}
			}
		}
	}
}

// aroundChange walks over three days around a moment.
func aroundChange(t *testing.T, p quota.Period, at time.Time) {
	t.Helper()
	for _, off := range []time.Duration{
		-36 * time.Hour, -90 * time.Minute, -time.Hour, -30 * time.Minute, -1, 0, 1, 15 * time.Minute, 30 * time.Minute, time.Hour,
		25 * time.Hour,
	} {
		now := at.Add(off)
		start, end := p.Window(now)
		if now.Before(start) || !now.Before(end) {
			t.Fatalf("%s: %s is not in %s to %s", p, now, start, end)
		}
		for _, m := range []time.Time{start, end.Add(-1)} {
			if s, e := p.Window(m); !s.Equal(start) || !e.Equal(end) {
				t.Fatalf("%s: %s is in %s to %s, and %s in %s to %s", p, now, start, end, m, s, e)
			}
		}
		if s, e := p.Window(end); !s.Equal(end) || !e.After(s) {
			t.Fatalf("%s: after %s to %s comes %s to %s", p, start, end, s, e)
		}
	}
}

// A whole stretch of years of days, weeks and months: the windows are as many as
// the calendar has.
func TestWindowsOfYears(t *testing.T) {
	for name, days := range map[string]int{
		"America/Santiago": 0, "America/Havana": 0, "Atlantic/Azores": 0, "Africa/Casablanca": 0,
		"Australia/Lord_Howe": 0, "Pacific/Apia": -1,
	} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for every, want := range map[quota.Every]int{quota.Day: 41*365 + 11 + days, quota.Week: 2140, quota.Month: 41 * 12} {
			p := period(t, every, "", zone)
			n := 0
			_, end := p.Window(time.Date(2000, 1, 1, 12, 0, 0, 0, zone).AddDate(0, 0, -1))
			for limit := time.Date(2041, 1, 1, 0, 0, 0, 0, zone); end.Before(limit); n++ {
				start := end
				if _, end = p.Window(start); !end.After(start) {
					t.Fatalf("%s: the window of %s ends %s", p, start, end)
				}
			}
			if n != want && (every != quota.Week || n < want-2 || n > want+2) {
				t.Errorf("%s: %d windows, want %d", p, n, want)
			}
		}
	}
}

package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/policy"
)

// sampleRules are twenty rules; an ordinary job passes them all.
// inGo is the same in Go.
var sampleRules = [...]struct{ name, when string }{
	{"posters", `job.queue == "Poster" && !("Staff" in user.groups)`},
	{"color-bulk", `job.color && job.copies > 100`},
	{"color-students", `job.color && job.copies > 20 && "Students" in user.groups`},
	{"guests-color", `job.color && "Guests" in user.groups`},
	{"guests-copies", `job.copies > 5 && "Guests" in user.groups`},
	{"size", `job.size > 500 * 1024 * 1024`},
	{"size-at-noon", `job.size > 100000000 && now.getHours("Europe/Zurich") in [11, 12, 13]`},
	{"night", `now.getHours("Europe/Zurich") < 6`},
	{"weekend", `job.queue == "Poster" && now.getDayOfWeek("Europe/Zurich") in [0, 6]`},
	{"paper", `!(job.mediaSize in ["", "A4", "A3", "Letter"])`},
	{"a3-color", `job.mediaSize == "A3" && job.color`},
	{"duplex", `job.copies > 10 && !job.duplex`},
	{"format", `!(job.contentType in ["application/pdf", "application/oxps"])`},
	{"stale", `now - job.created > duration("72h")`},
	{"domain", `!user.upn.lowerAscii().endsWith("@example.com")`},
	{"kiosk", `user.upn.startsWith("kiosk-") && job.copies > 1`},
	{"exams", `"Students" in user.groups && now > timestamp("2026-06-01T00:00:00Z") && now < timestamp("2026-06-08T00:00:00Z")`},
	{"nobody", `user.id == ""`},
	{"labs", `user.groups.exists(g, g.startsWith("Lab-")) && job.color`},
	{"direct-size", `queue.mode == "direct" && job.size > 50000000`},
}

func loadSample(tb testing.TB) *policy.Policy {
	var lines []string
	for _, r := range sampleRules {
		lines = append(lines,
			fmt.Sprintf(
				`{name: %s, at: arrival, when: '%s', verdict: abort, reason: sample.%[1]s, text: Not allowed., remedy: Ask at the desk.}`,
				r.name, r.when))
	}
	return mustLoad(tb, rules(lines...))
}

var (
	examsBegin = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	examsEnd   = time.Date(2026, 6, 8, 0, 0, 0, 0, time.UTC)
)

// inGo is the name of the rule that decides, or empty.
func inGo(r *policy.Request) string {
	j, in := &r.Job, func(group string) bool { return slices.Contains(r.User.Groups, group) }
	hour := func() int { return r.Now.In(zurich).Hour() }
	weekend := func() bool { d := r.Now.In(zurich).Weekday(); return d == time.Sunday || d == time.Saturday }
	switch {
	case r.Queue.Name == "Poster" && !in("Staff"):
		return "posters"
	case j.Color && j.Copies > 100:
		return "color-bulk"
	case j.Color && j.Copies > 20 && in("Students"):
		return "color-students"
	case j.Color && in("Guests"):
		return "guests-color"
	case j.Copies > 5 && in("Guests"):
		return "guests-copies"
	case j.Size > 500*1024*1024:
		return "size"
	case j.Size > 100000000 && hour() >= 11 && hour() <= 13:
		return "size-at-noon"
	case hour() < 6:
		return "night"
	case r.Queue.Name == "Poster" && weekend():
		return "weekend"
	case !slices.Contains([]string{"", "A4", "A3", "Letter"}, j.MediaSize):
		return "paper"
	case j.MediaSize == "A3" && j.Color:
		return "a3-color"
	case j.Copies > 10 && !j.Duplex:
		return "duplex"
	case !slices.Contains([]string{"application/pdf", "application/oxps"}, j.ContentType):
		return "format"
	}
	return inGoToo(r, in)
}

// inGoToo is the rest of the list.
func inGoToo(r *policy.Request, in func(group string) bool) string {
	switch {
	case r.Now.Sub(r.Job.Created) > 72*time.Hour:
		return "stale"
	case !strings.HasSuffix(strings.ToLower(r.User.UPN), "@example.com"):
		return "domain"
	case strings.HasPrefix(r.User.UPN, "kiosk-") && r.Job.Copies > 1:
		return "kiosk"
	case in("Students") && r.Now.After(examsBegin) && r.Now.Before(examsEnd):
		return "exams"
	case r.User.ID == "":
		return "nobody"
	case r.Job.Color && slices.ContainsFunc(r.User.Groups, func(g string) bool { return strings.HasPrefix(g, "Lab-") }):
		return "labs"
	case r.Queue.Mode == policy.ModeDirect && r.Job.Size > 50000000:
		return "direct-size"
	}
	return ""
}

// oneOf is one of a few, the first most often.
func oneOf[T any](dice *rand.Rand, list ...T) T {
	if dice.IntN(3) > 0 {
		return list[0]
	}
	return list[dice.IntN(len(list))]
}

// anyRequest is a request in which every sample rule can be hit.
func anyRequest(dice *rand.Rand) policy.Request {
	return arriving(func(r *policy.Request) {
		r.Now = oneOf(dice, noon, noon.Add(-9*time.Hour), noon.Add(4*24*time.Hour), examsBegin.Add(8*time.Hour), examsBegin,
			examsEnd.Add(time.Hour)).
			Add(time.Duration(dice.IntN(8*60)) * time.Minute)
		r.Job = policy.Job{
			Copies: oneOf(dice, 1, 2, 6, 11, 21, 101), Color: oneOf(dice, false, true), Duplex: oneOf(dice, true, false),
			MediaSize: oneOf(dice, "A4", "", "A3", "A5"), ContentType: oneOf(dice, "application/pdf", "application/oxps", "image/png"),
			Size: oneOf(dice, int64(1e6), 60e6, 200e6, 600e6), Created: r.Now.Add(-oneOf(dice, time.Minute, 71*time.Hour, 73*time.Hour)),
		}
		r.User.ID = oneOf(dice, r.User.ID, "")
		r.User.UPN = oneOf(dice, "ada@example.com", "Ada@Example.COM", "kiosk-3@example.com", "ada@other.example")
		r.User.Groups = oneOf(dice, []string{"Staff", "Print"}, nil, []string{"Students", "Lab-4"}, []string{"Guests"}, []string{"Lab-1"})
		r.Queue = oneOf(dice, r.Queue, policy.Queue{"Poster", policy.ModeDirect}, policy.Queue{"Front desk", policy.ModeDirect})
	})
}

// The floor of the benchmark does the same: over many requests both name the
// same rule, and each rule is hit.
func TestSampleRules(t *testing.T) {
	t.Parallel()
	p, dice, hits := loadSample(t), rand.New(rand.NewPCG(1, 2)), map[string]int{}
	for range 12_000 {
		r := anyRequest(dice)
		want := inGo(&r)
		if d := p.Decide(r); d.Rule != want || d.Err != "" {
			t.Fatalf("%+v: %q (%s), in Go %q", r, d.Rule, d.Err, want)
		}
		hits[want]++
	}
	for _, r := range sampleRules {
		if hits[r.name] == 0 {
			t.Errorf("no request hits %s", r.name)
		}
	}
}

// BenchmarkDecide is an ordinary job that passes all rules; the floor is the
// same rules written in Go.
func BenchmarkDecide(b *testing.B) {
	p, req := loadSample(b), arriving(func(r *policy.Request) { r.User.Groups = []string{"Staff", "Print", "Floor 2"} })
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if name := inGo(&req); name != "" {
				b.Fatal(name)
			}
		}
	})
	b.Run("pullprint", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if d := p.Decide(req); d.Rule != "" || d.Verdict != policy.Hold {
				b.Fatal(d)
			}
		}
	})
}

package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// office is twenty rules as an office would have them; the last one decides.
func office() string {
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range 19 {
		fmt.Fprintf(&b, "  - {name: r%d, at: arrival, when: '%s', verdict: abort, reason: a.b%d, text: No., remedy: Ask.}\n", i, []string{
			fmt.Sprintf(`job.color && job.copies > %d`, 20+i),
			fmt.Sprintf(`"group-%d" in user.groups && !job.duplex`, i),
			fmt.Sprintf(`job.queue == "Queue %d" && job.size > 1000000`, i),
			fmt.Sprintf(`now.getHours("Europe/Zurich") < 6 && job.mediaSize == "A%d"`, i),
		}[i%4], i)
	}
	b.WriteString("  - {name: last, at: arrival, when: 'queue.mode == \"pull\"', verdict: hold}\n")
	return b.String()
}

// inGo is the floor: the same rules written in Go.
func inGo(r *Request) Verdict {
	for i := range 19 {
		hit := false
		switch i % 4 {
		case 0:
			hit = r.Job.Color && r.Job.Copies > 20+i
		case 1:
			hit = !r.Job.Duplex && slices.Contains(r.User.Groups, groupNames[i])
		case 2:
			hit = r.Queue.Name == queueNames[i] && r.Job.Size > 1000000
		case 3:
			hit = r.Now.Hour() < 6 && r.Job.MediaSize == "A5"
		}
		if hit {
			return Abort
		}
	}
	return Hold
}

var groupNames, queueNames [19]string

func init() {
	for i := range groupNames {
		groupNames[i], queueNames[i] = fmt.Sprintf("group-%d", i), fmt.Sprintf("Queue %d", i)
	}
}

func BenchmarkDecide(b *testing.B) {
	p, req := mustLoad(b, office()), arriving(color)
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if inGo(&req) != Hold {
				b.Fatal("wrong")
			}
		}
	})
	b.Run("pullprint", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if d := p.Decide(req); d.Rule != "last" {
				b.Fatal(d)
			}
		}
	})
}

package daemon_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"pullprint/trigger/graph/graphtest"
)

// peopleRounds is how long TestBrowserTwoPeople goes on.
var peopleRounds = flag.Int("people.rounds", 60, "rounds of two people at one station; 200 is the long proof")

// pair are two people at one station, the student and the teacher, with their jobs.
type pair struct {
	*kiosk
	seed    *rand.Rand
	owned   [2][]graphtest.JobID
	pressed [2]int
	shown   int // cards
}

var (
	cardsOf = [2]string{cardA, cardB}
	nameOf  = [2]string{"student", "teacher"}
	ends    = []string{"\r", "\t", "\t\r", "\r\n", "\t\t"}
)

// show has the card of one of the two read, with an end of some reader.
func (p *pair) show(who int) (keys string) {
	p.browser.t.Helper()
	p.shown++
	keys = cardsOf[who] + ends[p.seed.IntN(len(ends))]
	p.reads(keys)
	p.do("wait", chromedp.Sleep(time.Duration(p.seed.IntN(120))*time.Millisecond))
	return keys
}

// press has one of the two, whose page is shown, print a job, and the other's card read at once.
// There is another job instead then.
func (p *pair) press(who int) {
	p.browser.t.Helper()
	p.ready()
	p.do("print", chromedp.Click(printButton, chromedp.BySearch))
	p.pressed[who]++
	p.do("wait", chromedp.Sleep(time.Duration(p.seed.IntN(120))*time.Millisecond))
	p.show(1 - who)
	if got := p.shows(nameOf[1-who], 10*time.Second); got != nameOf[1-who] {
		p.browser.t.Errorf("after a press the page is that of %q, want %q", got, nameOf[1-who])
	}
	p.rests()
	before := len(p.all())
	id, err := p.sim.Submit(graphtest.JobSpec{Printer: pullID, User: []string{studentID, teacherID}[who]})
	if err != nil {
		p.browser.t.Fatal(err)
	}
	p.owned[who] = append(p.owned[who], id)
	p.await("one more", 10*time.Second, func() bool { return len(p.all()) == before+1 })
}

// Two people show cards one after the other, at every stage of what the page before is doing,
// over a network that is slow at times, and print now and then. The page that comes to rest is
// that of who came last, and only the presses of people move jobs, of their own.
func TestBrowserTwoPeople(t *testing.T) {
	k := newKiosk(t)
	jobs := k.twoAndThree()
	p := &pair{kiosk: k, seed: rand.New(rand.NewPCG(1, 2))} // the same each time
	for _, id := range jobs {
		who := 0
		if job, _ := k.sim.Job(id); job.User.ID == teacherID {
			who = 1
		}
		p.owned[who] = append(p.owned[who], id)
	}
	wrong, lost, last := 0, 0, -1
	k.home()
	for round := range *peopleRounds {
		resume := func() {}
		if p.seed.IntN(3) == 0 {
			resume = k.halt(t)
		}
		keys := ""
		for range 1 + p.seed.IntN(4) {
			last = p.seed.IntN(2)
			keys += p.show(last)
		}
		resume()
		if got := k.shows(nameOf[last], 10*time.Second); got == "" {
			lost++
		} else if got != nameOf[last] {
			wrong++
		}
		k.rests()
		if got := k.owner(); got != nameOf[last] {
			wrong++
			t.Errorf("round %d, %q: the page comes to rest at that of %q, want %q", round, keys, got, nameOf[last])
		} else if p.seed.IntN(4) == 0 {
			p.press(last)
		}
		for who, n := range p.pressed {
			if moved := k.moved(p.owned[who]...); len(moved) != n {
				t.Fatalf("round %d, %q: %d jobs of the %s moved, want %d: %s", round, keys, len(moved), nameOf[who], n, fmt.Sprint(moved))
			}
		}
	}
	t.Logf("%d cards and %d presses in %d rounds: %d pages of another person, %d cards lost", p.shown, p.pressed[0]+p.pressed[1],
		*peopleRounds, wrong, lost)
	if wrong+lost != 0 {
		t.Error("each card's page has to be its owner's")
	}
}

package daemon_test

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// What stands in the keys of a habit beside those that a reader sends.
const (
	pressShow = '▣' // a person presses the button beside the field
	waitShort = '…' // a second passes
	waitLong  = '⋯' // and eleven
)

// control is a field or a button of a page that a form sends.
type control struct {
	name, value, action, kind    string
	button, required, stops, all bool // all: what stands in it is selected
}

// keyboard types on a page as HTML says: a key goes to what has the focus, Tab to the
// next stop, and Enter in a field sends its form.
type keyboard struct {
	*screen
	controls []control
	focus    int // of controls; -1 when it is on none
	came     time.Time
}

var (
	tagOfPage = regexp.MustCompile(`<(/?)(form|input|button)\b([^>]*)>`)
	attribute = regexp.MustCompile(`([a-z-]+)(?:="([^"]*)")?`)
	refreshTo = regexp.MustCompile(`http-equiv="refresh" content="(\d+); url=[^"]*"`)
)

// look finds the controls of the page that has come.
func (k *keyboard) look() {
	k.controls, k.focus, k.came = nil, -1, time.Now()
	action := ""
	for _, tag := range tagOfPage.FindAllStringSubmatch(k.page, -1) {
		attrs := map[string]string{}
		for _, a := range attribute.FindAllStringSubmatch(tag[3], -1) {
			attrs[a[1]] = a[2]
		}
		if tag[2] == "form" {
			action = attrs["action"]
			continue
		}
		if tag[1] != "" {
			continue
		}
		_, required := attrs["required"]
		c := control{
			name: attrs["name"], value: attrs["value"], action: action, kind: attrs["type"],
			button: tag[2] == "button", required: required, stops: attrs["tabindex"] != "-1" && attrs["type"] != "hidden",
		}
		if _, ok := attrs["autofocus"]; ok && k.focus < 0 {
			k.focus = len(k.controls)
		}
		k.controls = append(k.controls, c)
	}
}

// send sends a form, unless a field has to be filled in first.
func (k *keyboard) send(action string) {
	k.o.t.Helper()
	form := url.Values{}
	for _, c := range k.controls {
		if c.action != action || c.button || c.name == "" {
			continue
		}
		if c.required && c.value == "" {
			return
		}
		form.Add(c.name, c.value)
	}
	_, to, _ := strings.Cut(action, "hq-2-west/")
	k.post(to, form)
	k.look()
}

// types sends keys.
func (k *keyboard) types(keys string) {
	k.o.t.Helper()
	for _, key := range keys {
		if m := refreshTo.FindStringSubmatch(k.page); m != nil {
			if n, _ := strconv.Atoi(m[1]); time.Since(k.came) >= time.Duration(n)*time.Second {
				k.get("")
				k.look()
			}
		}
		switch {
		case key == waitShort:
			pass(time.Second)
		case key == waitLong:
			pass(11 * time.Second)
		case key == pressShow:
			i := slices.IndexFunc(k.controls, func(c control) bool { return c.button && strings.HasSuffix(c.action, "/jobs") })
			k.send(k.controls[i].action)
		case key == '\t':
			k.tab()
		case k.focus < 0:
		case key == '\r' || key == '\n':
			k.send(k.controls[k.focus].action)
		case !k.controls[k.focus].button:
			c := &k.controls[k.focus]
			if c.all {
				c.value, c.all = "", false
			}
			c.value += string(key)
		}
	}
}

func (k *keyboard) tab() {
	for i := k.focus + 1; i < len(k.controls); i++ {
		if k.controls[i].stops {
			k.focus, k.controls[i].all = i, true
			return
		}
	}
	k.focus = -1
}

// whose says whose jobs the page shows; the student has two, the teacher three.
func (k *keyboard) whose() string {
	for text, who := range map[string]string{"Print all 2": "student", "Print all 3": "teacher"} {
		if strings.Contains(k.page, text) {
			return who
		}
	}
	return ""
}

// chained are habits of readers whose numbers go through a chain.
type chained struct {
	chain            string
	student, teacher string // their cards as enrolled
	habits           []habit
}

// habit is how one reader sends the cards of two people, one after the other.
type habit struct {
	name             string
	student, teacher string // keys
	// whose page is shown after each; "" is nobody's.
	then [2]string
}

// each is a habit that is the same with both cards, in the place of N.
func each(name, keys, a, b string, then ...string) habit {
	if then == nil {
		then = []string{"student", "teacher"}
	}
	return habit{name, strings.ReplaceAll(keys, "N", a), strings.ReplaceAll(keys, "N", b), [2]string(then)}
}

// readerHabits are what readers and people do at a station. Without the script, some
// are for nobody; none is for another person.
func readerHabits() []chained {
	const a, b = "0042378205", "0077732803"
	const x, y = "04A21BC3", "5D8001FF"
	return []chained{
		{"[trim, upper]", a, b, []habit{
			each("Enter", "N\r", a, b),
			each("line feed", "N\n", a, b),
			each("CR LF", "N\r\n", a, b),
			each("two Enters", "N\r\r", a, b),
			each("three Enters", "N\r\r\r", a, b),
			each("two lines", "N\r\n\r\n", a, b),
			each("Enter first", "\rN\r", a, b),
			each("CR LF first", "\r\nN\r\n", a, b),
			each("Tab and Enter", "N\t\r", a, b),
			each("Tab and two Enters", "N\t\r\r", a, b),
			each("Tab and CR LF", "N\t\r\n", a, b),
			each("space and Enter", "N \r", a, b),
			each("space first", " N\r", a, b),
			each("two spaces around", "  N  \r", a, b),
			each("read twice", "N\rN\r", a, b),
			each("read three times", "N\rN\rN\r", a, b),
			each("read twice, one Enter", "NN\r", a, b),
			each("read three times, Enter at the end", "N\rNNN\r", a, b),
			each("lies on the reader", "N\r…N\r…N\r…N\r", a, b),
			each("a key a second", "0…0…N\r", a[2:], b[2:]),
			each("typed by hand, and the button", "N▣", a, b),
			each("typed by hand, slowly", "N…\r", a, b),
			each("Tab, and the button", "N\t▣", a, b),
			each("no end, and the button", "N…▣", a, b),
			each("Enter and Tab", "N\r\t", a, b, "student", "student"),
			each("Tab first", "\tN\r", a, b, "", ""),
			each("Tab alone", "N\t", a, b, "", ""),
			each("two Tabs", "N\t\t", a, b, "", ""),
			each("no end", "N", a, b, "", ""),
			{"no end, and the next presses", a, b + "▣", [2]string{"", ""}},
			{"Tab, and the next presses", a + "\t", b + "\t▣", [2]string{"", ""}},
			{"Tab, and the next sends Enter", a + "\t", b + "\r", [2]string{"", ""}},
			{"Tab, twice the same, and pressed", a + "\t", a + "\t▣", [2]string{"", "student"}},
			{"the rest of the card that is there", a + "\r", a[4:] + "\r", [2]string{"student", "student"}},
			{"both in one", a + "\r", a + b + "\r", [2]string{"student", "teacher"}},
			{"the same behind the next", a + "\r", b + "\r" + b[6:] + "\r", [2]string{"student", "teacher"}},
			{"Enter alone changes nothing", a + "\r", "\r\r\n", [2]string{"student", "student"}},
			{"a card that is the end, later", a + "\r………", a[4:] + "\r", [2]string{"student", ""}},
			{"a card that begins so", a + "\r", a + "99\r", [2]string{"student", ""}},
			{"a card that begins so, twice", a + "\r", a + "99\r" + a + "99\r", [2]string{"student", ""}},
			{"a card that ends so", a + "\r", "99" + a + "\r", [2]string{"student", ""}},
			{"a card in the middle", a + "\r", "9" + a + "9\r", [2]string{"student", ""}},
			{"half a card", a + "\r", b[:5] + "\r", [2]string{"student", ""}},
			{"half a card, and the whole", a + "\r", b[:5] + "\r" + b + "\r", [2]string{"student", "teacher"}},
			{"long after", a + "\r⋯⋯", b + "\r", [2]string{"student", "teacher"}},
		}},
		{"[trim]", "4711", "0777", []habit{
			each("short", "N\r", "4711", "0777"),
			{"a card that is the other twice", "4711\r", "47114711\r", [2]string{"student", ""}},
			{"a card that is the other three times", "4711\r", "471147114711\r", [2]string{"student", ""}},
			{"a card that is both", "4711\r", "47110777\r", [2]string{"student", ""}},
		}},
		{"[trim, upper, hex]", x, y, []habit{
			each("percent and question mark", "%N?\r", x, y),
			each("semicolon and question mark", ";N?\r", x, y),
			each("marks, and CR LF", ";N?\r\n", x, y),
			{"colons", "04:A2:1B:C3\r", "5D:80:01:FF\r", [2]string{"student", "teacher"}},
			{"dashes, lower case", "04-a2-1b-c3\r", "5d-80-01-ff\r", [2]string{"student", "teacher"}},
			{"bytes apart", "04 A2 1B C3\r", "5D 80 01 FF\r", [2]string{"student", "teacher"}},
			{"hash at the end", "04A21BC3#\r", "5D8001FF#\r", [2]string{"student", "teacher"}},
		}},
		{"[digits]", a, b, []habit{
			each("words around", "Kr. N x\r", a, b),
			each("plus", "+N\r", a, b),
			each("number pad", "N+\r", a, b),
		}},
		{`["layout:fr", digits]`, a, b, []habit{
			{"French host", "àà'é\"è_éà(\r", "ààèèè\"é_à\"\r", [2]string{"student", "teacher"}},
			{"French host, Tab and Enter", "àà'é\"è_éà(\t\r", "ààèèè\"é_à\"\t\r", [2]string{"student", "teacher"}},
			{"French host, read twice", "àà'é\"è_éà(\ràà'é\"è_éà(\r", "ààèèè\"é_à\"ààèèè\"é_à\"\r", [2]string{"student", "teacher"}},
		}},
		{`["layout:de", trim, upper]`, "04zy1bc3", "5dyz01ff", []habit{
			{"German host", "04zy1bc3\r", "5DYZ01FF\r", [2]string{"student", "teacher"}},
		}},
	}
}

// However a reader sends a number, a page shows the jobs of whose card came last, or
// nobody's, and nothing is released or deleted.
func TestReaderHabits(t *testing.T) {
	racetest.Skip(t, "one habit after the other")
	for _, r := range readerHabits() {
		t.Run(r.chain, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				o := newOffice(t, graphtest.Calm())
				o.badges = ", normalise: " + r.chain
				o.install("embedded: {store_dir: nats, max_store: 256MiB}")
				s := o.start(zap.NewNop())
				defer s.end()
				s.register()
				o.enrol(studentID, r.student)
				o.enrol(teacherID, r.teacher)
				jobs := s.hold(2)
				for range 3 {
					id, err := s.sim.Submit(graphtest.JobSpec{Printer: pullID, User: teacherID})
					if err != nil {
						t.Fatal(err)
					}
					jobs = append(jobs, id)
				}
				s.await("jobs held", 10*time.Second, func() bool { return len(s.all()) == 5 })
				for _, h := range r.habits {
					k := &keyboard{screen: o.screen()}
					k.look()
					for i, keys := range []string{h.student, h.teacher} {
						k.types(keys)
						if got := k.whose(); got != h.then[i] {
							t.Errorf("%s: after card %d the page is that of %q, want %q", h.name, i+1, got, h.then[i])
						}
					}
					if h.then[1] == "" {
						pass(time.Minute + time.Second) // what was unknown locks nobody out
					}
				}
				if n := s.applied(jobs...); n != 0 {
					t.Errorf("%d jobs moved, and nobody pressed anything", n)
				}
			})
		})
	}
}

// Nothing in the field changes nothing; two different cards are nobody's, and end the
// visit.
func TestStationFields(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, student, teacher := two(t, 2)
		defer s.end()
		c := s.screen()
		c.badge(number)
		for range 3 {
			c.badge(" ")
			c.sees("Your jobs", "Print all 2")
		}
		mine := c.form()
		c.post("jobs", url.Values{"badge": {number, teachersCard}, "visit": {c.ticket()}})
		c.sees("Two badges may have been read", `name="badge"`)
		c.post("release", mine)
		c.sees("Please show your badge again")
		c.post("jobs", url.Values{"badge": {number, number}})
		c.sees("Print all 2")
		c.post("enrol", url.Values{"badge": {number, teachersCard}, "code": {"BCDF-GHJK"}})
		c.sees("Two badges may have been read", `value="BCDF-GHJK"`)
		if n := s.applied(append(student, teacher...)...); n != 0 {
			t.Errorf("%d jobs moved", n)
		}
	})
}

// A badge whose number is the end of the one that was shown before is its owner's, and never
// that of the person before: as nobody can tell it from the rest of a second reading, it is
// asked for once more.
func TestBadgeThatIsTheEndOfAnother(t *testing.T) {
	racetest.Skip(t, "one badge after the other")
	bustest.Virtual(t, func(t *testing.T) {
		s, student, teacher := two(t, 2)
		defer s.end()
		s.enrol(studentID, "100123456")
		s.enrol(teacherID, "123456")
		c := s.screen()
		c.badge("100123456")
		c.sees("Print all 2")
		page := c.form()
		pass(5 * time.Second)
		c.badge("123456")
		c.sees("Please show yours again")
		c.post("release", page)
		if n := s.applied(teacher...); n != 0 {
			t.Errorf("%d of the teacher's jobs let go by a page of the student", n)
		}
		c.badge("123456")
		c.post("release", c.form())
		if mine, theirs := s.applied(teacher...), s.applied(student...); mine == 0 || theirs != 0 {
			t.Errorf("shown once more, the badge let go %d jobs of its owner and %d of the person before", mine, theirs)
		}
	})
}

// A card that is shown to be enrolled ends the visit of whoever was there, whatever
// becomes of it.
func TestCardToEnrolEndsTheVisit(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, student, _ := two(t, 1)
		defer s.end()
		c := s.screen()
		c.badge(number)
		mine := c.form()
		c.post("enrol", url.Values{"badge": {"12345678"}, "code": {"BCDF-GHJK"}})
		c.post("release", mine)
		c.sees("Please show your badge again")
		if n := s.applied(student...); n != 0 {
			t.Errorf("%d jobs moved by a page before another card", n)
		}
	})
}

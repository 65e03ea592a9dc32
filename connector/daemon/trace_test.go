package daemon_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata/pins, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "pins", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s differs (- as it was, + now); -update writes it anew if that is meant:\n%s", file, diff)
	}
}

// trace is what a daemon does to its store and at Graph, in order.
type trace struct {
	o     *office
	calls http.RoundTripper

	mu    sync.Mutex
	wire  *bustest.Wire // nil while no daemon runs
	bus   *bus.Bus
	dead  bool // the process was killed: Graph hears nothing of it
	lines []string
	ids   []string
	deaf  string // calls of Graph that begin so are left out
	// notices are the writes of notices, and of what is kept of them, which lines has not.
	notices int
}

// follow has the daemons of an installation traced.
func follow(o *office) *trace {
	tr := &trace{o: o, calls: o.sim.Transport()}
	tune := o.tune
	o.tune = func(d *daemonOptions) {
		if tune != nil {
			tune(d)
		}
		opened := d.Opened
		d.Transport, d.Opened = tr, func(b *bus.Bus) {
			if opened != nil {
				opened(b)
			}
			tr.opened(b)
		}
	}
	return tr
}

func (tr *trace) opened(b *bus.Bus) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.wire, tr.bus, tr.dead = bustest.Listen(tr.o.t, b), b, false
}

// close has to come before the daemon ends; killed says that it is no clean end.
func (tr *trace) close(killed bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.catchUp()
	tr.dead = killed
	tr.wire.Close()
	tr.wire = nil
}

// begin forgets what was before.
func (tr *trace) begin() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.catchUp()
	tr.lines, tr.ids = nil, nil
}

// say adds a line on what a test does.
func (tr *trace) say(what string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.catchUp()
	tr.lines = append(tr.lines, "- "+what)
}

// told are calls of Graph that belong to a job: not those that the sweep and the
// registration make again and again.
var told = regexp.MustCompile(`^/(print/printers/[^/]+(/jobs/.+)?|print/taskDefinitions/[^/]+/tasks/.+|users/.*)$`)

// RoundTrip notes a call of Graph, with what was written before it.
func (tr *trace) RoundTrip(req *http.Request) (*http.Response, error) {
	if tr.killed() {
		return nil, errors.New("the process is dead")
	}
	path, ours := strings.CutPrefix(req.URL.Path, "/v1.0")
	if !ours || !told.MatchString(path) || (tr.deaf != "" && strings.HasPrefix(path, tr.deaf)) {
		return tr.calls.RoundTrip(req)
	}
	if query, err := url.QueryUnescape(req.URL.RawQuery); err == nil && query != "" {
		path += "?" + query
	}
	tr.mu.Lock()
	tr.catchUp()
	n := len(tr.lines)
	tr.lines = append(tr.lines, "graph   "+req.Method+" "+path)
	tr.mu.Unlock()
	res, err := tr.calls.RoundTrip(req)
	if tr.killed() {
		return nil, errors.New("the process is dead")
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if n < len(tr.lines) {
		if err != nil {
			tr.lines[n] += ": no answer"
		} else {
			tr.lines[n] += ": " + fmt.Sprint(res.StatusCode)
		}
	}
	return res, err
}

func (tr *trace) killed() bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.dead
}

// catchUp takes over what has passed the wire. mu is held.
func (tr *trace) catchUp() {
	if tr.wire == nil {
		return
	}
	for _, m := range tr.wire.Passed() {
		if line := tr.line(m); line != "" {
			tr.lines = append(tr.lines, line)
		}
	}
}

// noticed is how many writes of notices there were.
func (tr *trace) noticed() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.catchUp()
	return tr.notices
}

// stored is what is looked at of any record.
type storedFields struct {
	State        string
	Intent       *struct{ Attempt int }
	Decision     struct{ ID, Verdict, Reason string }
	Reservations map[string]struct{ Attempt string }
	Outbox       []struct{ Kind string }
	Kind, Reason string
	Action       string
}

func (tr *trace) line(m bustest.Message) string {
	var v storedFields
	_ = json.Unmarshal(m.Body, &v) // what has other fields leaves these empty
	header := func(name string) string { return strings.Join(m.Header[name], ",") }
	if key, ok := strings.CutPrefix(m.Subject, "$KV.pullprint_"); ok {
		bucket, key, _ := strings.Cut(key, ".")
		if bucket == "state" && !strings.HasPrefix(key, "delegation.") {
			if strings.HasPrefix(key, "notices.") {
				tr.notices++
			}
			return ""
		}
		var about []string
		switch {
		case header("KV-Operation") != "":
			about = append(about, header("KV-Operation"))
		case bucket == "jobs":
			about = append(about, v.State+" by "+v.Decision.ID)
			if v.Intent != nil {
				about = append(about, fmt.Sprint("attempt ", v.Intent.Attempt))
			}
		case bucket == "quota":
			for job, r := range v.Reservations {
				about = append(about, "reserved for "+job+" by "+r.Attempt)
			}
			slices.Sort(about)
			for _, e := range v.Outbox {
				about = append(about, "to publish "+e.Kind)
			}
		}
		switch ttl := header("Nats-TTL"); {
		case ttl == "":
		case bucket == "jobs":
			about = append(about, "for "+ttl+" s")
		default:
			about = append(about, "for a time") // to a moment, from now on
		}
		return strings.TrimRight("store   "+bucket+" "+key+": "+strings.Join(about, ", "), ": ")
	}
	if strings.HasPrefix(m.Subject, "$JS.ACK.") {
		word, _, _ := strings.Cut(string(m.Body), " ")
		if word == "" || word == "+WPI" {
			return map[string]string{"": "ack     +ACK"}[word]
		}
		return "ack     " + word
	}
	if strings.HasPrefix(m.Subject, "pullprint.notices.job.") || strings.HasPrefix(m.Subject, "pullprint.notices.budget.") ||
		m.Subject == "pullprint.notices.hold.expired" {
		tr.notices++
		return "" // of a decision: on no way of a job, and at any time after it
	}
	id := header("Nats-Msg-Id")
	tr.ids = append(tr.ids, strings.TrimPrefix(m.Subject, "pullprint.")+"  "+id)
	line := "publish " + strings.TrimPrefix(m.Subject, "pullprint.") + " " + id
	if v.Reason != "" {
		line += " (" + v.Reason + ")"
	}
	return line
}

var (
	guid      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	auditID   = regexp.MustCompile(`\b[A-Z2-7]{26}\b`)
	accountID = regexp.MustCompile(`(ledger\.(\S+) +\S+?):[0-9a-z]+:(\d+)`)
	// final is the record of a job that has come to its end.
	final = regexp.MustCompile(`^store +jobs \S+ (aborted|completed|released|gone)\b`)
)

// named puts names in the place of ids.
func (o *office) named(text string) string {
	text = accountID.ReplaceAllString(text, "$1:{life}:$3")
	text = auditID.ReplaceAllString(text, "{random}")
	pairs := []string{
		studentID, "{student}", teacherID, "{teacher}", pullID, "{Follow-Me}", directID, "{Poster}", westID, "{West}", eastID, "{East}",
		strangeID, "{Stranger}", appID, "{app}", o.sim.Tenant(), "{tenant}",
	}
	for _, d := range o.sim.Definitions() {
		pairs = append(pairs, d, "{definition}")
	}
	for _, j := range o.sim.Jobs("") {
		if j.Task.ID != "" {
			pairs = append(pairs, j.Task.ID, "{task of "+strings.Trim(strings.NewReplacer(pairs[:16]...).Replace(j.ID.Printer),
				"{}")+" "+j.ID.Job+"}")
		}
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	seen := map[string]string{}
	return guid.ReplaceAllStringFunc(text, func(id string) string {
		if seen[id] == "" {
			seen[id] = fmt.Sprintf("{id %d}", len(seen)+1)
		}
		return seen[id]
	})
}

// text is the trace and the ids of messages. What happens at the same time is put in one
// order: reads, and the audit and the outcome of a job whose message is there still.
func (tr *trace) text() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.catchUp()
	told := map[string]bool{}
	lines := slices.DeleteFunc(slices.Clone(tr.lines), func(l string) bool {
		again := told[l] && strings.HasPrefix(l, "publish tasks.") // a duplicate, which comes at any time
		told[l] = true
		return again
	})
	for from := 0; from < len(lines); {
		n := slices.IndexFunc(lines[from:], func(l string) bool { return !strings.HasPrefix(l, "graph   GET ") })
		if n < 0 {
			n = len(lines) - from
		}
		slices.Sort(lines[from : from+n])
		from += n + 1
	}
	for i := 1; i < len(lines); i++ {
		a, b := lines[i-1], lines[i]
		if final.MatchString(a) && strings.HasPrefix(b, "publish decisions.") {
			lines[i-1], lines[i] = b, a
		}
	}
	lines = slices.Compact(lines) // how often the sweep looks at a job is not the point
	ids := slices.Clone(tr.ids)
	slices.Sort(ids)
	return tr.o.named(strings.Join(lines, "\n") + "\n\nids of messages\n" + strings.Join(slices.Compact(ids), "\n") + "\n")
}

package daemon_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// A badge that is enrolled for one person and later becomes the employeeId of another opens
// the jobs of the first; the daemon says so, once in its log, and tells no number.
func TestEnrolledBadgeOfAnotherEmployee(t *testing.T) {
	racetest.Skip(t, "an hour of one badge")
	bustest.Virtual(t, func(t *testing.T) {
		const card = "7788990011"
		core, logs := observer.New(zapcore.DebugLevel)
		o := newOffice(t, graphtest.Calm())
		o.badges = ", entra_attribute: employeeId"
		o.install("embedded: {store_dir: nats, max_store: 256MiB}")
		s := o.start(zap.New(core))
		defer s.end()
		s.register()
		o.enrol(studentID, card)
		s.hold(1)
		if out, _ := s.tap(card); len(out.Released) != 1 {
			t.Fatalf("%+v", out)
		}
		pass(16 * time.Minute) // what the directory said is asked for again
		if _, body := s.get("/readyz?verbose"); strings.Contains(body, "[!] badges") {
			t.Errorf("nobody else has it: %s", body)
		}
		o.sim.AddUser(graphtest.User{ID: teacherID, UPN: "teacher@contoso.com", EmployeeID: card})
		told := func() int {
			return logs.FilterMessage("enrolled badge is the employeeId of somebody else, its enrolled owner opens it").Len()
		}
		for range 2 {
			s.hold(1)
			if out, _ := s.tap(card); len(out.Released) != 1 {
				t.Errorf("its owner can't print: %+v", out)
			}
			pass(16 * time.Minute)
		}
		code, body := s.get("/readyz?verbose")
		if i := strings.Index(body, "[!] badges: "); code != 200 || i < 0 || !strings.Contains(body[i:], studentID) ||
			!strings.Contains(body[i:], teacherID) || strings.Contains(body, card) {
			t.Errorf("%d %s", code, body)
		}
		if n := told(); n != 1 {
			t.Errorf("the log told %d times within an hour", n)
		}
		for _, l := range logs.All() {
			if text := fmt.Sprint(l.Message, l.ContextMap()); strings.Contains(text, card) {
				t.Errorf("the log tells the card number: %s", text)
			}
		}
	})
}

// Badges, accounts and delegations of a word, as a version before took them, are counted
// and not named; those of people are not.
func TestRecordsOfAWord(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		s := o.start(zap.NewNop())
		s.register()
		o.enrol(teacherID, "0001")
		if _, body := s.get("/readyz?verbose"); strings.Contains(body, "[!] owners") {
			t.Errorf("%s", body)
		}
		s.end()
		const account = `{"seq":1}`
		ends := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		o.stored(func(ctx context.Context, b *bus.Bus) {
			overwrite(ctx, t, b.Badges(), "b.0123456789abcdef.00112233445566778899aabbccddeeff", `{"owner":"jdoe"}`)
			overwrite(ctx, t, b.Badges(), "b.0123456789abcdef.10112233445566778899aabbccddeeff",
				`{"owner":"jdoe","revoked":"2026-01-01T00:00:00Z"}`)
			overwrite(ctx, t, b.Quota(), "jdoe", account)
			overwrite(ctx, t, b.Quota(), "group.staff", account)
			overwrite(ctx, t, b.Quota(), studentID, account)
			overwrite(ctx, t, b.State(), "delegation."+studentID+".jdoe", `{"owner":"jdoe","to":"`+studentID+`","expires":"`+ends+`"}`)
			overwrite(ctx, t, b.State(), "delegation."+studentID+"."+teacherID,
				`{"owner":"`+teacherID+`","to":"`+studentID+`","expires":"`+ends+`"}`)
		})
		s = o.start(zap.NewNop())
		defer s.end()
		pass(time.Minute)
		_, body := s.get("/readyz?verbose")
		if !strings.Contains(body, "[!] owners: badges: 1, accounts: 1, delegations: 1 are of a word") || strings.Contains(body, "jdoe") {
			t.Errorf("%s", body)
		}
	})
}

package daemon_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/release"
)

// A reader with a keypad sends badge or name with the PIN. Nothing shows a PIN: no log, decision or metric.
func TestTapWithPIN(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		s := askingPINs(t, zap.New(core), "badge+pin, pin")
		defer s.end()
		ask := func(body, kind string, status, released int) {
			t.Helper()
			var p apiclient.Problem
			var out release.Outcome
			answer := any(&p)
			if status == http.StatusOK {
				answer = &out
			}
			code := s.ask(readerToken, "POST", "/v1/taps", body, answer)
			if code != status || !strings.HasSuffix(p.Type, kind) || len(out.Released) != released {
				t.Errorf("%s: %d %s, %d released", body, code, p.Type, len(out.Released))
			}
		}
		s.hold(1)
		ask(fmt.Sprintf(`{"badge":%q}`, number), "pin-needed", http.StatusForbidden, 0)
		ask(fmt.Sprintf(`{"badge":%q,"pin":%q}`, number, teachersPIN), "wrong-pin", http.StatusForbidden, 0)
		ask(fmt.Sprintf(`{"badge":"4711 4711","pin":%q}`, studentsPIN), "wrong-pin", http.StatusForbidden, 0)
		ask(fmt.Sprintf(`{"badge":%q,"pin":%q}`, number, studentsPIN), "", http.StatusOK, 1)
		s.hold(1)
		ask(fmt.Sprintf(`{"user":"nobody@contoso.com","pin":%q}`, studentsPIN), "wrong-pin", http.StatusForbidden, 0)
		ask(fmt.Sprintf(`{"user":"student@contoso.com","pin":%q}`, studentsPIN), "", http.StatusOK, 1)
		for range 3 { // with those of nobody there are five at the device
			ask(`{"user":"student@contoso.com","pin":"141421"}`, "", http.StatusForbidden, 0)
		}
		ask(fmt.Sprintf(`{"badge":%q,"pin":%q}`, digitsCard, teachersPIN), "pin-locked", http.StatusTooManyRequests, 0)
		for _, e := range logs.All() {
			if text := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(text, studentsPIN) || strings.Contains(text, teachersPIN) {
				t.Error("a PIN in the log:", text)
			}
		}
		for path := range map[string]bool{"/v1/decisions": true, "/v1/audit": true} {
			var text any
			if code := s.ask(adminToken, "GET", path, "", &text); code != http.StatusOK || strings.Contains(fmt.Sprint(text), studentsPIN) {
				t.Errorf("%s: %d %v", path, code, text)
			}
		}
	})
}

// The help desk sees whether somebody has a PIN and whether it is locked, unlocks and removes it, and the
// audit says who did.
func TestPINsOfOthers(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := askingPINs(t, zap.NewNop(), "badge+pin")
		defer s.end()
		const path = "/v1/pins/student@contoso.com"
		state := func(method, more string, set, locked bool) {
			t.Helper()
			var out apiclient.PINState
			body := `{"note":"asked by phone"}`
			if method == "GET" {
				body = ""
			}
			code := s.ask(adminToken, method, path+more, body, &out)
			if code != http.StatusOK || out.User != studentID || out.Set != set || out.LockedUntil.IsZero() == locked {
				t.Errorf("%s: %d %+v", method+more, code, out)
			}
		}
		state("GET", "", true, false)
		for range 5 {
			s.ask(readerToken, "POST", "/v1/taps", fmt.Sprintf(`{"badge":%q,"pin":"141421"}`, number), nil)
		}
		state("GET", "", true, true)
		state("POST", "/unlock", true, false)
		state("DELETE", "", false, false)
		acts := s.actions()
		for i, want := range []string{"unlock-pin", "reset-pin"} {
			a := acts[len(acts)-2+i]
			if a.Action != want || a.Owner != studentID || a.Actor != access.AdminName || a.Note != "asked by phone" {
				t.Errorf("%+v, want %s", a, want)
			}
		}
		if code := s.ask(readerToken, "GET", path, "", nil); code != http.StatusForbidden {
			t.Errorf("a reader reads it: %d", code)
		}
		const nobody = "/v1/pins/99999999-2222-4333-8444-555555555555"
		if code := s.ask(adminToken, "DELETE", nobody, "{}", nil); code != http.StatusNotFound {
			t.Errorf("nobody: %d", code)
		}
	})
}

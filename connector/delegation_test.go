package connector_test

import (
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/delegation"
)

// A record that can't be read is shown and can be removed; it lets nobody do
// anything, and the others hold. What an earlier version stored in capitals holds.
func TestDelegationsDamaged(t *testing.T) {
	b := bustest.Open(t)
	s := delegation.New(b.State())
	now := time.Now()
	until := now.Add(time.Hour).UTC().Format(time.RFC3339)
	keep(t, b.State(), "delegation."+leaverID+"."+stayerID, `{"owner":`)
	keep(t, b.State(), "delegation."+leaverID+"."+strangerID, `{"owner":"`+stayerID+`","to":"`+leaverID+`","expires":"`+until+`"}`)
	upper := strings.ToUpper(leaverID)
	keep(t, b.State(), "delegation."+upper+"."+studentID, `{"owner":"`+studentID+`","to":"`+upper+`","expires":"`+until+`"}`)
	for _, to := range []string{leaverID, upper} {
		if got, err := s.Of(t.Context(), to, now); err != nil || len(got) != 1 || got[0] != studentID {
			t.Errorf("of %s: %v %v", to, got, err)
		}
	}
	list, err := s.List(t.Context(), now)
	damaged := 0
	for _, d := range list {
		if d.Damaged {
			damaged++
		}
		if d.To != leaverID {
			t.Errorf("%+v", d)
		}
	}
	if err != nil || len(list) != 3 || damaged != 2 {
		t.Errorf("%+v %v", list, err)
	}
	for _, owner := range []string{stayerID, studentID, strings.ToUpper(strangerID)} {
		if ok, err := s.Remove(t.Context(), owner, leaverID); !ok || err != nil {
			t.Errorf("remove that of %s: %t %v", owner, ok, err)
		}
	}
	if list, err := s.List(t.Context(), now); err != nil || len(list) != 0 {
		t.Errorf("left: %+v %v", list, err)
	}
	d := delegation.Delegation{Owner: strings.ToUpper(stayerID), To: upper, Since: now, Expires: now.Add(time.Hour)}
	if err := s.Put(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Of(t.Context(), leaverID, now); err != nil || len(got) != 1 || got[0] != stayerID {
		t.Errorf("stored in capitals: %v %v", got, err)
	}
}

// Letting the same person release for a shorter time shortens what an earlier version stored
// in capitals.
func TestDelegationReplacesOneInCapitals(t *testing.T) {
	b := bustest.Open(t)
	s := delegation.New(b.State())
	now := time.Now()
	until := now.Add(48 * time.Hour).UTC().Format(time.RFC3339)
	to, owner := strings.ToUpper(leaverID), strings.ToUpper(stayerID)
	keep(t, b.State(), "delegation."+to+"."+owner, `{"owner":"`+owner+`","to":"`+to+`","expires":"`+until+`"}`)
	for range 2 {
		d := delegation.Delegation{Owner: stayerID, To: leaverID, Since: now, Expires: now.Add(time.Hour)}
		if err := s.Put(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.List(t.Context(), now); err != nil || len(list) != 1 {
		t.Errorf("stored: %+v %v", list, err)
	}
	for after, want := range map[time.Duration]int{time.Minute: 1, 2 * time.Hour: 0} {
		if got, err := s.Of(t.Context(), leaverID, now.Add(after)); err != nil || len(got) != want {
			t.Errorf("after %s: %v %v", after, got, err)
		}
	}
}

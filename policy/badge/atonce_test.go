package badge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A badge is enrolled for two people at two replicas at the same moment: whoever of them is
// told so has it, and the other is told that it is taken.
func TestEnrolAtTwoReplicas(t *testing.T) {
	for at := 0; ; at++ {
		kv := newMemory()
		var other error
		h := &hooked{memory: kv}
		h.before = func(call int) error {
			if call == at {
				_, other = newRegistry(t, kv, keyLine('a')).Enrol(t.Context(), number, enrolment(grace))
			}
			return nil
		}
		reg := newRegistry(t, kv, keyLine('a'))
		reg.kv = h
		_, err := reg.Enrol(t.Context(), number, enrolment(ada))
		if h.calls <= at {
			if at == 0 {
				t.Fatal("the store was not asked")
			}
			return
		}
		want, lost := ada, other
		if err != nil {
			want, lost = grace, err
		}
		if (err == nil) == (other == nil) || !errors.Is(lost, ErrTaken) {
			t.Errorf("before call %d: one is told %v, the other %v", at, err, other)
		}
		if got, err := newRegistry(t, kv, keyLine('a')).Resolve(t.Context(), number, now); err != nil || got.Owner != want {
			t.Errorf("before call %d: %+v, %v; want that of %s", at, got, err, want)
		}
	}
}

// A code that comes up twice is not given to a second person: they get another.
func TestCodeComesUpTwice(t *testing.T) {
	reg := newRegistry(t, newMemory(), keyLine('a'))
	issue := func(owner string, dice []byte) string {
		t.Helper()
		text, err := reg.IssueCode(t.Context(), enrolment(owner), time.Hour, bytes.NewReader(dice))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	same := make([]byte, codeLength)
	first := issue(ada, same)
	second := issue(grace, append(slices.Clone(same), bytes.Repeat([]byte{1}, codeLength)...))
	if first == second {
		t.Fatal("one code for two")
	}
	if got, err := reg.Redeem(t.Context(), first, number, now); err != nil || got.Owner != ada {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := reg.Redeem(t.Context(), second, "7700", now); err != nil || got.Owner != grace {
		t.Errorf("%+v, %v", got, err)
	}
}

// What can't be an owner or a user name is enrolled by no way.
func TestBadEnrolments(t *testing.T) {
	reg := newRegistry(t, newMemory(), keyLine('a'))
	for name, change := range map[string]func(*Enrolment){
		"no owner":           func(e *Enrolment) { e.Owner = "" },
		"a user name":        func(e *Enrolment) { e.Owner = "ada@contoso.com" },
		"too long":           func(e *Enrolment) { e.UserPrincipalName = strings.Repeat("a", 245) + "@contoso.com" },
		"not UTF-8":          func(e *Enrolment) { e.UserPrincipalName = "ad\xff@contoso.com" },
		"a control":          func(e *Enrolment) { e.UserPrincipalName = "ada\n@contoso.com" },
		"a space":            func(e *Enrolment) { e.UserPrincipalName = "ada l@contoso.com" },
		"no @":               func(e *Enrolment) { e.UserPrincipalName = "ada" },
		"two @":              func(e *Enrolment) { e.UserPrincipalName = "ada@contoso@com" },
		"has expired before": func(e *Enrolment) { e.Expires = e.Now },
	} {
		e := enrolment(ada)
		change(&e)
		if _, err := reg.Enrol(t.Context(), number, e); !errors.Is(err, ErrEnrolment) {
			t.Errorf("%s: enrolled: %v", name, err)
		}
		if _, err := reg.IssueCode(t.Context(), e, time.Hour, bytes.NewReader(make([]byte, 2*codeLength))); !errors.Is(err, ErrEnrolment) {
			t.Errorf("%s: a code is issued: %v", name, err)
		}
	}
	long := enrolment(ada)
	long.UserPrincipalName = strings.Repeat("a", 244) + "@contoso.com"
	if _, err := reg.Enrol(t.Context(), number, long); err != nil {
		t.Error(err)
	}
}

// A page and a list of a person's badges have nobody else's.
func TestBadgesOfOnePerson(t *testing.T) {
	reg := newRegistry(t, newMemory(), keyLine('a'))
	for number, owner := range map[string]string{"7001": ada, "7002": grace, "7003": ada, "7004": grace} {
		if _, err := reg.Enrol(t.Context(), number, enrolment(owner)); err != nil {
			t.Fatal(err)
		}
	}
	page, next, err := reg.Page(t.Context(), strings.ToUpper(ada), 0, 10)
	if err != nil || next != 0 || len(page) != 2 || page[0].Owner != ada || page[1].Owner != ada {
		t.Errorf("%+v, %d, %v", page, next, err)
	}
	var list []Badge
	err = reg.List(t.Context(), ada, func(b Badge) error { list = append(list, b); return nil })
	if err != nil || len(list) != 2 || list[0].Owner != ada || list[1].Owner != ada {
		t.Errorf("%+v, %v", list, err)
	}
}

// A chain makes no number longer than numbers may be, and a file no more work than it may.
func TestSizesThatEnd(t *testing.T) {
	for _, step := range []string{"pad:1000000", "pad:0"} {
		if c, err := ParseChain([]string{step}); err == nil {
			t.Errorf("%s is taken: %v", step, c)
		}
	}
	reg := newRegistry(t, newMemory(), keyLine('a'))
	var file strings.Builder
	file.WriteString("badge,owner\n")
	for i := range maxRows + 1 {
		fmt.Fprintf(&file, "%d,%s\n", 100_000+i, ada)
	}
	if _, err := reg.Import(context.Background(), strings.NewReader(file.String()), enrolment(ada)); err == nil ||
		!strings.Contains(err.Error(), "split the file") {
		t.Errorf("a file of any length is imported: %.200v", err)
	}
}

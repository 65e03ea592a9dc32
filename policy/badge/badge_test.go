package badge

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pullprint/trigger/fuzztest"

	"pgregory.net/rapid"
)

// memory is a bucket with the compare-and-set of the real one.
type memory struct {
	mu   sync.Mutex
	rev  uint64
	data map[string]entry
}

type entry struct {
	value []byte
	rev   uint64
}

func newMemory() *memory { return &memory{data: map[string]entry{}} }

func (m *memory) Get(_ context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.data[key]
	return e.value, e.rev, nil
}

func (m *memory) CompareAndSet(_ context.Context, key string, value []byte, rev uint64, _ time.Duration) (uint64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data[key].rev != rev {
		return 0, false, nil
	}
	m.rev++
	m.data[key] = entry{slices.Clone(value), m.rev}
	return m.rev, true, nil
}

func (m *memory) Delete(_ context.Context, key string, rev uint64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if rev == 0 || m.data[key].rev != rev {
		return false, nil
	}
	delete(m.data, key)
	return true, nil
}

func (m *memory) Each(_ context.Context, filter string, fn func(string, []byte, uint64) error) error {
	m.mu.Lock()
	data := maps.Clone(m.data)
	m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if strings.HasPrefix(key, strings.TrimSuffix(filter, ">")) {
			if err := fn(key, data[key].value, data[key].rev); err != nil {
				return err
			}
		}
	}
	return nil
}

var now = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

const (
	ada    = "11111111-2222-4333-8444-555555555555"
	grace  = "66666666-7777-4888-8999-aaaaaaaaaaaa"
	number = "04A21BC3" // planted: nothing may show it
)

func enrolment(owner string) Enrolment { return Enrolment{Owner: owner, By: "helpdesk", Now: now} }

func keyLine(b byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(b)), minKey)))
}

func mustKeys(t testing.TB, lines ...string) Keys {
	t.Helper()
	k, err := ParseKeys([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustChain(t testing.TB, steps ...string) Chain {
	t.Helper()
	c, err := ParseChain(steps)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newRegistry(t testing.TB, kv KV, keys ...string) *Registry {
	t.Helper()
	return NewRegistry(kv, mustKeys(t, keys...), mustChain(t, DefaultNormalise...))
}

// The examples of ParseChain, and one card as four readers tell of it.
func TestChain(t *testing.T) {
	for _, c := range []struct {
		steps    []string
		in, want string
	}{
		{[]string{"trim"}, " 04a2\t\n", "04a2"},
		{[]string{"trim", "upper"}, " 04a2 ", "04A2"},
		{[]string{"lower"}, "04A2", "04a2"},
		{[]string{"digits"}, "No 123-4", "1234"},
		{[]string{"strip-separators"}, "04:A2-1B C.3", "04A21BC3"},
		{[]string{"strip-zeros"}, "0001234", "1234"},
		{[]string{"strip-zeros"}, "000", "0"},
		{[]string{"hex-to-dec"}, number, "77732803"},
		{[]string{"dec-to-hex"}, "77732803", "4A21BC3"},
		{[]string{"reverse-bytes"}, number, "C31BA204"},
		{[]string{"reverse-bytes"}, "4A21BC3", "C31BA204"},
		{[]string{"pad:10"}, "77732803", "0077732803"},
		{[]string{"pad:2"}, "77732803", "77732803"},
		{[]string{"prefix:HQ"}, "1234", "HQ1234"},
		{[]string{"cut:2:8"}, "0004A21BC300", "04A21BC3"},
		// facility 116, card 6255: parity 1 0, in hexadecimal and decimal
		{[]string{"strip-parity:hex"}, "2E830DE", "74186F"},
		{[]string{"strip-parity:26:hex"}, "2e830df", "74186F"},
		{[]string{"strip-parity"}, "48771294", "7608431"},
		{[]string{"strip-parity:26"}, "15216863", "7608431"}, // other parity bits
		{[]string{"strip-parity:37"}, "68841124062", "60823663"},
		{[]string{"strip-parity:37:hex"}, "10074030DF", "3A0186F"},
		// one 26-bit card: facility 116, card 6255, as five readers tell of it
		{[]string{"hex-to-dec", "strip-parity", "pad:8"}, "2E830DE", "07608431"},
		{[]string{"strip-parity", "pad:8"}, "48771294", "07608431"},
		{[]string{"strip-parity:hex", "hex-to-dec", "pad:8"}, "02E830DE", "07608431"},
		{[]string{"reverse-bytes", "strip-parity:hex", "hex-to-dec", "pad:8"}, "DE30E802", "07608431"},
		{[]string{"digits", "pad:8"}, "7608431 \r\n", "07608431"},
		{[]string{"hex-to-dec"}, strings.Repeat("F", 64), "115792089237316195423570985008687907853269984665640564039457584007913129639935"},
		// one card, four readers
		{[]string{"trim", "upper"}, "04a21bc3\r\n", number},
		{[]string{"strip-separators", "upper"}, "04:a2:1b:c3", number},
		{[]string{"reverse-bytes", "upper"}, "c31ba204", number},
		{[]string{"digits", "dec-to-hex", "pad:8"}, "0077732803", number},
	} {
		got, err := mustChain(t, c.steps...).Apply(c.in)
		if err != nil || got != c.want {
			t.Errorf("%v of %q = %q, %v; want %q", c.steps, c.in, got, err, c.want)
		}
	}
}

func TestChainRefuses(t *testing.T) {
	for steps, in := range map[string]string{
		"trim": "  ", "hex-to-dec": "04G2", "dec-to-hex": number, "reverse-bytes": "xyz", "digits": "abc",
		"cut:2:8": number, "strip-parity": "67108864", "strip-parity:hex": "4000000", "strip-parity:37:hex": "2000000000",
		"strip-parity:26": "2E830DE", "upper": strings.Repeat("1", maxNumber+1), "pad:3": "-" + strings.Repeat("1", maxNumber),
	} {
		got, err := mustChain(t, steps).Apply(in)
		if !errors.Is(err, ErrNumber) {
			t.Errorf("%s of %q = %q, %v", steps, in, got, err)
		} else if strings.Contains(err.Error(), in) && strings.TrimSpace(in) != "" {
			t.Errorf("%s quotes the number: %v", steps, err)
		}
	}
	for _, bad := range []string{
		"uper", "trim:3", "prefix", "pad:", "pad:x", "pad:0", "cut:1", "cut:1:0", "cut:a:2", "cut:9223372036854775807:1",
		"cut:1:9223372036854775807", "strip-parity:", "strip-parity:34", "strip-parity:hex:37", "strip-parity:hex:hex", "",
		"prefix:" + strings.Repeat("x", 33),
	} {
		_, err := ParseChain([]string{"trim", bad})
		var se *StepError
		if !errors.As(err, &se) || se.Index != 1 || se.Step != bad {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := ParseChain([]string{"uper", "trim", "padd:3"}); err == nil || strings.Count(err.Error(), "no such step") != 2 {
		t.Errorf("not every bad step is named: %v", err)
	}
}

func TestBaseProperty(t *testing.T) {
	toDec, toHex := mustChain(t, "hex-to-dec"), mustChain(t, "dec-to-hex")
	rapid.Check(t, func(rt *rapid.T) {
		n := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 1, 16).Draw(rt, "card"))
		dec, err := toDec.Apply(fmt.Sprintf("%X", n))
		if err != nil || dec != n.String() {
			rt.Fatalf("%s, %v", dec, err)
		}
		if back, err := toHex.Apply(dec); err != nil || back != fmt.Sprintf("%X", n) {
			rt.Fatalf("%s, %v", back, err)
		}
	})
}

func TestKeys(t *testing.T) {
	k := mustKeys(t, "# the new one", keyLine('b'), "", hex.EncodeToString([]byte(strings.Repeat("a", minKey))))
	if ids := k.IDs(); len(ids) != 2 || ids[0] == ids[1] || len(ids[0]) != 8 {
		t.Errorf("%v", ids)
	}
	for name, text := range map[string]string{
		"empty": "", "comment": "# nothing\n", "short": base64.StdEncoding.EncodeToString([]byte("short-PLANTED")),
		"words": "PLANTED words", "twice": keyLine('a') + "\n" + keyLine('a'),
	} {
		_, err := ParseKeys([]byte(text))
		if !errors.Is(err, ErrKeyFile) || strings.Contains(err.Error(), "PLANTED") ||
			(name != "twice" && !strings.Contains(err.Error(), "openssl rand")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnrolResolveRevoke(t *testing.T) {
	ctx := t.Context()
	b := newRegistry(t, newMemory(), keyLine('a'))
	if _, err := b.Resolve(ctx, number, now); !errors.Is(err, ErrUnknown) || !errors.Is(err, ErrNotValid) {
		t.Errorf("before: %v", err)
	}
	first, err := b.Enrol(ctx, " 04a21bc3 ", enrolment(ada))
	if err != nil || len(first.ID) != 16 {
		t.Fatalf("%+v, %v", first, err)
	}
	again := enrolment(ada)
	again.Now, again.By = now.Add(time.Hour), "other"
	if same, err := b.Enrol(ctx, number, again); err != nil || same != first {
		t.Errorf("again: %+v, %v", same, err)
	}
	if got, err := b.Resolve(ctx, number, now); err != nil || got != first {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := b.Enrol(ctx, number, enrolment(grace)); !errors.Is(err, ErrTaken) {
		t.Errorf("taken: %v", err)
	}
	replace := enrolment(grace)
	replace.Replace = true
	if got, err := b.Enrol(ctx, number, replace); err != nil || got.Owner != grace {
		t.Errorf("replaced: %+v, %v", got, err)
	}
	if got, err := b.Revoke(ctx, Which{ID: first.ID}, "admin", now); err != nil || len(got) != 1 || got[0].RevokedBy != "admin" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := b.Revoke(ctx, Which{Number: number}, "admin", now); err != nil || len(got) != 0 {
		t.Errorf("a second time: %+v, %v", got, err)
	}
	if _, err := b.Resolve(ctx, number, now); !errors.Is(err, ErrRevoked) {
		t.Errorf("revoked: %v", err)
	}
	if got, err := b.Enrol(ctx, number, enrolment(ada)); err != nil || got.Owner != ada { // a revoked badge is free
		t.Errorf("%+v, %v", got, err)
	}
	for _, w := range []Which{{}, {ID: "0123456789abcdef"}, {Owner: grace}, {Number: "FF"}} {
		if _, err := b.Revoke(ctx, w, "admin", now); !errors.Is(err, ErrUnknown) {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

func TestTemporaryBadge(t *testing.T) {
	b := newRegistry(t, newMemory(), keyLine('a'))
	e := enrolment(ada)
	e.Expires = now.Add(time.Hour)
	if _, err := b.Enrol(t.Context(), number, e); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Resolve(t.Context(), number, now.Add(time.Hour-time.Second)); err != nil {
		t.Error(err)
	}
	if _, err := b.Resolve(t.Context(), number, now.Add(time.Hour)); !errors.Is(err, ErrExpired) {
		t.Error(err)
	}
	e.Expires = now
	if _, err := b.Enrol(t.Context(), number, e); !errors.Is(err, ErrEnrolment) {
		t.Errorf("expired before it began: %v", err)
	}
	for _, owner := range []string{"", "a b", "ada@contoso.com", "*", strings.Repeat("a", 65)} {
		if _, err := b.Enrol(t.Context(), number, enrolment(owner)); !errors.Is(err, ErrEnrolment) {
			t.Errorf("%q: %v", owner, err)
		}
	}
}

// Keys rotate: the old key still finds its badges, a tap stores them under the
// new one, and a key that is gone too early is told of.
func TestRotation(t *testing.T) {
	ctx, kv := t.Context(), newMemory()
	old, a, b := newRegistry(t, kv, keyLine('a')), keyLine('a'), keyLine('b')
	for _, n := range []string{"1001", "1002"} {
		if _, err := old.Enrol(ctx, n, enrolment(ada)); err != nil {
			t.Fatal(err)
		}
	}
	both := newRegistry(t, kv, b, a)
	if err := both.Check(ctx); err != nil {
		t.Error(err)
	}
	if got, err := both.Resolve(ctx, "1001", now); err != nil || got.Owner != ada {
		t.Fatalf("%+v, %v", got, err)
	}
	if len(kv.data) != 2 {
		t.Errorf("%d badges after the tap, want 2", len(kv.data))
	}
	only := newRegistry(t, kv, b)
	if _, err := only.Resolve(ctx, "1001", now); err != nil {
		t.Errorf("moved badge: %v", err)
	}
	if _, err := only.Resolve(ctx, "1002", now); !errors.Is(err, ErrUnknown) {
		t.Errorf("badge of the old key: %v", err)
	}
	err := only.Check(ctx)
	if !errors.Is(err, ErrKeyChanged) || !strings.Contains(err.Error(), "1 badge was enrolled under key "+mustKeys(t, a).IDs()[0]) {
		t.Errorf("%v", err)
	}
	if done, err := only.Revoke(ctx, Which{KeyID: mustKeys(t, a).IDs()[0]}, "admin", now); err != nil || len(done) != 1 {
		t.Errorf("%v, %v", done, err)
	}
	if err := only.Check(ctx); err != nil {
		t.Error(err)
	}
}

// A code enrols one badge, once, however many try at once.
func TestCode(t *testing.T) {
	ctx, kv := t.Context(), newMemory()
	b := newRegistry(t, kv, keyLine('a'))
	text, err := b.IssueCode(ctx, enrolment(ada), time.Hour, rand.Reader)
	if err != nil || len(text) != codeLength+1 {
		t.Fatalf("%q, %v", text, err)
	}
	for key, e := range kv.data {
		if s := key + string(e.value); strings.Contains(s, text) || strings.Contains(s, strings.ReplaceAll(text, "-", "")) {
			t.Errorf("the code is stored: %s", s)
		}
	}
	if _, err := b.Redeem(ctx, "BCDF-GHJK", number, now); !errors.Is(err, ErrCode) {
		t.Errorf("wrong code: %v", err)
	}
	if _, err := b.Enrol(ctx, "7700", enrolment(grace)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Redeem(ctx, text, "7700", now); !errors.Is(err, ErrTaken) {
		t.Errorf("somebody else's badge: %v", err)
	}
	if _, err := b.Redeem(ctx, text, number, now.Add(time.Hour)); !errors.Is(err, ErrCode) {
		t.Errorf("expired: %v", err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 64 {
		wg.Go(func() {
			got, err := b.Redeem(ctx, strings.ToLower(strings.ReplaceAll(text, "-", " ")), fmt.Sprint(1000+i), now)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && got.Owner == ada && got.By == "code":
				won++
			case !errors.Is(err, ErrCode):
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d enrolled with one code", won)
	}
	for _, d := range []time.Duration{0, time.Second, MaxCodeLife + 1} {
		if _, err := b.IssueCode(ctx, enrolment(ada), d, rand.Reader); !errors.Is(err, ErrEnrolment) {
			t.Errorf("%s: %v", d, err)
		}
	}
}

func TestImport(t *testing.T) {
	for name, c := range map[string]struct {
		csv  string
		n    int
		want string
	}{
		"plain":   {"badge,owner\n" + number + "," + ada + "\n7700," + grace + "\n", 2, ""},
		"excel":   {"\ufeffOwner;Badge;expires;user_principal_name\r\n" + ada + ";7700;2027-01-01;ada@contoso.com\r\n", 1, ""},
		"empty":   {"", 0, "line 1: the file is empty; its first line is badge,owner,user_principal_name,expires"},
		"no rows": {"badge,owner\n", 0, "line 1: there is no badge after the line of column names"},
		"no names": {
			number + "," + ada + "\n", 0,
			"line 1: column 1 has an unknown name; the first line is badge,owner,user_principal_name,expires\n" +
				"line 1: column 2 has an unknown name; the first line is badge,owner,user_principal_name,expires\n" +
				"line 1, badge: the column is missing\nline 1, owner: the column is missing",
		},
		"two columns": {"badge,owner,badge\n", 0, "line 1, badge: there are two such columns"},
		"all mistakes": {
			"badge,owner,expires\n7700," + ada + ",soon\n" + number + ",ada@contoso.com,\n," + ada + "\n", 0,
			"line 2, expires: not a time as " +
				"2026-12-24T12:00:00Z or a date as 2026-12-24\nline 3, owner: the owner is an Entra object id, as " +
				"11111111-2222-4333-8444-555555555555, or a user name like anna@contoso.com\n" +
				"line 4, badge: the card number can't be used: nothing is left of it",
		},
		"twice":    {"badge,owner\n" + number + "," + ada + "\n 04a21bc3," + grace + "\n", 0, "line 3, badge: the same badge is in line 2"},
		"taken":    {"badge,owner\n9900," + ada + "\n", 0, "line 2, badge: " + ErrTaken.Error()},
		"past":     {"badge,owner,expires\n7700," + ada + ",2020-01-01\n", 0, "line 2, expires: it would have expired already"},
		"quotes":   {"badge,owner\n\"7700," + ada + "\n", 0, `line 2: extraneous or missing " in quoted-field`},
		"too many": {"badge,owner\n7700," + ada + ",x\n", 0, "line 2: 3 fields, and 2 columns"},
		"too few fields": {
			"badge,owner\n7700\n", 0, "line 2, owner: the owner is an Entra object id, as 11111111-2222-4333-8444-555555555555, " +
				"or a user name like anna@contoso.com",
		},
	} {
		t.Run(name, func(t *testing.T) {
			kv := newMemory()
			b := newRegistry(t, kv, keyLine('a'))
			if _, err := b.Enrol(t.Context(), "9900", enrolment(grace)); err != nil {
				t.Fatal(err)
			}
			n, err := b.Import(t.Context(), strings.NewReader(c.csv), Enrolment{By: "helpdesk", Now: now})
			var wrong ImportError
			switch {
			case c.want == "" && (err != nil || n != c.n):
				t.Errorf("%d, %v", n, err)
			case c.want != "" && (!errors.As(err, &wrong) || err.Error() != c.want):
				t.Errorf("%v", err)
			case c.want != "" && len(kv.data) != 1:
				t.Errorf("half done: %d badges stored", len(kv.data))
			case err != nil && strings.Contains(err.Error(), number):
				t.Errorf("quotes a number: %v", err)
			}
		})
	}
}

// Nothing that is stored shows a card number, in any form a reader tells it.
func TestNumbersAreNotStored(t *testing.T) {
	kv := newMemory()
	b := newRegistry(t, kv, keyLine('a'))
	if _, err := b.Enrol(t.Context(), number, enrolment(ada)); err != nil {
		t.Fatal(err)
	}
	for key, e := range kv.data {
		all := strings.ToUpper(key + " " + string(e.value))
		for _, form := range []string{number, "77732803", "C31BA204", strings.ToUpper(hex.EncodeToString([]byte(number)))} {
			if strings.Contains(all, form) {
				t.Errorf("%s is stored: %s", form, all)
			}
		}
	}
}

func FuzzApply(f *testing.F) {
	f.Add("trim,upper", " 04a2 ")
	f.Add("hex-to-dec,strip-parity,pad:8", "2E8C0DE")
	f.Add("cut:1:2,reverse-bytes", "04A21B")
	f.Add("cut:9223372036854775807:1", "1")
	f.Add("strip-parity:37:hex,hex-to-dec", "10074030DF")
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, steps, number string) {
		defer watch.Input(t)()
		c, err := ParseChain(strings.Split(steps, ","))
		if err != nil {
			return
		}
		got, err := c.Apply(number)
		if err == nil && (got == "" || len(got) > maxNumber) {
			t.Errorf("%q", got)
		}
		if err != nil && !errors.Is(err, ErrNumber) {
			t.Errorf("%v", err)
		}
	})
}

func FuzzImport(f *testing.F) {
	f.Add("badge,owner\n1," + ada + "\n")
	f.Add("\ufeffbadge;owner;expires\n\"1\";x;2026-01-01\n")
	f.Add("badge\n\x00")
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, text string) {
		defer watch.Input(t)()
		kv := newMemory()
		b := newRegistry(t, kv, keyLine('a'))
		n, err := b.Import(t.Context(), strings.NewReader(text), Enrolment{By: "x", Now: now})
		if err != nil && len(kv.data) != 0 {
			t.Errorf("half done: %v", err)
		}
		if err == nil && len(kv.data) != n {
			t.Errorf("%d enrolled, %d stored", n, len(kv.data))
		}
	})
}

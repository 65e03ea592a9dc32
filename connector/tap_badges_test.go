package connector_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/policy/badge"
)

// Planted: the numbers and what other readers make of them. Nothing may show one.
var plantedCards = map[string][]string{
	"04A21BC3F7E689": {"04A21BC3F7E689", "1304140042462857", "89E6F7C31BA204"},
	"5544332211EE":   {"5544332211EE", "93751404007918", "EE1122334455"},
}

func badgeKey(seed byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{seed}, 32))
}

func badgeBook(t testing.TB, b *bus.Bus, keys ...string) *badge.Registry {
	t.Helper()
	k, err := badge.ParseKeys([]byte(strings.Join(keys, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	chain, err := badge.ParseChain([]string{"trim", "upper"})
	if err != nil {
		t.Fatal(err)
	}
	return badge.NewRegistry(b.Badges(), k, chain)
}

func badgeOf(owner string) badge.Enrolment {
	return badge.Enrolment{Owner: owner, UserPrincipalName: "ada@contoso.com", By: "helpdesk", Now: time.Now()}
}

// Badges on JetStream: what was answered is there after a kill, old keys still
// find theirs, and what was revoked stays revoked.
func TestBadgesSurviveKill(t *testing.T) {
	t.Parallel()
	ctx, b := t.Context(), bustest.Open(t)
	registry := badgeBook(t, b, badgeKey(1))
	first, err := registry.Enrol(ctx, "1001", badgeOf(studentID))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Enrol(ctx, "1002", badgeOf(strangerID)); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Enrol(ctx, "1001", badgeOf(strangerID)); !errors.Is(err, badge.ErrTaken) {
		t.Errorf("taken: %v", err)
	}
	if done, err := registry.Revoke(ctx, badge.Which{Owner: strangerID}, "admin", time.Now()); err != nil || len(done) != 1 {
		t.Fatalf("%v, %v", done, err)
	}
	bustest.Kill(t, b)
	b = bustest.Reopen(t, b)
	rotated := badgeBook(t, b, badgeKey(2), badgeKey(1))
	if got, err := rotated.Resolve(ctx, " 1001\n", time.Now()); err != nil || got.Owner != studentID || got.ID != first.ID {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := rotated.Resolve(ctx, "1002", time.Now()); !errors.Is(err, badge.ErrRevoked) {
		t.Errorf("revoked: %v", err)
	}
	last := badgeBook(t, b, badgeKey(2)) // both have moved
	if err := last.Check(ctx); err != nil {
		t.Error(err)
	}
	if got, err := last.Resolve(ctx, "1001", time.Now()); err != nil || got.ID != first.ID {
		t.Errorf("%+v, %v", got, err)
	}
	if err := badgeBook(t, b, badgeKey(3)).Check(ctx); !errors.Is(err, badge.ErrKeyChanged) ||
		!strings.Contains(err.Error(), "2 badges were enrolled") {
		t.Errorf("%v", err)
	}
}

// 64 at once with one code: one badge.
func TestOneCodeOneBadge(t *testing.T) {
	t.Parallel()
	ctx, b := t.Context(), bustest.Open(t)
	registry := badgeBook(t, b, badgeKey(1))
	code, err := registry.IssueCode(ctx, badgeOf(studentID), time.Hour, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	won := make(chan string, 64)
	var g errgroup.Group
	for i := range 64 {
		g.Go(func() error {
			number := fmt.Sprint(2000 + i)
			switch _, err := registry.Redeem(ctx, code, number, time.Now()); {
			case err == nil:
				won <- number
			case !errors.Is(err, badge.ErrCode):
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	close(won)
	if len(won) != 1 {
		t.Fatalf("%d enrolled with one code", len(won))
	}
	stored := 0
	if err := registry.List(ctx, "", func(badge.Badge) error { stored++; return nil }); err != nil || stored != 1 {
		t.Errorf("%d badges, %v", stored, err)
	}
	if got, err := registry.Resolve(ctx, <-won, time.Now()); err != nil || got.Owner != studentID {
		t.Errorf("%+v, %v", got, err)
	}
}

// 16 people want one card at once: it is one's, and the others are told.
func TestOneBadgeOneOwner(t *testing.T) {
	t.Parallel()
	ctx, b := t.Context(), bustest.Open(t)
	registry := badgeBook(t, b, badgeKey(1))
	owners := make(chan string, 16)
	var g errgroup.Group
	for i := range 16 {
		g.Go(func() error {
			owner := fmt.Sprintf("%08d-2222-4333-8444-555555555555", i)
			switch _, err := registry.Enrol(ctx, "3000", badgeOf(owner)); {
			case err == nil:
				owners <- owner
			case !errors.Is(err, badge.ErrTaken):
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	close(owners)
	if len(owners) != 1 {
		t.Fatalf("%d were told that it is theirs", len(owners))
	}
	if got, err := registry.Resolve(ctx, "3000", time.Now()); err != nil || got.Owner != <-owners {
		t.Errorf("%+v, %v", got, err)
	}
}

// A file of badges is stored whole or not at all, also a second time.
func TestImportBadges(t *testing.T) {
	t.Parallel()
	ctx, b := t.Context(), bustest.Open(t)
	registry := badgeBook(t, b, badgeKey(1))
	var file strings.Builder
	file.WriteString("badge;owner\n")
	const n = 1100 // more than the server answers at once
	for i := range n {
		fmt.Fprintf(&file, "%d;%08d-2222-4333-8444-555555555555\n", 4000+i, i%7)
	}
	if _, err := registry.Import(ctx, strings.NewReader(file.String()+"4000;00000001-2222-4333-8444-555555555555\n"),
		badgeOf("")); err == nil {
		t.Error("a number twice")
	}
	count := func(owner string) (n int) {
		if err := registry.List(ctx, owner, func(badge.Badge) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := count(""); got != 0 {
		t.Fatalf("half done: %d", got)
	}
	for range 2 {
		start := time.Now()
		if got, err := registry.Import(ctx, strings.NewReader(file.String()), badgeOf("")); err != nil || got != n {
			t.Fatalf("%d, %v", got, err)
		}
		t.Logf("%d rows in %s", n, time.Since(start))
		if got, of := count(""), count("00000003-2222-4333-8444-555555555555"); got != n || of != n/7 {
			t.Errorf("%d badges, %d of one owner", got, of)
		}
	}
}

// No file of the store shows a card number in any form: enrolled, moved to
// another key, revoked, imported, refused, looked for in vain.
func TestCardNumbersAreNotOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, b := t.Context(), bustest.Open(t, bustest.Dir(dir))
	old, registry := badgeBook(t, b, badgeKey(1)), badgeBook(t, b, badgeKey(2), badgeKey(1))
	var said []string
	tell := func(v any, err error) { said = append(said, fmt.Sprintf("%+v %v", v, err)) }
	for number := range plantedCards {
		tell(old.Resolve(ctx, number, time.Now()))
		tell(old.Enrol(ctx, number, badgeOf(studentID)))
		tell(old.Enrol(ctx, number, badgeOf(strangerID)))
		tell(registry.Resolve(ctx, number, time.Now()))
		code, err := registry.IssueCode(ctx, badgeOf(strangerID), time.Hour, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tell(registry.Redeem(ctx, code, number, time.Now()))
		tell(registry.Import(ctx, strings.NewReader("badge,owner,expires\n"+number+",bad owner,soon\n"+number+",x,\n"), badgeOf("")))
		tell(registry.Import(ctx, strings.NewReader("badge,owner\n\""+number+"\"x,"+studentID+"\n"), badgeOf("")))
		tell(registry.Import(ctx, strings.NewReader(number+","+studentID+"\n"), badgeOf("")))
		tell(registry.Import(ctx, strings.NewReader("badge,owner\n"+number+","+strangerID+"\n"), badgeOf("")))
		tell(registry.Revoke(ctx, badge.Which{Number: number}, "admin", time.Now()))
		tell(registry.Resolve(ctx, number, time.Now()))
	}
	sawOwner := false
	scan := func(where string, content []byte) {
		upper := bytes.ToUpper(content)
		sawOwner = sawOwner || bytes.Contains(content, []byte(studentID))
		for number, forms := range plantedCards {
			raw, err := hex.DecodeString(number)
			if err != nil {
				t.Fatal(err)
			}
			for _, form := range append(forms, string(raw), strings.ToUpper(hex.EncodeToString([]byte(number))),
				base64.StdEncoding.EncodeToString([]byte(number))) {
				if bytes.Contains(content, []byte(form)) || bytes.Contains(upper, []byte(form)) {
					t.Errorf("%s shows %q", where, form)
				}
			}
		}
	}
	scan("an answer", []byte(strings.Join(said, "\n")))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	sawOwner = false
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(root, path)
		scan(path, append([]byte(path+"\n"), content...))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !sawOwner {
		t.Error("the scan does not even see an owner: it reads the wrong files")
	}
}

// A tap costs the same with few and with many badges.
func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{10, 2000} {
		b.Run(fmt.Sprintf("badges=%d", n), func(b *testing.B) {
			registry := badgeBook(b, bustest.Open(b), badgeKey(1))
			ctx := context.Background()
			var g errgroup.Group
			g.SetLimit(64)
			for i := range n {
				g.Go(func() error { _, err := registry.Enrol(ctx, fmt.Sprint(1000+i), badgeOf(studentID)); return err })
			}
			if err := g.Wait(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := registry.Resolve(ctx, "1007", time.Now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

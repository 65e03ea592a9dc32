package auth_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
)

// keeping is a tenant whose administrator signs in.
type keeping struct {
	t     *testing.T
	sim   *graphtest.Sim
	cfg   graph.Config
	o     graph.Options
	admin string
	keep  auth.StoredSignIn
}

func newKeeping(t *testing.T) *keeping {
	t.Helper()
	sim := graphtest.New(graphtest.Calm())
	t.Cleanup(sim.Close)
	sim.AddApp(graphtest.App{ClientID: signInApp, Secret: "secret"})
	sim.AddPrinter(graphtest.Printer{ID: "printer-1", DisplayName: "Follow-Me"})
	dir := t.TempDir()
	k := &keeping{
		t: t, sim: sim, o: graph.Options{Transport: sim.Transport()},
		cfg: graph.Config{
			TenantID: sim.Tenant(), Auth: auth.Config{ClientID: signInApp},
			Endpoints: graph.Endpoints{Graph: "http://127.0.0.1:9440/v1.0", Authority: "http://127.0.0.1:9440"},
		},
		admin: sim.AddUser(graphtest.User{UPN: "admin@contoso.com", Administrator: true}).ID,
		keep:  auth.StoredSignIn{SignInFile: filepath.Join(dir, "kept"), KeyFile: filepath.Join(dir, "key")},
	}
	write(t, k.keep.KeyFile, []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))+"\n"))
	return k
}

func (k *keeping) signIn() *graph.Client {
	k.t.Helper()
	c, err := graph.SignInPerson(k.t.Context(), k.cfg, k.o, graph.TriggerRights, func(p auth.Prompt) {
		if err := k.sim.ApproveDevice(p.Code, k.admin); err != nil {
			k.t.Error(err)
		}
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

func (k *keeping) resume() error {
	c, err := graph.ResumePerson(k.t.Context(), k.cfg, k.o, graph.TriggerRights, k.keep)
	if err != nil {
		return err
	}
	_, err = c.Triggers(k.t.Context(), "printer-1")
	return err
}

// A sign-in is kept only when asked for, encrypted, and renewed while it is used;
// the one that is renewed is kept too.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeping(t)
		if err := k.resume(); !errors.Is(err, auth.ErrNotStored) {
			t.Errorf("%v", err)
		}
		c := k.signIn()
		if _, err := os.Stat(k.keep.SignInFile); !os.IsNotExist(err) {
			t.Errorf("kept although nobody asked: %v", err)
		}
		if err := c.StoreSignIn(k.keep); err != nil {
			t.Fatal(err)
		}
		first := k.kept()
		for _, token := range k.sim.RefreshTokens() {
			if bytes.Contains(first, []byte(token)) || bytes.Contains(first, []byte(base64.StdEncoding.EncodeToString([]byte(token)))) {
				t.Error("the token can be read")
			}
		}
		time.Sleep(2 * time.Hour) // virtual: the token ends
		if _, err := c.Triggers(t.Context(), "printer-1"); err != nil {
			t.Error(err)
		}
		if bytes.Equal(k.kept(), first) {
			t.Error("the renewed sign-in is not kept")
		}
		if err := k.resume(); err != nil {
			t.Error(err)
		}
		k.sim.RevokeSignIns(k.admin)
		var refused *auth.Error
		if err := k.resume(); !errors.As(err, &refused) || !refused.Permanent() ||
			!strings.Contains(err.Error(), "sign in again with `pullprint register plan --keep`") {
			t.Errorf("revoked: %v", err)
		}
		if err := errors.Join(k.keep.Forget(), k.keep.Forget()); err != nil {
			t.Error(err)
		}
		if err := k.resume(); !errors.Is(err, auth.ErrNotStored) {
			t.Errorf("forgotten: %v", err)
		}
	})
}

// dead is a network on which nobody answers.
type dead struct{}

func (dead) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("nobody there") }

func (k *keeping) kept() []byte {
	k.t.Helper()
	src, err := os.ReadFile(k.keep.SignInFile)
	if err != nil {
		k.t.Fatal(err)
	}
	if st, err := os.Stat(k.keep.SignInFile); err != nil || st.Mode().Perm() != 0o600 {
		k.t.Errorf("%v %v", st.Mode(), err)
	}
	return src
}

// What can't be opened is told with what to do, and is of use to nobody else.
func TestKeepTrouble(t *testing.T) { synctest.Test(t, testKeepTrouble) }

func testKeepTrouble(t *testing.T) {
	k := newKeeping(t)
	if err := k.signIn().StoreSignIn(k.keep); err != nil {
		t.Fatal(err)
	}
	sealed := k.kept()
	cut := bytes.Clone(sealed)
	cut[len(cut)/2] ^= 1
	for name, c := range map[string]struct {
		change func()
		want   string
	}{
		"another key": {
			func() { write(t, k.keep.KeyFile, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32)))) },
			"is not the key that it was kept under",
		},
		"a short key":     {func() { write(t, k.keep.KeyFile, []byte("c2hvcnQ=")) }, "administrator.key_file holds no key"},
		"no key":          {func() { _ = os.Remove(k.keep.KeyFile) }, "read the key of the kept sign-in"},
		"another app":     {func() { k.cfg.Auth.ClientID = "815f204f-c791-4ee6-9098-614ecdb00000" }, "it is of another tenant or app"},
		"changed":         {func() { write(t, k.keep.SignInFile, cut) }, "sign in again with `pullprint register plan --keep`"},
		"something else":  {func() { write(t, k.keep.SignInFile, []byte("refresh")) }, "holds no kept sign-in"},
		"nothing in it":   {func() { write(t, k.keep.SignInFile, nil) }, "holds no kept sign-in"},
		"nobody there":    {func() { k.o.Transport = dead{} }, "no token"},
		"as it should be": {func() {}, ""},
	} {
		cfg, keep, o := k.cfg, k.keep, k.o
		key, err := os.ReadFile(keep.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		c.change()
		err = k.resume()
		if (c.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		k.cfg, k.keep, k.o = cfg, keep, o
		write(t, keep.KeyFile, key)
		write(t, keep.SignInFile, sealed)
	}
	k.keep.SignInFile = filepath.Join(t.TempDir(), "none", "kept")
	if err := k.signIn().StoreSignIn(k.keep); err == nil || !strings.Contains(err.Error(), "has to be there and writable") {
		t.Error(err)
	}
}

// A daemon acts by a kept sign-in while somebody else has theirs kept, or has it forgotten:
// what is kept then stays so when the daemon renews its own.
func TestKeptSignInOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeping(t)
		if err := k.signIn().StoreSignIn(k.keep); err != nil {
			t.Fatal(err)
		}
		daemon, err := graph.ResumePerson(t.Context(), k.cfg, k.o, graph.TriggerRights, k.keep)
		if err != nil || !daemon.SignInStored(t.Context()) {
			t.Fatal(err)
		}
		renewed := func() {
			t.Helper()
			time.Sleep(2 * time.Hour) // virtual: the token ends
			if _, err := daemon.Triggers(t.Context(), "printer-1"); err != nil {
				t.Error(err)
			}
		}
		renewed()
		if !daemon.SignInStored(t.Context()) {
			t.Error("its own is not kept anew")
		}
		if err := k.signIn().StoreSignIn(k.keep); err != nil {
			t.Fatal(err)
		}
		others := k.kept()
		renewed()
		if !bytes.Equal(k.kept(), others) || daemon.SignInStored(t.Context()) {
			t.Error("the sign-in of another is overwritten")
		}
		if err := k.keep.Forget(); err != nil {
			t.Fatal(err)
		}
		renewed()
		if err := k.resume(); !errors.Is(err, auth.ErrNotStored) || daemon.SignInStored(t.Context()) {
			t.Errorf("what was forgotten is kept again: %v", err)
		}
	})
}

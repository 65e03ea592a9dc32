package daemon

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
)

// Whoever prints self-tests has their sign-in revoked in Entra, and signs in anew: that one
// is used, also where nobody looks at triggers by it.
func TestSignedInAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const app = "815f204f-c791-4ee6-9098-614ecdb003f6"
		sim := graphtest.New(graphtest.Calm())
		defer sim.Close()
		sim.AddApp(graphtest.App{ClientID: app, Secret: "secret"})
		sim.AddPrinter(graphtest.Printer{ID: "printer-1", DisplayName: "Follow-Me"})
		id := sim.AddUser(graphtest.User{UPN: "admin@contoso.com", Administrator: true}).ID
		dir := t.TempDir()
		a := &administrator{
			turn: make(chan struct{}, 1), log: zap.NewNop(), rights: graph.PrintRights,
			cfg: graph.Config{
				TenantID: sim.Tenant(), Auth: auth.Config{ClientID: app},
				Endpoints: graph.Endpoints{Graph: "http://127.0.0.1:9440/v1.0", Authority: "http://127.0.0.1:9440"},
			},
			o:    graph.Options{Transport: sim.Transport()},
			keep: auth.StoredSignIn{SignInFile: filepath.Join(dir, "kept"), KeyFile: filepath.Join(dir, "key")},
		}
		key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
		if err := os.WriteFile(a.keep.KeyFile, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		signIn := func() {
			t.Helper()
			c, err := graph.SignInPerson(t.Context(), a.cfg, a.o, a.rights, func(p auth.Prompt) {
				if err := sim.ApproveDevice(p.Code, id); err != nil {
					t.Error(err)
				}
			})
			if err == nil {
				err = c.StoreSignIn(a.keep)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		prints := func() error {
			time.Sleep(2 * time.Hour) // virtual: the token ends
			p, err := a.printing(t.Context())
			if err == nil {
				_, err = p.CreateJob(t.Context(), "printer-1")
			}
			return err
		}
		signIn()
		if err := prints(); err != nil {
			t.Error(err)
		}
		sim.RevokeSignIns(id)
		var refused *auth.Error
		if err := prints(); !errors.As(err, &refused) || !refused.Permanent() {
			t.Errorf("revoked: %v", err)
		}
		signIn()
		if err := prints(); err != nil {
			t.Errorf("signed in anew: %v", err)
		}
		if err := a.keep.Forget(); err != nil {
			t.Fatal(err)
		}
		if err := prints(); !errors.Is(err, auth.ErrNotStored) {
			t.Errorf("forgotten: %v", err)
		}
	})
}

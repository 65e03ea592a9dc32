package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/trigger/graph/graphtest"
)

func demoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:         "demo",
		Annotations: drainsAtEnd,
		Short:       "See it work: a simulated office, no account, no network",
		Long: `Starts a simulated Universal Print, an embedded NATS and the daemon in this
process, on loopback only, and plays a short office morning. Everything is kept
in a temporary folder that is removed at the end, or, when the demo was killed,
by the next. Runs until Ctrl-C.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, out, end := untilClosed(cmd.Context(), cmd.OutOrStdout())
			defer end()
			o.out, o.logTo, o.color = out, cmd.ErrOrStderr(), colored(cmd.OutOrStdout())
			err := demo(ctx, o)
			if errors.Is(context.Cause(ctx), errOutputClosed) {
				return errOutputClosed
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&o.once, "once", false, "end after the script")
	cmd.Flags().BoolVar(&o.log, "log", false, "show the daemon's log on stderr")
	cmd.Flags().BoolVar(&o.hostile, "hostile", false,
		"let the simulator throttle, fail, and lose replies and notifications")
	cmd.Flags().Uint64Var(&o.seed, "seed", 0, "seed of the simulator's accidents; 0 chooses one")
	return cmd
}

// The demo's tenant. Ids and the secret are the simulator's own.
const (
	demoApp    = "815f204f-c791-4ee6-9098-614ecdb003f6"
	demoSecret = "demo-secret-of-the-simulator"
	demoPull   = "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1"
	demoDirect = "2f3453b7-93c0-4b5b-8bd6-1a2f0a3a4e11"
	demoWest   = "9a3b3956-5a0e-4c5b-9d1a-61a1c2d3e4f5"
	demoAdmin  = "5b0c3a9e-0009-4c1d-8a2b-3c4d5e6f7089"
	demoEast   = "1c2d3e4f-7b8c-4d9e-8f0a-112233445566"

	demoAdminToken  = "demo-admin-token"
	demoReaderToken = "demo-reader-token" //nolint:gosec // made for the demo, and shown in it
)

// demoPeople are the people of the demo, with their groups and card numbers.
var demoPeople = []struct{ id, upn, group, badge string }{
	{"5b0c3a9e-0001-4c1d-8a2b-3c4d5e6f7081", "teacher@contoso.com", "staff", "1001"},
	{"5b0c3a9e-0002-4c1d-8a2b-3c4d5e6f7082", "office@contoso.com", "staff", "1002"},
	{"5b0c3a9e-0003-4c1d-8a2b-3c4d5e6f7083", "student@contoso.com", "students", "1003"},
}

const demoPolicy = `default: {pull: hold, direct: complete}
prices: {page: 1, color: 5}
allowances:
  - {name: students, when: '"students" in user.groups', pages: 30, every: week}
unmatched: free
rules:
  - name: colour-bulk
    at: arrival
    when: 'job.color && job.copies > 20'
    verdict: abort
    reason: color.too-many
    text: 'A colour job of {{ job.copies }} copies is over the limit of 20.'
    remedy: 'Print it in black and white, or order it at the print shop.'
  - name: posters-by-staff
    at: arrival
    when: 'queue.name == "Poster" && !("staff" in user.groups)'
    verdict: abort
    reason: poster.staff-only
    text: 'The poster printer is for staff.'
    remedy: 'Send it to Follow-Me, or ask a member of staff to print it.'
`

const demoConfig = `tenant_id: %s
endpoints: {graph: "http://%[2]s/v1.0", authority: "http://%[2]s"}
auth: {client_id: %s, client_secret_file: client-secret}
webhook: {listen: "%[4]s", public_url: "http://%[4]s"}
queues:
  - {printer_id: %s, name: Follow-Me, mode: pull, hold_for: 24h}
  - {printer_id: %s, name: Poster, mode: direct}
devices:
  - {id: hq-2-west, printer_id: %s, queues: [Follow-Me], token_file: reader-token, location: "HQ, 2nd floor", phone: true}
  - {id: hq-2-east, printer_id: %s, queues: [Follow-Me]}
policy: {file: policy.yaml}
badges: {key_file: badge-key}
admin: {listen: "%s", token_file: admin-token}
nats: {embedded: {store_dir: nats, max_store: 256MiB}}
sign_in: {public_url: "http://%[9]s", roles: {admin: [pullprint.admin]}}
metrics: {listen: "%s"}
administrator: {sign_in_file: administrator, key_file: administrator-key}
selftest: {queue: Poster, user: %s}
notices: {mail: {from: printing@contoso.com, graph: true}}
`

// demo plays the office morning. It leaves nothing behind.
func demo(ctx context.Context, o demoOptions) (err error) {
	dir, remove, err := demoFolder()
	if err != nil {
		return err
	}
	shown := false
	defer func() {
		rerr := remove()
		if shown && rerr == nil {
			fmt.Fprintf(o.out, "\nStopped; %s is removed.\n", dir)
		}
		err = errors.Join(err, rerr)
	}()
	lns, err := listenLoopback(ctx, 4)
	if err != nil {
		return err
	}
	at := addresses{
		sim: lns[0].Addr().String(), hook: lns[1].Addr().String(), metrics: lns[2].Addr().String(),
		admin: lns[3].Addr().String(),
	}
	defer closeAll(lns)

	sim := demoSimulator(o)
	defer sim.Close()
	cfg, err := demoFiles(dir, sim.Tenant(), at)
	if err != nil {
		return err
	}
	p := newPresenter(o, sim, cfg, at)
	p.opening(dir)
	shown = true
	log := zap.NewNop()
	if o.log {
		if log, err = newLogger(config.Log{Level: "info", Format: "json"}, o.logTo); err != nil {
			return err
		}
	}
	return p.run(ctx, lns, log)
}

// run runs the simulator, the daemon and the script until all have ended.
func (p *presenter) run(ctx context.Context, lns []net.Listener, log *zap.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, gctx := errgroup.WithContext(ctx)
	graphCtx, graphStop := context.WithCancel(context.WithoutCancel(ctx))
	defer graphStop()
	g.Go(func() error { return serveUntilDone(graphCtx, lns[0], simulatorHandler(p.sim)) })
	g.Go(func() error {
		defer graphStop() // not before: what the daemon has in hand at its end needs Graph
		return daemon.Run(gctx, daemon.Options{Config: p.cfg, Logger: log, OnDecision: p.decided, Listen: taken(lns)})
	})
	g.Go(func() error {
		err := p.morning(gctx)
		if err == nil && !p.once {
			<-gctx.Done()
		}
		stop()
		return err
	})
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// colored reports whether colours may be written to out.
func colored(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// demoSimulator is the simulated tenant before anything happened.
func demoSimulator(o demoOptions) *graphtest.Sim {
	k := graphtest.Calm()
	if o.hostile {
		k = graphtest.Hostile()
	}
	k.Seed, k.DeviceInterval = o.seed, time.Second
	sim := graphtest.New(k)
	sim.AddApp(graphtest.App{ClientID: demoApp, Secret: demoSecret})
	sim.AddPrinter(graphtest.Printer{ID: demoPull, DisplayName: "Follow-Me", Virtual: true})
	sim.AddPrinter(graphtest.Printer{ID: demoDirect, DisplayName: "Poster"})
	sim.AddPrinter(graphtest.Printer{ID: demoWest, DisplayName: "HQ 2 West"})
	sim.AddPrinter(graphtest.Printer{ID: demoEast, DisplayName: "HQ 2 East"})
	sim.AddUser(graphtest.User{ID: demoAdmin, UPN: "admin@contoso.com", Administrator: true, AppRoles: []string{"pullprint.admin"}})
	sim.AddUser(graphtest.User{UPN: "printing@contoso.com"}) // the mailbox of notices
	for _, u := range demoPeople {
		sim.AddUser(graphtest.User{ID: u.id, UPN: u.upn, Groups: []graphtest.Group{{DisplayName: u.group}}})
	}
	return sim
}

// addresses are where the parts of the demo listen.
type addresses struct{ sim, hook, metrics, admin string }

// demoFiles writes what a real installation has in /etc/pullprint and loads it.
func demoFiles(dir, tenant string, at addresses) (*config.Config, error) {
	var key [32]byte
	rand.Read(key[:])
	text := fmt.Sprintf(demoConfig, tenant, at.sim, demoApp, at.hook, demoPull, demoDirect, demoWest, demoEast, at.admin,
		at.metrics, demoAdmin)
	for name, content := range map[string]string{
		"config.yaml": text, "policy.yaml": demoPolicy, "client-secret": demoSecret,
		"badge-key": hex.EncodeToString(key[:]), "administrator-key": base64.StdEncoding.EncodeToString(key[:]),
		"admin-token": demoAdminToken, "reader-token": demoReaderToken,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return nil, fmt.Errorf("write the demo's files: %w", err)
		}
	}
	return config.Load(filepath.Join(dir, "config.yaml"))
}

func listenLoopback(ctx context.Context, n int) ([]net.Listener, error) {
	var lns []net.Listener
	for range n {
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			closeAll(lns)
			return nil, fmt.Errorf("listen on loopback: %w", err)
		}
		lns = append(lns, ln)
	}
	return lns, nil
}

func closeAll(lns []net.Listener) {
	for _, ln := range lns {
		_ = ln.Close() // closed by its server already, most often
	}
}

// taken hands out listeners that are open already, by their address.
func taken(lns []net.Listener) func(network, address string) (net.Listener, error) {
	return func(network, address string) (net.Listener, error) {
		for _, ln := range lns {
			if ln.Addr().String() == address {
				return ln, nil
			}
		}
		return nil, fmt.Errorf("no listener for %s %s", network, address)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/listen"
)

// What the simulator is made of when nothing else is asked for: always the same, so that a configuration outlives it.
const (
	simulatorApp    = "5a1b7c52-3d0e-4f6a-9b1c-7e2f8d4c6a90"
	simulatorSecret = "the-simulators-secret"
	simulatorPull   = "6f1d2c3b-4a59-4e68-8f70-1b2c3d4e5f60"
	simulatorDirect = "7a2e3d4c-5b6a-4f79-9081-2c3d4e5f6a71"
	simulatorWest   = "8b3f4e5d-6c7b-4a8a-8192-3d4e5f6a7b82"
	simulatorEast   = "9c405f6e-7d8c-4b9b-92a3-4e5f6a7b8c93"
)

type simulatorOptions struct {
	listen, smtp     string
	allowRemote      bool
	hosts            []string
	calm, verbose    bool
	noBind           bool
	seed             uint64
	tenant           string
	clientID, secret string
	latency          time.Duration
	printTime        time.Duration
	out              io.Writer
}

func simulatorCommand() *cobra.Command {
	var o simulatorOptions
	cmd := &cobra.Command{
		Use:         "simulator",
		Annotations: drainsAtEnd,
		Short:       "A Universal Print to rehearse against, without an account",
		Long: `Serves the part of Microsoft Graph and Entra that pullprint uses, with a small
office in it: two queues, two devices and a few people. A page at / shows every
job, sends new ones, and makes Graph worse or better. Everything is in memory.

It is hostile unless told to be calm: it throttles, fails, loses replies and
notifications, as Graph does on a bad day. The same seed gives the same bad day.`,
		Example: "  pullprint simulator --listen 127.0.0.1:9440\n  pullprint simulator --calm --latency 40ms",
		Args:    wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.out = cmd.OutOrStdout()
			return runSimulator(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:9440", "`ADDR` to listen on")
	f.StringVar(&o.smtp, "smtp", "", "`ADDR` of a mail server, whose messages the page shows; none when not given")
	f.BoolVar(&o.allowRemote, "allow-remote", false,
		"allow an address that other machines can reach; there is no authentication on the page")
	f.StringSliceVar(&o.hosts, "host", nil,
		"with --allow-remote: host `NAME` by which the page may be reached, besides IP addresses")
	f.BoolVar(&o.calm, "calm", false, "begin without faults")
	f.Uint64Var(&o.seed, "seed", 0, "seed of everything random; 0 chooses one")
	f.BoolVar(&o.noBind, "no-triggers", false,
		"do not bind the queues when pullprint makes its task definition; do it on the page")
	f.StringVar(&o.tenant, "tenant", "", "tenant `ID` (default a fixed one)")
	f.StringVar(&o.clientID, "client-id", simulatorApp, "client `ID` of the application")
	f.StringVar(&o.secret, "client-secret", simulatorSecret, "client `SECRET` to expect; not one that is used elsewhere")
	durationVar(f, &o.latency, "latency", 0, "how long each call takes")
	durationVar(f, &o.printTime, "print-time", 2*time.Second, "how long a released job prints")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print a line for each call")
	return cmd
}

func runSimulator(ctx context.Context, o simulatorOptions) error {
	if err := o.check(); err != nil {
		return usageError{err}
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen for the simulator: %w; choose another address with --listen", err)
	}
	addr, err := listen.Reachable(ln.Addr().String())
	if err != nil {
		return err
	}
	sim := o.office(addr)
	defer sim.Close()
	handler := simulatorHandler(sim, o.hosts...)
	if o.verbose {
		handler = (&callPrinter{out: o.out}).wrap(handler)
	}
	o.printAddresses(sim, addr)
	if o.smtp == "" {
		return serveUntilDone(ctx, ln, handler)
	}
	mail, err := lc.Listen(ctx, "tcp", o.smtp)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for mail: %w; choose another address with --smtp", err), ln.Close())
	}
	fmt.Fprintf(o.out, "It takes mail too, with this in config.yaml:\n\n"+
		"  notices: {mail: {from: printing@contoso.com, smtp: {address: %q, tls: none}}}\n",
		mail.Addr().String())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return sim.ServeMail(ctx, mail) })
	g.Go(func() error { return serveUntilDone(ctx, ln, handler) })
	return g.Wait()
}

// check refuses an address that other machines can reach, unless it was asked for.
func (o simulatorOptions) check() error {
	if err := o.checkAddress("--listen", o.listen, "127.0.0.1:9440"); err != nil || o.smtp == "" {
		return err
	}
	return o.checkAddress("--smtp", o.smtp, "127.0.0.1:9425")
}

func (o simulatorOptions) checkAddress(flag, addr, example string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s %q: want host:port, such as %s", flag, addr, example)
	}
	ip := net.ParseIP(host)
	if host != "localhost" && (ip == nil || !ip.IsLoopback()) && !o.allowRemote {
		return fmt.Errorf("%s %q can be reached from other machines, and anyone who reaches the simulator is its "+
			"administrator: listen on 127.0.0.1, or add --allow-remote", flag, addr)
	}
	return nil
}

// office is the tenant that the simulator starts with.
func (o simulatorOptions) office(addr string) *graphtest.Sim {
	k := graphtest.Hostile()
	if o.calm {
		k = graphtest.Calm()
	}
	k.Seed, k.Tenant, k.Latency, k.PrintTime = o.seed, o.tenant, o.latency, o.printTime
	k.VerificationURI = "http://" + addr + "/"
	k.DeviceInterval = time.Second // nobody likes to wait in a rehearsal
	if !o.noBind {
		k.BindQueues = []string{simulatorPull, simulatorDirect}
	}
	sim := graphtest.New(k)
	sim.AddApp(graphtest.App{ClientID: o.clientID, Secret: o.secret})
	for _, p := range []graphtest.Printer{
		{ID: simulatorPull, DisplayName: "Follow-Me", Virtual: true},
		{ID: simulatorDirect, DisplayName: "Poster"},
		{ID: simulatorWest, DisplayName: "hq-2-west"},
		{ID: simulatorEast, DisplayName: "hq-3-east"},
	} {
		sim.AddPrinter(p)
	}
	for i, person := range []struct {
		name, group string
		roles       []string
	}{
		{"teacher", "staff", nil},
		{"office", "staff", []string{"pullprint.operate"}},
		{"student", "students", nil},
		{"visitor", "guests", nil},
		{"administrator", "staff", []string{"pullprint.admin"}},
	} {
		sim.AddUser(graphtest.User{
			UPN: person.name + "@contoso.com", EmployeeID: fmt.Sprintf("E%04d", 1001+i),
			Groups: []graphtest.Group{{DisplayName: person.group}}, Administrator: person.name == "administrator",
			AppRoles: person.roles,
		})
	}
	return sim
}

// printAddresses says where the simulator is, and how to sign in to it.
func (o simulatorOptions) printAddresses(sim *graphtest.Sim, addr string) {
	mood := "hostile; --calm or the page for quiet"
	if o.calm {
		mood = "calm; the page makes it hostile"
	}
	fmt.Fprintf(o.out, `Universal Print, simulated

  control page    http://%[1]s/
  graph           http://%[1]s/v1.0
  authority       http://%[1]s
  tenant          %[2]s
  client id       %[3]s
  client secret   %[4]s
  badges          E1001 teacher, E1002 office, E1003 student, E1004 visitor
  app roles       administrator pullprint.admin, office pullprint.operate
  seed            %[5]d (%[6]s)

To run pullprint against it, make its secrets and put this into config.yaml:

  (umask 077; printf %%s '%[4]s' > client-secret
   openssl rand -base64 32 > badge-key; openssl rand -base64 32 > admin-token)

  tenant_id: %[2]s
  endpoints: {graph: "http://%[1]s/v1.0", authority: "http://%[1]s"}
  auth: {client_id: %[3]s, client_secret_file: client-secret}
  webhook: {listen: "127.0.0.1:8443", public_url: "http://127.0.0.1:8443"}
  queues:
    - {printer_id: %[7]s, name: Follow-Me, mode: pull, hold_for: 24h}
    - {printer_id: %[8]s, name: Poster, mode: direct}
  devices:
    - {id: hq-2-west, printer_id: %[9]s, queues: [Follow-Me]}
    - {id: hq-3-east, printer_id: %[10]s, queues: [Follow-Me]}
  badges: {key_file: badge-key, entra_attribute: employeeId}
  admin: {listen: "127.0.0.1:8080", token_file: admin-token}
  sign_in:
    public_url: http://127.0.0.1:8080
    roles: {admin: [pullprint.admin], operate: [pullprint.operate]}
  nats: {embedded: {store_dir: nats, max_store: 256MiB}}

Ctrl-C ends it.
`, addr, sim.Tenant(), o.clientID, o.secret, sim.Seed(), mood,
		simulatorPull, simulatorDirect, simulatorWest, simulatorEast)
}

// simulatorHandler serves Graph, the authority, documents and the control page on one address. The page answers to
// localhost, to IP addresses and to the host names given.
func simulatorHandler(sim *graphtest.Sim, hosts ...string) http.Handler {
	control := sim.Control(hosts...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/_sim/") {
			control.ServeHTTP(w, r)
			return
		}
		sim.ServeHTTP(w, r)
	})
}

// serveUntilDone serves until ctx ends, then lets calls under way finish for two seconds.
func serveUntilDone(ctx context.Context, ln net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	if err := listen.Serve(ctx, srv, 2*time.Second, func() error { return srv.Serve(ln) }); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// callPrinter prints a line for each call.
type callPrinter struct {
	mu  sync.Mutex
	out io.Writer
}

func (p *callPrinter) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &statusRecorder{ResponseWriter: w, status: "lost"} // stays so when the simulator hangs up
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			fmt.Fprintf(p.out, "%s %-5s %-6s %s %s\n", start.Format("15:04:05.000"), rec.status, r.Method, r.URL.EscapedPath(),
				time.Since(start).Round(10*time.Microsecond))
		}()
		next.ServeHTTP(rec, r)
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status string
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = fmt.Sprint(status)
	r.ResponseWriter.WriteHeader(status)
}

func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

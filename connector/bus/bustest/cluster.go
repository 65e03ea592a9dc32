package bustest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Nodes is how many servers a Cluster has.
const Nodes = 3

// Cluster is a NATS cluster on loopback that is made for one test: its servers
// can be stopped and started one by one.
type Cluster struct {
	tb    testing.TB
	files [Nodes]string // their configurations
	addrs [Nodes]string
	runs  [Nodes]*server.Server
}

// StartCluster starts a cluster of servers in this process.
func StartCluster(tb testing.TB) *Cluster {
	tb.Helper()
	c := layCluster(tb, func(_ int, others []string) []string { return others })
	for i := range Nodes {
		c.Start(i)
	}
	tb.Cleanup(func() {
		for i := range Nodes {
			c.Stop(i)
		}
	})
	c.awaitLeader()
	return c
}

// layCluster writes the configurations of a cluster and starts nothing. ways tells by which addresses a
// server reaches those of the others. Servers tell nobody of addresses, so that nobody goes another way:
// where they say that they are, nobody listens.
func layCluster(tb testing.TB, ways func(server int, addresses []string) []string) *Cluster {
	tb.Helper()
	c := &Cluster{tb: tb}
	dir := TempDir(tb)
	var routes [Nodes]string
	for i := range Nodes {
		c.addrs[i], routes[i] = FreeAddress(tb), FreeAddress(tb)
	}
	for i := range Nodes {
		c.files[i] = filepath.Join(dir, fmt.Sprintf("n%d.conf", i))
		text := fmt.Sprintf(`server_name: n%d
listen: %q
jetstream: {store_dir: %q, sync_interval: always, max_file_store: 4GB, max_memory_store: 64MB}
cluster: {name: office, listen: %q, advertise: %q, no_advertise: true, routes: ["nats://%s"]}
`, i, c.addrs[i], filepath.Join(dir, fmt.Sprint("store", i)), routes[i], FreeAddress(tb),
			strings.Join(ways(i, routes[:]), `", "nats://`))
		if err := os.WriteFile(c.files[i], []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

// URL are the addresses of all servers, as in nats.url.
func (c *Cluster) URL() string { return "nats://" + strings.Join(c.addrs[:], ",nats://") }

// Start starts a server that does not run.
func (c *Cluster) Start(i int) {
	c.tb.Helper()
	if c.runs[i] == nil {
		c.runs[i] = startServer(c.tb, c.files[i])
	}
}

// Stop ends a server as SIGTERM does; what it has stored stays.
func (c *Cluster) Stop(i int) {
	if s := c.runs[i]; s != nil {
		s.Shutdown()
		s.WaitForShutdown()
		c.runs[i] = nil
	}
}

// FromFile starts a server in this process from a configuration file, ends it
// with the test, and returns its address. What more does to the options comes
// after the file.
func FromFile(tb testing.TB, file string, more ...func(*server.Options)) string {
	tb.Helper()
	s := startServer(tb, file, more...)
	tb.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s.ClientURL()
}

// Serve starts a server in this process from a configuration file, as it is, until
// stop or the end of the test.
func Serve(tb testing.TB, file string) (stop func()) {
	tb.Helper()
	s := startServer(tb, file)
	stop = sync.OnceFunc(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	tb.Cleanup(stop)
	return stop
}

// Port and Store are for FromFile: any free port of loopback, and a store of the test's.
func Port(o *server.Options) { o.Host, o.Port = "127.0.0.1", server.RANDOM_PORT }

// Store gives the server a store that ends with the test.
func Store(tb testing.TB) func(*server.Options) {
	return func(o *server.Options) { o.StoreDir = TempDir(tb) }
}

func startServer(tb testing.TB, file string, more ...func(*server.Options)) *server.Server {
	tb.Helper()
	opts, err := server.ProcessConfigFile(file)
	if err != nil {
		tb.Fatalf("read %s: %v", file, err)
	}
	opts.NoSigs, opts.NoLog = true, true
	for _, m := range more {
		m(opts)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		tb.Fatalf("make the server of %s: %v", file, err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		tb.Fatalf("the server of %s is not ready", file)
	}
	return s
}

var givenPorts sync.Map // by FreeAddress

// FreeAddress is a loopback address that nobody listens on; see NewAddress.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	address, err := NewAddress()
	if err != nil {
		tb.Fatal(err)
	}
	return address
}

// NewAddress is a loopback address that nobody listens on. Its port is none of those that
// the system gives to outgoing connections: somebody who stops listening there can begin
// again. No port is given twice in one process.
func NewAddress() (string, error) {
	for range 100 {
		port := 15000 + rand.IntN(17000)
		if _, given := givenPorts.LoadOrStore(port, true); given {
			continue
		}
		ln, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			continue
		}
		return ln.Addr().String(), ln.Close()
	}
	return "", errors.New("no free port")
}

// awaitLeader waits until JetStream of the cluster answers.
func (c *Cluster) awaitLeader() {
	c.tb.Helper()
	if !c.ask(30*time.Second, func(ctx context.Context, js jetstream.JetStream) bool {
		info, err := js.AccountInfo(ctx)
		return err == nil && info != nil
	}) {
		c.tb.Fatal("the cluster has found no leader")
	}
}

// Leader is the number of the server that leads a stream; -1 when none does.
func (c *Cluster) Leader(stream string) int {
	leader := -1
	c.ask(30*time.Second, func(ctx context.Context, js jetstream.JetStream) bool {
		s, err := js.Stream(ctx, stream)
		if err != nil || s.CachedInfo().Cluster == nil {
			return false
		}
		_, err = fmt.Sscanf(s.CachedInfo().Cluster.Leader, "n%d", &leader)
		return err == nil
	})
	return leader
}

// StepDown makes another server lead a stream.
func (c *Cluster) StepDown(stream string) error {
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if !c.ask(10*time.Second, func(ctx context.Context, js jetstream.JetStream) bool {
		msg, err := js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil)
		return err == nil && json.Unmarshal(msg.Data, &answer) == nil
	}) {
		return errors.New("step down: no answer")
	}
	if answer.Error != nil {
		return answer.Error
	}
	return nil
}

// Settled waits until each stream has a leader and all its copies are up to date.
func (c *Cluster) Settled(within time.Duration) bool {
	return c.ask(within, func(ctx context.Context, js jetstream.JetStream) bool {
		n := 0
		all := js.ListStreams(ctx)
		for info := range all.Info() {
			if info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != Nodes-1 {
				return false
			}
			for _, r := range info.Cluster.Replicas {
				if !r.Current || r.Offline {
					return false
				}
			}
			n++
		}
		return all.Err() == nil && n > 0
	})
}

// ask connects and asks again until ok says yes or the time is up.
func (c *Cluster) ask(within time.Duration, ok func(context.Context, jetstream.JetStream) bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if c.once(ctx, ok) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

func (c *Cluster) once(ctx context.Context, ok func(context.Context, jetstream.JetStream) bool) bool {
	nc, err := nats.Connect(c.URL(), nats.Timeout(2*time.Second), nats.NoReconnect())
	if err != nil {
		return false
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return ok(ctx, js)
}

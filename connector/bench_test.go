package connector_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector"
	"pullprint/connector/arrival"
	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/delegation"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/store"
	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/webhook"
)

// stub is the cheapest Graph there can be: every job exists, waits for us, and
// is aborted with a 204. It tells of each abort on aborted, when that is set.
type stub struct {
	srv     *httptest.Server
	aborted func(job string)
	tasks   int           // how many waiting tasks are listed
	delay   time.Duration // of every answer
}

// page is how many tasks the stub lists at once.
const page = 1000

// list is a page of the waiting tasks, of jobs 1, 2, 3...
func (s *stub) list(rw http.ResponseWriter, req *http.Request) {
	from, _ := strconv.Atoi(req.URL.Query().Get("$skiptoken"))
	rw.Header().Set("Content-Type", "application/json")
	var b strings.Builder
	b.WriteString(`{"value":[`)
	to := min(from+page, s.tasks)
	for i := from + 1; i <= to; i++ {
		if i > from+1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b,
			`{"id":"%08d-2222-4333-8444-555555555555",`+
				`"parentUrl":"https://graph.microsoft.com/v1.0/print/printers/%s/jobs/%d",`+
				`"status":{"state":"processing","description":""}}`, i, pullID, i)
	}
	b.WriteByte(']')
	if to < s.tasks {
		fmt.Fprintf(&b, `,"@odata.nextLink":"%s%s?$skiptoken=%d"`, s.srv.URL, req.URL.Path, to)
	}
	b.WriteByte('}')
	_, _ = io.WriteString(rw, b.String())
}

func newStub(b *testing.B) *stub {
	s := &stub{}
	s.srv = httptest.NewServer(s)
	b.Cleanup(s.srv.Close)
	return s
}

// padding brings the job to the 2 kB that Graph sends.
var padding = strings.Repeat("x", 1300)

func (s *stub) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	if s.delay > 0 {
		<-time.After(s.delay)
	}
	_, _ = io.Copy(io.Discard, req.Body)
	parts := strings.Split(req.URL.Path, "/")
	switch {
	case strings.HasSuffix(req.URL.Path, "/token"):
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"token_type":"Bearer","expires_in":3599,"access_token":"stub"}`)
	case strings.HasSuffix(req.URL.Path, "/abort"):
		if s.aborted != nil {
			s.aborted(parts[len(parts)-2])
		}
		rw.WriteHeader(http.StatusNoContent)
	case strings.HasSuffix(req.URL.Path, "/tasks"):
		s.list(rw, req)
	case strings.HasSuffix(req.URL.Path, "/redirect"):
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"id":"r"}`)
	case len(parts) == 5: // /v1.0/print/printers/{id}
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"id":"`+westID+`","isAcceptingJobs":true,"status":{"state":"idle","details":[]}}`)
	default:
		job := parts[len(parts)-1]
		rw.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(rw, `{"id":%q,"createdDateTime":"2026-05-04T08:00:00Z","isFetchable":true,"note":%q,`+
			`"createdBy":{"id":%q,"userPrincipalName":"student@contoso.com"},`+
			`"status":{"state":"paused","description":"","details":[],"isAcquiredByPrinter":false},`+
			`"configuration":{"copies":99,"colorMode":"color","duplexMode":"oneSided","mediaSize":"A4"},`+
			`"documents":[{"id":"d","contentType":"application/oxps","size":31337}],`+
			`"tasks":[{"id":"t%s","status":{"state":"processing","description":""}}]}`,
			job, padding, studentID, job)
	}
}

// bench is a worker on an embedded store that syncs every write, and a stub.
type bench struct {
	bus      *bus.Bus
	verifier *trigger.Verifier
	client   *graph.Client
	*connector.Connector
	deps  connector.Deps
	index *index.Index
	stub  *stub
}

const benchDefinition = "11112222-3333-4444-8555-666677778888"

func newBench(b *testing.B) *bench {
	b.Helper()
	return newBenchOn(b, bustest.Open(b), newStub(b), "bench")
}

// newBenchOn is a worker on a store of its own or one that it shares.
func newBenchOn(b *testing.B, store *bus.Bus, s *stub, instance string) *bench {
	b.Helper()
	x := &bench{bus: store, stub: s}
	secret := filepath.Join(b.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(appSecret), 0o600); err != nil {
		b.Fatal(err)
	}
	var err error
	x.client, err = graph.New(graph.Config{
		TenantID: tenantID, Cloud: "global", Endpoints: graph.Endpoints{Graph: x.stub.srv.URL + "/v1.0", Authority: x.stub.srv.URL},
		Auth: auth.Config{ClientID: appID, ClientSecretFile: secret},
	}, graph.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(x.client.CloseIdleConnections)
	if _, ok, err := x.bus.State().CompareAndSet(b.Context(), "trigger.definition", []byte(`{"id":"`+benchDefinition+`"}`), 0,
		0); err != nil || !ok && instance == "bench" {
		b.Fatal(ok, err)
	}
	x.verifier = trigger.NewVerifier(trigger.VerifierOptions{TenantID: tenantID, State: x.bus.State()})
	x.index = index.New(job.NewStore(x.bus.Jobs(), job.DefaultRetention), queues, nil, zap.NewNop())
	pol, err := policyfile.Load("policy.yaml", []byte(testPolicy))
	if err != nil {
		b.Fatal(err)
	}
	x.deps = connector.Deps{
		Graph: x.client, Jobs: job.NewStore(x.bus.Jobs(), job.DefaultRetention), Ledger: ledger.New(x.bus.Quota(), x.bus, rand.Text),
		Audit: x.bus, Verifier: x.verifier,
		Notices: x.bus, Feed: x.bus, Devices: devices, Delegations: delegation.New(x.bus.State()),
		Policy: func() *policy.Policy { return pol },
		Queues: queues, Index: x.index, Logger: zap.NewNop(), Instance: instance, Sole: instance == "bench",
	}
	x.Connector = connector.New(x.deps)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = x.verifier.Run(ctx) })
	wg.Go(func() { _ = x.index.Run(ctx) })
	b.Cleanup(func() { cancel(); wg.Wait() })
	<-x.verifier.Ready()
	<-x.index.Ready()
	for x.verifier.Definition() == "" {
		if err := x.verifier.Refresh(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	return x
}

func (x *bench) notification(b *testing.B, job string) []byte {
	body, err := x.verifier.SweepNotification("t"+job, directID, job)
	if err != nil {
		b.Error(err)
	}
	return body
}

// store puts n tasks into the stream.
func (x *bench) store(b *testing.B, n int) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				job := strconv.FormatInt(i, 10)
				if _, err := x.bus.PublishTask(b.Context(), benchDefinition, "t"+job, x.notification(b, job)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// drain consumes n tasks with h, and tells how many came again: the stream delivers at
// least once, and on a busy machine a call that takes too long has its task come again.
// Each is to be done in the end.
func (x *bench) drain(b *testing.B, n int, h func(context.Context, store.Delivery) store.Disposition) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var mu sync.Mutex
	done := map[uint64]bool{} // by the sequence of the task
	again := 0
	_ = x.bus.Consume(ctx, arrival.Workers, func(ctx context.Context, d store.Delivery) store.Disposition {
		disp := h(ctx, d)
		mu.Lock()
		defer mu.Unlock()
		if disp != store.Done() || done[d.Sequence] {
			again++
		}
		if disp == store.Done() {
			done[d.Sequence] = true
		}
		if len(done) == n {
			cancel()
		}
		return disp
	})
	if len(done) != n {
		b.Errorf("%d tasks of %d", len(done), n)
	}
	b.ReportMetric(float64(again), "again")
}

// BenchmarkDrain is the rate from stored tasks to aborts at Graph. The floor is
// a loop that consumes, reads the job, aborts it and acknowledges: no record,
// no audit, no policy. Both on a store that syncs every write.
func BenchmarkDrain(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		x := newBench(b)
		x.store(b, b.N)
		b.ReportAllocs()
		b.ResetTimer()
		x.drain(b, b.N, func(ctx context.Context, d store.Delivery) store.Disposition {
			var n struct {
				Data struct {
					Parent string `json:"parentUrl"`
				} `json:"resourceData"`
			}
			if err := json.Unmarshal(d.Body, &n); err != nil {
				b.Error(err)
			}
			ref, err := graph.ParseJobURL(n.Data.Parent)
			if err != nil {
				b.Error(err)
			}
			if _, err := x.client.Job(ctx, ref); err != nil {
				b.Error(err)
			}
			if err := x.client.AbortJob(ctx, ref, "no"); err != nil {
				b.Error(err)
			}
			return store.Done()
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
	})
	b.Run("pullprint", func(b *testing.B) {
		x := newBench(b)
		x.store(b, b.N)
		b.ReportAllocs()
		b.ResetTimer()
		x.drain(b, b.N, x.Arrivals.Handle)
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
	})
}

// BenchmarkIntake is the rate of the webhook: parse, verify, store durably,
// 202. The floor is the durable store alone, with as many callers.
func BenchmarkIntake(b *testing.B) {
	for _, clients := range []int{1, 16, 64, 256} {
		run := func(name string, one func(x *bench, h http.Handler, job string)) {
			b.Run(fmt.Sprintf("%s/clients=%d", name, clients), func(b *testing.B) {
				x := newBench(b)
				h := webhook.New(webhook.Options{PublicURL: publicURL, Store: x.bus, Verifier: x.verifier})
				var next atomic.Int64
				var wg sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for range clients {
					wg.Go(func() {
						for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
							one(x, h, strconv.FormatInt(i, 10))
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "stored/s")
			})
		}
		run("floor", func(x *bench, _ http.Handler, job string) {
			if _, err := x.bus.PublishTask(b.Context(), benchDefinition, "t"+job, x.notification(b, job)); err != nil {
				b.Error(err)
			}
		})
		run("webhook", func(x *bench, h http.Handler, job string) { x.post(b, h, job) })
	}
}

// post sends one notification to the webhook.
func (x *bench) post(b *testing.B, h http.Handler, job string) {
	body := append(append([]byte(`{"value":[`), x.notification(b, job)...), "]}"...)
	req := httptest.NewRequest(http.MethodPost, publicURL+"/graph/notifications", bytes.NewReader(body))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	if rec.Code != http.StatusAccepted {
		b.Errorf("webhook answered %d", rec.Code)
	}
}

// BenchmarkNotificationToEffect is the time from the POST of a notification to
// the abort at Graph, at 200 jobs a second. Run it with -benchtime 2000x or so.
func BenchmarkNotificationToEffect(b *testing.B) {
	x := newBench(b)
	h := webhook.New(webhook.Options{PublicURL: publicURL, Store: x.bus, Verifier: x.verifier})
	posted := make([]time.Time, b.N+1)
	took := make([]time.Duration, b.N+1)
	var left sync.WaitGroup
	left.Add(b.N)
	x.stub.aborted = func(job string) {
		i, err := strconv.Atoi(job)
		if err != nil {
			b.Error(err)
		}
		took[i] = time.Since(posted[i])
		left.Done()
	}
	ctx, cancel := context.WithCancel(b.Context())
	var consuming, posting sync.WaitGroup
	consuming.Go(func() { _ = x.bus.Consume(ctx, arrival.Workers, x.Arrivals.Handle) })
	tick := time.NewTicker(time.Second / 200)
	defer tick.Stop()
	b.ResetTimer()
	for i := range b.N {
		<-tick.C
		posted[i+1] = time.Now()
		posting.Go(func() { x.post(b, h, strconv.Itoa(i+1)) })
	}
	left.Wait()
	b.StopTimer()
	posting.Wait()
	cancel()
	consuming.Wait()
	sorted := slices.Sorted(slices.Values(took[1:]))
	ms := func(q float64) float64 {
		return float64(sorted[int(q*float64(len(sorted)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(ms(.5), "p50-ms")
	b.ReportMetric(ms(.99), "p99-ms")
}

// BenchmarkRestart is the time from opening a store with 100,000 held jobs
// until every record is known. The floor opens the store and reads the records
// without understanding them.
func BenchmarkRestart(top *testing.B) {
	jobs := many()
	store := bustest.Open(top)
	fill(top, store, jobs)
	top.Run("floor", func(b *testing.B) {
		for b.Loop() {
			store = bustest.Reopen(top, store)
			ctx, cancel := context.WithCancel(b.Context())
			n := 0
			_ = store.Jobs().Watch(ctx, ">", func(string, []byte, uint64) { n++ }, cancel)
			if n != jobs {
				b.Fatalf("%d records", n)
			}
		}
	})
	top.Run("pullprint", func(b *testing.B) {
		for b.Loop() {
			store = bustest.Reopen(top, store)
			index := index.New(job.NewStore(store.Jobs(), job.DefaultRetention), queues, nil, zap.NewNop())
			ctx, cancel := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = index.Run(ctx) })
			<-index.Ready()
			cancel()
			wg.Wait()
			if index.Len() != jobs {
				b.Fatalf("%d records", index.Len())
			}
		}
	})
}

// BenchmarkSweep is one sweep over 100,000 held jobs whose tasks Graph lists as
// waiting. The floor only lists them. A sweep comes every minute.
func BenchmarkSweep(top *testing.B) {
	jobs := many()
	x := newBench(top)
	fill(top, x.bus, jobs)
	for x.index.Len() < jobs {
		runtime.Gosched()
	}
	x.stub.tasks = jobs
	top.Run("floor", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, err := range x.client.Tasks(b.Context(), benchDefinition) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != jobs {
				b.Fatalf("%d tasks", n)
			}
		}
	})
	top.Run("pullprint", func(b *testing.B) {
		for b.Loop() {
			if err := x.Sweeper.Sweep(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// many is how many held jobs a large installation has. With -short, where a benchmark only
// has to run, it is a fiftieth of them: to store them takes longer than what is measured.
func many() int {
	if testing.Short() {
		return 2_000
	}
	return 100_000
}

// fill stores held jobs, of a thousand owners.
func fill(b *testing.B, store *bus.Bus, n int) {
	b.Helper()
	records := job.NewStore(store.Jobs(), job.DefaultRetention)
	now := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				rec := job.Record{
					Ref: graph.Ref{Printer: pullID, Job: strconv.FormatInt(i,
						10)}, Task: fmt.Sprintf("%08d-2222-4333-8444-555555555555", i),
					Definition: benchDefinition,
					Owner:      fmt.Sprintf("%08d-2222-4333-8444-555555555555", i%1000), Queue: "Follow-Me", Created: now, Seen: now,
					Decision: decision.Decision{
						Point: "arrival", Verdict: "hold", Policy: "abcdef012345",
						Input: decision.Input{Mode: "pull", Copies: 1, Size: 31337, ContentType: "application/oxps", MediaSize: "A4"},
					},
				}
				if err := rec.Move(job.Held, now, "bench", ""); err != nil {
					b.Error(err)
				}
				if _, ok, err := records.Put(b.Context(), &rec, 0); !ok || err != nil {
					b.Error(ok, err)
				}
			}
		})
	}
	wg.Wait()
}

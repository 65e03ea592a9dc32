// Package selftest prints a page at intervals that takes the way of every job, and tells when it did
// not come through.
package selftest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/store"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/wait"
)

// Config is the section `selftest` of the configuration: a page that is printed at intervals,
// takes the way of every job, and is aborted with a reason of its own.
type Config struct {
	// Queue is the name of the queue it is printed to; empty is no self-test.
	Queue string `yaml:"queue"`
	// User is the Entra object id of the person who prints it: whose sign-in is kept.
	User string `yaml:"user"`
	// Every is how often, 24h by default.
	Every time.Duration `yaml:"every"`
}

// DefaultEvery is how often a self-test runs when nothing is said.
const DefaultEvery = 24 * time.Hour

// The times of self-tests.
const (
	// selfTestWithin bounds one: when its notification is lost, the sweep finds the job within
	// two minutes, and that sweep may itself take five.
	selfTestWithin = 10 * time.Minute
	// selfTestFirst is how soon after the start one comes when none has run before.
	selfTestFirst = time.Second
	// selfTestAgain is how soon one that failed comes again: each prints a job that is aborted,
	// so it is not repeated at once.
	selfTestAgain = time.Hour
	// selfTestLook is how often the record is looked at for what became of the job: it is in
	// memory.
	selfTestLook = time.Second
	// selfTestSignIn is how often it is looked whether a sign-in is kept now.
	selfTestSignIn = time.Second
)

// Printing is what a self-test needs of Microsoft Graph with the sign-in of a
// person; *graph.Client is one.
type Printing interface {
	CreateJob(ctx context.Context, printer string) (graph.Job, error)
	Upload(ctx context.Context, ref graph.Ref, d graph.Document, name string, body []byte) error
	StartJob(ctx context.Context, ref graph.Ref) error
	CancelJob(ctx context.Context, ref graph.Ref) error
}

// keySelfTest is where all replicas find the self-test that runs, or ran last.
const keySelfTest = "selftest.last"

// run is the stored state of a self-test.
type run struct {
	Job     graph.Ref `json:"job"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero"`
	Passed  time.Time `json:"passed,omitzero"` // when one last did
	Failure string    `json:"failure,omitempty"`
}

// Tester prints self-tests and recognises their jobs. Crash safety: the id of the job is
// stored before the job is started, so that every process recognises it. If the process dies
// before that, the job never starts. If it dies after the start, the job is aborted as usual,
// and the self-test counts as failed.
type Tester struct {
	conf    Config
	index   jobLookup
	metrics *Metrics
	state   store.KV
	person  func(context.Context) (Printing, error)
	queue   printer.Queue
	log     *zap.Logger
}

// jobLookup finds what the index knows of a job; *Index is one.
type jobLookup interface {
	Lookup(ref graph.Ref) (index.Entry, bool)
}

// Options are what a Tester is made of. All are required.
type Options struct {
	Config Config
	Queues []printer.Queue
	// State stores the self-test that runs or ran last; all replicas share it.
	State store.KV
	// Person returns whoever prints, with their sign-in.
	Person  func(context.Context) (Printing, error)
	Index   jobLookup
	Metrics *Metrics
	Logger  *zap.Logger
}

// New makes one. It is to be in the Deps of what decides on the jobs it prints.
func New(o Options) *Tester {
	t := &Tester{
		conf: o.Config, state: o.State, person: o.Person, index: o.Index, metrics: o.Metrics, log: o.Logger.Named("selftest"),
	}
	for _, q := range o.Queues {
		if q.Name == o.Config.Queue {
			t.queue = q
		}
	}
	return t
}

// Expects reports whether a job is that of a self-test: printed by its user to its
// queue, and the one that was stored.
func (t *Tester) Expects(ctx context.Context, j graph.Job) (bool, error) {
	if j.Ref.Printer != t.queue.PrinterID || !strings.EqualFold(j.CreatedBy.ID, t.conf.User) {
		return false, nil
	}
	last, _, err := t.last(ctx)
	return err == nil && last.Job == j.Ref, err
}

func (t *Tester) last(ctx context.Context) (run, uint64, error) {
	var last run
	raw, revision, err := t.state.Get(ctx, keySelfTest)
	if err != nil {
		return run{}, 0, fmt.Errorf("read the last self-test: %w", err)
	}
	if revision != 0 && json.Unmarshal(raw, &last) != nil {
		last = run{} // the next one takes its place
	}
	return last, revision, nil
}

// store stores the state of a self-test. Only the holder of the lease writes; a conflict means
// that the lease was lost.
func (t *Tester) store(ctx context.Context, now run, revision uint64) (uint64, error) {
	raw, err := json.Marshal(&now)
	if err != nil {
		return 0, fmt.Errorf("encode the self-test: %w", err)
	}
	next, swapped, err := t.state.CompareAndSet(ctx, keySelfTest, raw, revision, 0)
	if err == nil && !swapped {
		err = job.ErrBusy
	}
	if err != nil {
		return 0, fmt.Errorf("store the self-test: %w", err)
	}
	return next, nil
}

// Run runs the self-tests until ctx ends. Only one instance at a time may call it.
func (t *Tester) Run(ctx context.Context) error {
	for {
		last, _, err := t.last(ctx)
		if err != nil {
			t.log.Warn("self-test put off", zap.Error(err))
		}
		t.show(&last)
		if err := wait.Sleep(ctx, max(selfTestFirst, time.Until(t.after(&last)))); err != nil {
			return err
		}
		if err := t.signedIn(ctx); err != nil {
			return err
		}
		if err := t.test(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t.log.Warn("self-test put off", zap.Error(err))
		}
	}
}

// signedIn waits until somebody's sign-in is kept. The error is that of ctx.
func (t *Tester) signedIn(ctx context.Context) error {
	for said := false; ; said = true {
		if _, err := t.person(ctx); !errors.Is(err, auth.ErrNotStored) {
			return ctx.Err()
		}
		if !said {
			t.log.Warn("self-test waits: no sign-in is kept",
				zap.String("remedy", "sign in with `pullprint register plan --keep`"))
		}
		if err := wait.Sleep(ctx, selfTestSignIn); err != nil {
			return err
		}
	}
}

// after is when the self-test after one is due; long ago when there was none.
func (t *Tester) after(last *run) time.Time {
	if last.Began.IsZero() {
		return time.Time{}
	}
	pause := t.conf.Every
	if last.Ended.IsZero() || last.Failure != "" {
		pause = min(pause, selfTestAgain)
	}
	return last.Began.Add(pause)
}

// show sets the metrics to what a self-test left behind.
func (t *Tester) show(last *run) {
	if !last.Passed.IsZero() {
		t.metrics.passed.Set(float64(last.Passed.Unix()))
	}
	if last.Failure != "" {
		t.metrics.failed.Set(float64(last.Ended.Unix()))
	}
}

// test runs one self-test and records its result. The error is one of the store, or of ctx.
func (t *Tester) test(ctx context.Context) error {
	last, revision, err := t.last(ctx)
	if err != nil {
		return err
	}
	run := run{Began: time.Now(), Passed: last.Passed}
	failure := t.print(ctx, &run, &revision)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	took := time.Since(run.Began)
	run.Ended = time.Now()
	if failure != nil {
		run.Failure = failure.Error()
		t.metrics.results.WithLabelValues("failed").Inc()
		t.log.Error("self-test failed", zap.String("queue", t.queue.Name), zap.String("job", run.Job.Job),
			zap.Duration("took", took), zap.Error(failure))
	} else {
		run.Passed = run.Ended
		t.metrics.results.WithLabelValues("passed").Inc()
		t.metrics.took.Set(took.Seconds())
		t.log.Info("self-test passed", zap.String("queue", t.queue.Name), zap.String("job", run.Job.Job),
			zap.Duration("took", took))
	}
	t.show(&run)
	_, err = t.store(ctx, run, revision)
	return err
}

// print prints a page and waits for what becomes of it.
func (t *Tester) print(ctx context.Context, run *run, revision *uint64) error {
	ctx, cancel := context.WithTimeout(ctx, selfTestWithin)
	defer cancel()
	person, err := t.person(ctx)
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	j, err := person.CreateJob(ctx, t.queue.PrinterID)
	if err != nil {
		return fmt.Errorf("begin a job: %w", err)
	}
	if !strings.EqualFold(j.CreatedBy.ID, t.conf.User) {
		return t.cancel(ctx, person, j.Ref, errors.New("whose sign-in is kept is not selftest.user: correct one of them"))
	}
	run.Job = j.Ref
	if *revision, err = t.store(ctx, *run, *revision); err != nil {
		return t.cancel(ctx, person, j.Ref, err)
	}
	page := graph.Document{ID: j.Documents[0].ID, ContentType: "application/pdf"}
	if err := person.Upload(ctx, j.Ref, page, "pullprint self-test.pdf", selfTestPage()); err != nil {
		return t.cancel(ctx, person, j.Ref, fmt.Errorf("upload the page: %w", err))
	}
	var ge *graph.Error
	if err := person.StartJob(ctx, j.Ref); err != nil && (!errors.As(err, &ge) || !ge.Ambiguous()) {
		return t.cancel(ctx, person, j.Ref, fmt.Errorf("start the job: %w", err))
	}
	if err := t.await(ctx, run.Job); err != nil {
		return t.cancel(ctx, person, j.Ref, err)
	}
	return nil
}

// How long a self-test may take to cancel its job.
const (
	// cancelWithin is the time of one call to Graph with all its tries.
	cancelWithin = 20 * time.Second
	// cancelAtEnd is less, for when the daemon stops: it has 25 s to end all that it does.
	cancelAtEnd = 3 * time.Second
)

// cancel cancels a job that did not come through, so that it neither prints nor waits. It
// returns why.
func (t *Tester) cancel(ctx context.Context, person Printing, ref graph.Ref, why error) error {
	detached, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelWithin)
	defer stop()
	defer context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			time.AfterFunc(cancelAtEnd, stop)
		}
	})()
	if err := person.CancelJob(detached, ref); err != nil {
		t.log.Warn("job of the self-test not canceled", zap.String("job", ref.Job), zap.Error(err))
	}
	return why
}

// await waits until the record of the job says how it ended.
func (t *Tester) await(ctx context.Context, ref graph.Ref) error {
	for {
		e, _ := t.index.Lookup(ref)
		switch {
		case e.State == job.Aborted && e.Reason == reasons.SelfTest:
			return nil
		case e.State.Final(), e.State == job.Held:
			return fmt.Errorf("its job was decided otherwise: it is %s", e.State)
		}
		if wait.Sleep(ctx, selfTestLook) != nil {
			return fmt.Errorf("its job was not heard of, or not decided, within %s: look at `pullprint doctor`", selfTestWithin)
		}
	}
}

// selfTestPage is a PDF of one page that says what it is.
func selfTestPage() []byte {
	const text = "BT /F1 14 Tf 72 760 Td (This is a self-test of pullprint. It should not have been printed.) Tj ET"
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(text), text),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}
	out := "%PDF-1.4\n"
	table := "0000000000 65535 f \n"
	for i, o := range objects {
		table += fmt.Sprintf("%010d 00000 n \n", len(out))
		out += fmt.Sprintf("%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	return fmt.Appendf(nil, "%sxref\n0 %d\n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", out,
		len(objects)+1, table, len(objects)+1, len(out))
}

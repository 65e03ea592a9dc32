package pages_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/pages"
)

const (
	remoteApp    = "815f204f-c791-4ee6-9098-614ecdb003f6"
	remoteSecret = "a-secret-of-the-simulator"
	remoteQueue  = "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1"
)

// wire lets a test look at what goes to the host of documents, and change what
// it answers.
type wire struct {
	http.RoundTripper
	ask    func(*http.Request)
	answer func(*http.Response) *http.Response

	mu     sync.Mutex
	ranges int
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	storage := strings.Contains(r.URL.Path, "_documents")
	if storage {
		w.mu.Lock()
		w.ranges++
		w.mu.Unlock()
		if w.ask != nil {
			w.ask(r)
		}
	}
	res, err := w.RoundTripper.RoundTrip(r)
	if err == nil && storage && w.answer != nil {
		res = w.answer(res)
	}
	return res, err
}

type remote struct {
	sim    *graphtest.Sim
	client *graph.Client
	wire   *wire
}

func newRemote(tb testing.TB) *remote {
	tb.Helper()
	sim := graphtest.New(graphtest.Calm())
	tb.Cleanup(sim.Close)
	sim.AddApp(graphtest.App{ClientID: remoteApp, Secret: remoteSecret})
	sim.AddPrinter(graphtest.Printer{ID: remoteQueue, DisplayName: "Queue"})
	secret := filepath.Join(tb.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(remoteSecret), 0o600); err != nil {
		tb.Fatal(err)
	}
	r := &remote{sim: sim, wire: &wire{RoundTripper: sim.Transport()}}
	var err error
	r.client, err = graph.New(graph.Config{
		TenantID: sim.Tenant(), Endpoints: graph.Endpoints{Graph: "http://127.0.0.1:9440/v1.0", Authority: "http://127.0.0.1:9440"},
		Auth: auth.Config{ClientID: remoteApp, ClientSecretFile: secret},
	}, graph.Options{Transport: r.wire})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.client.CloseIdleConnections)
	return r
}

// open submits a document and opens it.
func (r *remote) open(tb testing.TB, spec graphtest.JobSpec, o graph.DocumentOptions) (*graph.DocumentReader, graph.Document, error) {
	tb.Helper()
	spec.Printer = remoteQueue
	id, err := r.sim.Submit(spec)
	if err != nil {
		tb.Fatal(err)
	}
	job, err := r.client.Job(tb.Context(), graph.Ref{Printer: id.Printer, Job: id.Job})
	if err != nil {
		tb.Fatal(err)
	}
	d, err := r.client.OpenDocument(tb.Context(), job.Ref, job.Documents[0], o)
	return d, job.Documents[0], err
}

func TestRemote(t *testing.T) {
	r := newRemote(t)
	r.wire.ask = func(req *http.Request) {
		if req.Header.Get("Authorization") != "" || len(req.Cookies()) > 0 {
			t.Error("a token went to the host of documents")
		}
	}
	for _, kind := range []string{"application/pdf", "application/oxps"} {
		for _, n := range []int{1, 2, 37, 1500} {
			d, doc, err := r.open(t, graphtest.JobSpec{Pages: n, ContentType: kind}, graph.DocumentOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := pages.Count(t.Context(), d, d.Size(), doc.ContentType); got != n || err != nil {
				t.Errorf("%s of %d pages: %d, %v", kind, n, got, err)
			}
			if d.Size() != doc.Size || d.BytesRead() > d.Size() {
				t.Errorf("%d bytes read of %d, listed %d", d.BytesRead(), d.Size(), doc.Size)
			}
		}
	}
}

// What the host of documents does wrong is an error that says so, and never the
// address, which is a secret; what can be mended is.
func TestRemoteTrouble(t *testing.T) {
	partly := func(change func(*http.Response)) func(int) func(*http.Response) *http.Response {
		return func(from int) func(*http.Response) *http.Response {
			n := 0
			return func(res *http.Response) *http.Response {
				if n++; n >= from {
					change(res)
				}
				return res
			}
		}
	}
	once := func(change func(*http.Response)) func(*http.Response) *http.Response {
		n := 0
		return func(res *http.Response) *http.Response {
			if n++; n == 1 {
				change(res)
			}
			return res
		}
	}
	status := func(code int) func(*http.Response) {
		return func(res *http.Response) {
			res.StatusCode = code
			res.Header.Del("Content-Range")
			res.Body = io.NopCloser(strings.NewReader("no"))
		}
	}
	for name, c := range map[string]struct {
		answer func(*http.Response) *http.Response
		o      graph.DocumentOptions
		want   error
		text   string
	}{
		"all is well":               {nil, graph.DocumentOptions{}, nil, ""},
		"no ranges":                 {partly(status(200))(1), graph.DocumentOptions{}, nil, "byte ranges"},
		"an expired address, once":  {once(status(403)), graph.DocumentOptions{}, nil, ""},
		"an expired address always": {partly(status(403))(1), graph.DocumentOptions{}, nil, "403"},
		"a failure, once":           {once(status(503)), graph.DocumentOptions{}, nil, ""},
		"failures":                  {partly(status(503))(1), graph.DocumentOptions{}, nil, "503"},
		"another document": {
			partly(func(res *http.Response) {
				res.Header.Set("ETag",
					`"other"`)
			})(2), graph.DocumentOptions{}, graph.ErrDocumentChanged, "",
		},
		"another size": {
			partly(func(res *http.Response) {
				res.Header.Set("Content-Range",
					"bytes 0-32767/99999999")
			})(2), graph.DocumentOptions{}, nil, "",
		},
		"other bytes": {
			partly(func(res *http.Response) { res.Header.Set("Content-Range", "bytes 5-9/1000000") })(1),
			graph.DocumentOptions{},
			nil,
			"other bytes",
		},
		"a short body, once": {
			once(func(res *http.Response) { res.Body = io.NopCloser(io.LimitReader(res.Body, 100)) }), graph.DocumentOptions{}, nil, "",
		},
		"a redirect": {partly(func(res *http.Response) {
			res.StatusCode = 302
			res.Header.Set("Location", "http://elsewhere.example/")
		})(1), graph.DocumentOptions{}, nil, "302"},
		"a budget": {nil, graph.DocumentOptions{MaxBytes: 40 << 10}, graph.ErrDocumentBudget, ""},
	} {
		r := newRemote(t)
		r.wire.answer = c.answer
		d, doc, err := r.open(t, graphtest.JobSpec{Pages: 1000, ContentType: "application/pdf", Size: 1_000_000}, c.o)
		n := 0
		if err == nil {
			n, err = pages.Count(t.Context(), d, d.Size(), doc.ContentType)
		}
		fine := c.want == nil && c.text == ""
		switch {
		case name == "another size":
			if err == nil {
				t.Errorf("%s: %d", name, n)
			}
		case fine && (n != 1000 || err != nil):
			t.Errorf("%s: %d, %v", name, n, err)
		case !fine && (err == nil || (c.want != nil && !errors.Is(err, c.want)) || !strings.Contains(err.Error(), c.text)):
			t.Errorf("%s: %d, %v", name, n, err)
		}
		if err != nil && (strings.Contains(err.Error(), "sig") || strings.Contains(err.Error(), "_documents")) {
			t.Errorf("%s: the address is told: %v", name, err)
		}
	}
}

// What was read ahead and nobody asked for does not count against max_bytes.
func TestReadAhead(t *testing.T) {
	const most, step = 256 << 10, 32 << 10
	r := newRemote(t)
	d, _, err := r.open(t, graphtest.JobSpec{Pages: 10, ContentType: "application/pdf", Size: 10_000_000},
		graph.DocumentOptions{MaxBytes: most})
	if err != nil {
		t.Fatal(err)
	}
	read := func(off int64) error {
		_, err := d.ReadAt(make([]byte, step), off)
		return err
	}
	for _, off := range []int64{0, step, 2 * step, 20 * step, 21 * step, 40 * step, 41 * step} { // 224 kB, and what was read to open it
		if err := read(off); err != nil {
			t.Fatalf("at %d, after %d bytes were read: %v", off, d.BytesRead(), err)
		}
	}
	if d.BytesRead() <= most {
		t.Errorf("%d bytes read: nothing was read ahead", d.BytesRead())
	}
	if err := read(60 * step); !errors.Is(err, graph.ErrDocumentBudget) {
		t.Errorf("more than may be read: %v", err)
	}
}

// What is told before is read together, and read once.
func TestPrefetch(t *testing.T) {
	r := newRemote(t)
	d, _, err := r.open(t, graphtest.JobSpec{Pages: 30, ContentType: "application/pdf", Size: 5_000_000}, graph.DocumentOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const places = 100
	var offsets []int64
	for i := range int64(places) {
		offsets = append(offsets, 1_000_000+i*36_000, -i, 5_000_000+i)
	}
	var mu sync.Mutex
	under, most := 0, 0
	r.wire.ask = func(*http.Request) { mu.Lock(); under++; most = max(most, under); mu.Unlock() }
	r.wire.answer = func(res *http.Response) *http.Response { mu.Lock(); under--; mu.Unlock(); return res }
	before := d.BytesRead()
	d.Prefetch(offsets)
	if n := d.BytesRead() - before; n == 0 || n > places*9000 {
		t.Errorf("%d bytes read for %d places", n, places)
	}
	r.wire.ask = func(req *http.Request) { t.Errorf("read again: %s", req.Header.Get("Range")) }
	for i := range int64(places) {
		got := make([]byte, 1000)
		if _, err := d.ReadAt(got, 1_000_000+i*36_000); err != nil {
			t.Fatal(err)
		}
	}
	r.wire.ask, r.wire.answer = nil, nil
	other, _, err := r.open(t, graphtest.JobSpec{Pages: 30, ContentType: "application/pdf", Size: 5_000_000}, graph.DocumentOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(places) {
		got, want := make([]byte, 1000), make([]byte, 1000)
		if _, err := d.ReadAt(got, 1_000_000+i*36_000); err != nil {
			t.Fatal(err)
		}
		if _, err := other.ReadAt(want, 1_000_000+i*36_000); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("other bytes at place %d, %v", i, err)
		}
	}
}

// spread is a PDF whose pages stand far from each other, as those of scans do.
type spread struct {
	parts map[int64][]byte // by offset
	order []int64
	size  int64
	read  map[int64]bool // blocks of 4 kB
	told  map[int64]bool
}

func spreadOut(n int, gap int64) *spread {
	s := &spread{parts: map[int64][]byte{}, read: map[int64]bool{}, told: map[int64]bool{}}
	put := func(off int64, text string) { s.parts[off] = []byte(text); s.order = append(s.order, off) }
	put(0, "%PDF-1.4\n")
	var offsets []int64
	var kids strings.Builder
	for i := range n {
		off := int64(i+1) * gap
		put(off, fmt.Sprintf("%d 0 obj\n<< /Type /Page /Parent 2 0 R >>\nendobj\n", i+3))
		offsets = append(offsets, off)
		fmt.Fprintf(&kids, "%d 0 R ", i+3)
	}
	end := int64(n+1) * gap
	var b strings.Builder
	two := end + int64(b.Len())
	fmt.Fprintf(&b, "2 0 obj\n<< /Type /Pages /Count %d /Kids [%s] >>\nendobj\n", n, &kids)
	one := end + int64(b.Len())
	b.WriteString("1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n")
	xref := end + int64(b.Len())
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", n+3)
	for _, o := range append([]int64{one, two}, offsets...) {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", n+3, xref)
	put(end, b.String())
	s.size = end + int64(b.Len())
	return s
}

const spreadBlock = 4 << 10

func (s *spread) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	n := int(max(min(int64(len(p)), s.size-off), 0))
	for i := off / spreadBlock; i*spreadBlock < off+int64(n); i++ {
		s.read[i] = true
	}
	i, _ := slices.BinarySearch(s.order, off)
	for i = max(i-1, 0); i < len(s.order) && s.order[i] < off+int64(n); i++ {
		part, from := s.parts[s.order[i]], s.order[i]
		if from < off {
			if off-from >= int64(len(part)) {
				continue
			}
			part, from = part[off-from:], off
		}
		copy(p[from-off:n], part)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s *spread) Prefetch(offsets []int64) {
	for _, off := range offsets {
		s.told[off] = true
	}
}

// Each page of a document is looked at, and still only a small part of the document
// is read; and its reader is told before where, so that nobody waits for one page
// after the other.
func TestSpread(t *testing.T) {
	for _, c := range []struct {
		pages int
		gap   int64
	}{{200, 300_000}, {10_000, 50_000}} {
		s := spreadOut(c.pages, c.gap)
		n, err := pages.Count(t.Context(), s, s.size, "application/pdf")
		if n != c.pages || err != nil || len(s.told) != c.pages {
			t.Errorf("%d, %v of %d pages; told before of %d", n, err, c.pages, len(s.told))
		}
		read := float64(len(s.read)) * spreadBlock / float64(s.size)
		t.Logf("%d pages of %d kB: %.2f %% is read", c.pages, c.gap/1000, 100*read)
		if read > 0.15 {
			t.Errorf("%.0f %% of %d pages is read", 100*read, c.pages)
		}
	}
}

// Documents are read from hosts that are allowed, by whole labels.
func TestRemoteHosts(t *testing.T) {
	for base, hosts := range map[string][]string{
		"https://store.blob.core.windows.net": {".blob.core.windows.net"}, "https://exact.example": {"exact.example"},
		"https://evil-blob.core.windows.net": nil, "https://blob.core.windows.net.evil.example": nil,
		"http://store.blob.core.windows.net":       nil,
		"https://user@store.blob.core.windows.net": nil,
	} {

		r := newRemote(t)
		r.sim.Change(func(k *graphtest.Knobs) { k.DocumentBase = base })
		allowed := hosts
		if hosts == nil {
			allowed = []string{".blob.core.windows.net", "exact.example"}
		}
		_, _, err := r.open(t, graphtest.JobSpec{}, graph.DocumentOptions{Hosts: allowed})
		if hosts == nil && err == nil {
			t.Errorf("read from %s", base)
		}
		if hosts == nil && r.wire.ranges > 0 && base != "" {
			t.Errorf("%s was asked", base)
		}
		if hosts != nil && (errors.Is(err, graph.ErrDocumentHost) || r.wire.ranges == 0) {
			t.Errorf("%s: %v", base, err)
		}
	}
}

// How much of a document is read to count its pages, against all of it in the
// same run.
func BenchmarkRemote(b *testing.B) {
	for _, kind := range []string{"pdf", "oxps"} {
		for _, mb := range []int64{1, 50, 500} {
			if testing.Short() && mb > 50 {
				continue // the floor reads and inflates all of it
			}
			for _, whole := range []bool{false, true} {
				name := fmt.Sprintf("%s/%dMB/count", kind, mb)
				if whole {
					name = fmt.Sprintf("%s/%dMB/download", kind, mb)
				}
				b.Run(name, func(b *testing.B) {
					r := newRemote(b)
					var read, size int64
					for range b.N {
						d, doc, err := r.open(b, graphtest.JobSpec{Pages: 200, ContentType: "application/" + kind, Size: mb * 1_000_000},
							graph.DocumentOptions{})
						if err != nil {
							b.Fatal(err)
						}
						if whole {
							_, err = io.Copy(io.Discard, io.NewSectionReader(d, 0, d.Size()))
						} else if n, cerr := pages.Count(b.Context(), d, d.Size(), doc.ContentType); n != 200 {
							err = fmt.Errorf("%d pages: %w", n, cerr)
						}
						if err != nil {
							b.Fatal(err)
						}
						read, size = read+d.BytesRead(), size+d.Size()
					}
					b.ReportMetric(float64(read)/float64(size), "read/size")
				})
			}
		}
	}
}

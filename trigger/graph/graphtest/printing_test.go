package graphtest

import (
	"archive/zip"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPrintingTakesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, quiet(func(k *Knobs) { k.PrintTime = 10 * time.Second }))
		id := o.submit(JobSpec{Printer: o.device.ID})
		for _, c := range []struct {
			after time.Duration
			state string
		}{{0, "pending"}, {6 * time.Second, "processing"}, {5 * time.Second, "completed"}} {
			time.Sleep(c.after)
			synctest.Wait()
			if s := o.job(id).State; s != c.state {
				t.Errorf("job is %s, want %s", s, c.state)
			}
		}
		gone := o.submit(JobSpec{Printer: o.device.ID})
		if err := o.sim.CancelJob(gone); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if len(o.sim.Paper()) != 1 {
			t.Errorf("paper %v", o.sim.Paper())
		}
		o.submit(JobSpec{Printer: o.device.ID}) // printing when the simulator closes
	})
}

func TestStoppedPrinter(t *testing.T) {
	o := newOffice(t, Calm())
	if err := o.sim.SetPrinter(o.device.ID, "stopped", true); err != nil {
		t.Fatal(err)
	}
	id := o.submit(JobSpec{Printer: o.device.ID})
	a := o.call(200, "GET", "/print/printers/"+o.device.ID, nil)
	if s := a.body["status"].(map[string]any)["state"]; s != "stopped" || a.body["isAcceptingJobs"] != any(true) ||
		o.job(id).State != "pending" {
		t.Errorf("printer %v job %v", a.body, o.job(id).State)
	}
	if err := o.sim.SetPrinter(o.device.ID, "idle", true); err != nil || o.job(id).State != "completed" {
		t.Errorf("%v, job %v", err, o.job(id).State)
	}
}

func TestAbandonedJobIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, quiet(func(k *Knobs) { k.TaskLife = 30 * time.Minute }))
		id, kept := o.submit(JobSpec{}), o.submit(JobSpec{})
		o.call(200, "PATCH", o.taskPath(kept), map[string]any{"status": map[string]string{"state": "completed"}})
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		o.call(404, "GET", jobPath(id), nil)
		o.call(200, "GET", jobPath(kept), nil)
		if len(o.sim.Paper()) != 1 {
			t.Error("the abandoned job printed")
		}
	})
}

func TestRedirectToAQueueStartsATask(t *testing.T) {
	for _, off := range []bool{false, true} {
		o := newOffice(t, quiet(func(k *Knobs) { k.NoRedirectedTask = off }))
		if _, err := o.sim.AddTrigger(o.device.ID, o.definition); err != nil {
			t.Fatal(err)
		}
		if _, err := o.sim.AddTrigger(o.device.ID, o.definition); err == nil {
			t.Error("a second trigger was made")
		}
		id := o.submit(JobSpec{})
		o.call(200, "POST", jobPath(id)+"/redirect", map[string]string{"destinationPrinterId": o.device.ID})
		moved := o.job(o.job(id).RedirectedTo)
		if (moved.State == "paused") == off || len(o.sim.Paper()) == 0 != !off || moved.Lineage != id {
			t.Errorf("NoRedirectedTask %v: %+v", off, moved)
		}
	}
}

func TestBindQueues(t *testing.T) {
	o := newOffice(t, Calm())
	o.sim.Change(func(k *Knobs) { k.BindQueues = []string{o.queue.ID, o.device.ID} })
	a := o.call(201, "POST", "/print/taskDefinitions", map[string]string{"displayName": "new"})
	if got := o.job(o.submit(JobSpec{Printer: o.device.ID})).Task.Definition; got != a.body["id"] {
		t.Errorf("the device's task belongs to %q", got)
	}
	if got := o.job(o.submit(JobSpec{})).Task.Definition; got != o.definition {
		t.Errorf("the queue was bound twice, now to %q", got)
	}
}

func (o *office) documentURL(id JobID) string {
	o.Helper()
	a := o.call(200, "GET", jobPath(id)+"?$expand=documents", nil)
	doc := a.body["documents"].([]any)[0].(map[string]any)["id"].(string)
	a = o.call(302, "GET", jobPath(id)+"/documents/"+doc+"/$value", nil)
	return a.header.Get("Location")
}

func (o *office) download(target, byteRange string) (int, []byte) {
	o.Helper()
	req, _ := http.NewRequestWithContext(o.Context(), "GET", target, http.NoBody)
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	res, err := o.http.Do(req)
	if err != nil {
		o.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		o.Fatal(err)
	}
	return res.StatusCode, raw
}

func TestDocuments(t *testing.T) {
	o := newOffice(t, Calm())
	for _, spec := range []JobSpec{
		{Pages: 1},
		{Pages: 37},
		{Pages: 3, Size: 3_000_000},
		{Pages: 500, Size: 1},
		{Pages: 1, ContentType: typePDF},
		{Pages: 37, ContentType: typePDF},
		{Pages: 3, Size: 3_000_000, ContentType: typePDF},
	} {
		id := o.submit(spec)
		link := o.documentURL(id)
		u, err := url.Parse(link)
		if err != nil || u.Host == "graph.microsoft.com" {
			t.Fatalf("location %q", link)
		}
		status, raw := o.download(link, "")
		if want := o.job(id).Size; status != 200 || int64(len(raw)) != want {
			t.Fatalf("%+v: status %d, %d bytes, want %d", spec, status, len(raw), want)
		}
		if got := pagesOf(t, spec.ContentType, raw); got != spec.Pages {
			t.Errorf("%+v has %d pages", spec, got)
		}
		status, tail := o.download(link, "bytes=-200")
		if status != 206 || !bytes.Equal(tail, raw[len(raw)-200:]) {
			t.Errorf("range: status %d, %d bytes", status, len(tail))
		}
		if status, _ := o.download(strings.Replace(link, "sig=", "sig=x", 1), ""); status != 403 {
			t.Errorf("a forged signature gave %d", status)
		}
	}
	if v := o.sim.Violations(); len(v) != 0 {
		t.Errorf("violations %v", v)
	}
	o.call(403, "GET", o.documentURL(o.submit(JobSpec{})), nil) // sends the token along
	if v := o.sim.Violations(); len(v) != 1 {
		t.Errorf("violations %v", v)
	}
}

func pagesOf(t *testing.T, kind string, raw []byte) int {
	if kind == typePDF {
		if !bytes.HasPrefix(raw, []byte("%PDF-")) || !bytes.HasSuffix(raw, []byte("%%EOF\n")) {
			t.Error("not a PDF")
		}
		return bytes.Count(raw, []byte("/Type /Page /Parent"))
	}
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, ".fpage") {
			n++
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil { // also checks the sum of each part
			t.Errorf("%s: %v", f.Name, err)
		}
		_ = r.Close()
	}
	return n
}

func TestOtherHost(t *testing.T) {
	for origin, want := range map[string]string{
		"http://127.0.0.1:9440":       "http://localhost:9440",
		"http://localhost:9440":       "http://127.0.0.1:9440",
		"https://graph.microsoft.com": "https://documents.graph.microsoft.com",
	} {
		if got := otherHost(origin); got != want {
			t.Errorf("%s: %s", origin, got)
		}
	}
}

package graphtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// uploadPrefix is where documents are uploaded to: another host, with an address that needs no token.
const uploadPrefix = "/_uploads/"

// createJob creates a job of the person who signed in. It waits for its document; a task starts once the job is
// started.
func (s *Sim) createJob(c *call) reply {
	var in struct {
		Configuration json.RawMessage `json:"configuration"`
	}
	if !c.decode(&in) {
		return c.badRequest("The body is malformed.")
	}
	cfg, ok := JobSpec{}.configuration().merge(in.Configuration)
	if !ok {
		return c.badRequest("The configuration is not valid.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.printers[c.Printer]
	switch {
	case p == nil:
		return c.notFound()
	case p.NotAccepting:
		return c.badRequest("The printer is not accepting jobs.")
	}
	j := &job{user: *c.token.user, config: cfg, doc: document{contentType: "", pages: 1}}
	s.putJob(p, j)
	j.state, j.description, j.details = statePaused, "The job is not a candidate for processing yet.",
		[]string{"uploadPending"}
	j.draft = true
	out := s.jobJSON(j, true, false)
	out.Context = context0 + "print/printers('" + c.Printer + "')/jobs/$entity"
	return reply{status: 201, body: out}
}

type uploadSessionJSON struct {
	Context string   `json:"@odata.context"`
	URL     string   `json:"uploadUrl"`
	Expires string   `json:"expirationDateTime"`
	Next    []string `json:"nextExpectedRanges"`
}

// createUpload gives an address to upload the document of a draft to.
func (s *Sim) createUpload(c *call) reply {
	var in struct {
		Properties struct {
			Name        string `json:"documentName"`
			ContentType string `json:"contentType"`
			Size        int64  `json:"size"`
		} `json:"properties"`
	}
	if !c.decode(&in) || in.Properties.Size <= 0 || (in.Properties.ContentType != typePDF &&
		in.Properties.ContentType != typeOXPS) {
		return c.badRequest("properties are not valid.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.findDocument(c)
	if r, ok := c.draftOf(j); !ok {
		return r
	}
	j.doc.name, j.doc.contentType, j.doc.size = in.Properties.Name, in.Properties.ContentType, in.Properties.Size
	base := s.knobs.Load().DocumentBase
	if base == "" {
		base = otherHost(c.origin)
	}
	q := url.Values{"p": {c.Printer}, "j": {c.Job}, "tempauthtoken": {s.signature(c.Document)}}
	return reply{status: 200, body: uploadSessionJSON{
		Context: context0 + "microsoft.graph.uploadSession", URL: base + uploadPrefix + c.Document + "?" + q.Encode(),
		Expires: j.created.Add(deviceCodeLife).UTC().Format(stamp), Next: []string{fmt.Sprintf("0-%d", j.doc.size-1)},
	}}
}

// draftOf returns a job that was not started, if it belongs to the caller.
func (c *call) draftOf(j *job) (reply, bool) {
	switch {
	case j == nil:
		return c.notFound(), false
	case c.token.user == nil || j.user.ID != c.token.user.ID:
		return c.fail(403, "Forbidden", "The job is not the user's."), false
	case !j.draft:
		return c.badRequest("The job has started."), false
	}
	return reply{}, true
}

// serveUpload accepts a document, in one piece. It refuses a bearer token, which must not be sent there.
func (s *Sim) serveUpload(w http.ResponseWriter, r *http.Request) error {
	id, q := strings.TrimPrefix(r.URL.Path, uploadPrefix), r.URL.Query()
	body, err := io.ReadAll(io.LimitReader(r.Body, 10<<20))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var j *job
	if p := s.printers[q.Get("p")]; p != nil {
		j = p.job(q.Get("j"))
	}
	status := http.StatusCreated
	switch {
	case r.Header.Get("Authorization") != "":
		s.log.count("token leaked to the upload host")
		status = http.StatusBadRequest
	case r.Method != http.MethodPut:
		status = http.StatusMethodNotAllowed
	case j == nil || j.doc.id != id || q.Get("tempauthtoken") != s.signature(id) || !j.draft:
		status = http.StatusForbidden
	case int64(len(body)) != j.doc.size || r.Header.Get("Content-Range") != fmt.Sprintf("bytes 0-%d/%d", j.doc.size-1,
		j.doc.size):
		status = http.StatusRequestedRangeNotSatisfiable
	case j.doc.contentType == typePDF && !bytes.HasPrefix(body, []byte("%PDF-")):
		status = http.StatusBadRequest
	default:
		j.details, j.uploaded = []string{}, true
	}
	w.WriteHeader(status)
	return nil
}

// startJob starts a draft, as if its owner had printed it.
func (s *Sim) startJob(c *call) reply {
	s.mu.Lock()
	j := s.findJob(c)
	if r, ok := c.draftOf(j); !ok {
		s.mu.Unlock()
		return r
	}
	if !j.uploaded {
		s.mu.Unlock()
		return c.badRequest("The document was not uploaded.")
	}
	j.draft = false
	fresh := s.begin(s.printers[j.id.Printer], j, true)
	status := s.jobJSON(j, false, false).Status
	s.mu.Unlock()
	if fresh != nil {
		s.announce(fresh)
	}
	return reply{status: 200, body: status}
}

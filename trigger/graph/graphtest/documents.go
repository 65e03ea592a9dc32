package graphtest

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	documentPrefix = "/_documents/"
	typeOXPS       = "application/oxps"
	typePDF        = "application/pdf"
)

func (s *Sim) findDocument(c *call) *job {
	if j := s.findJob(c); j != nil && j.doc.id == c.Document {
		return j
	}
	return nil
}

func (s *Sim) getDocument(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.findDocument(c)
	if j == nil {
		return c.notFound()
	}
	return reply{status: 200, body: j.doc.json(j.created.UTC().Format(stamp))}
}

// getDocumentValue redirects the caller to another host, to an address that needs no token.
func (s *Sim) getDocumentValue(c *call) reply {
	s.mu.Lock()
	j := s.findDocument(c)
	s.mu.Unlock()
	if j == nil {
		return c.notFound()
	}
	base := s.knobs.Load().DocumentBase
	if base == "" {
		base = otherHost(c.origin)
	}
	q := url.Values{"p": {c.Printer}, "j": {c.Job}, "sig": {s.signature(c.Document)}}
	return reply{status: 302, header: http.Header{"Location": {base + documentPrefix + c.Document + "?" + q.Encode()}}}
}

func (s *Sim) signature(document string) string { return s.dice.guid("signature", document) }

// otherHost is another name of the same machine where there is one, else a name only the in-memory transport serves.
func otherHost(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return origin
	}
	port := ""
	if p := u.Port(); p != "" {
		port = ":" + p
	}
	switch host := u.Hostname(); {
	case host == "localhost":
		u.Host = "127.0.0.1" + port
	case host == "127.0.0.1":
		u.Host = "localhost" + port
	case net.ParseIP(host) == nil:
		u.Host = "documents." + u.Host
	}
	return u.Scheme + "://" + u.Host
}

// serveDocument is the storage behind Graph. It needs no token; one that arrives here has leaked.
func (s *Sim) serveDocument(w http.ResponseWriter, r *http.Request) error {
	s.log.count(OpDownload)
	if r.Header.Get("Authorization") != "" {
		s.log.violation("a bearer token was sent to the document host")
		http.Error(w, "AuthenticationFailed", http.StatusForbidden)
		return nil
	}
	if s.outage.Load() == outageUnreachable {
		return errRefused
	}
	id := strings.TrimPrefix(r.URL.Path, documentPrefix)
	q := r.URL.Query()
	s.mu.Lock()
	j := s.jobLocked(JobID{q.Get("p"), q.Get("j")})
	var doc document
	if j != nil {
		doc = j.doc
	}
	s.mu.Unlock()
	if j == nil || doc.id != id || q.Get("sig") != s.signature(id) || (r.Method != http.MethodGet &&
		r.Method != http.MethodHead) {
		http.Error(w, "AuthenticationFailed", http.StatusForbidden)
		return nil
	}
	content, err := doc.content()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", doc.contentType)
	w.Header().Set("ETag", `"`+doc.id+`"`)
	http.ServeContent(w, r, "", time.Time{}, content)
	return nil
}

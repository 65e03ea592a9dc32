package graph

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"pullprint/trigger/graph/transport"
)

// PrintRights are the delegated permissions for printing as the person who signed in, and for
// canceling it (https://learn.microsoft.com/graph/api/printer-post-jobs,
// https://learn.microsoft.com/graph/api/printjob-cancel). Apps can't have them.
var PrintRights = []string{"PrintJob.Create", "PrintJob.ReadWriteBasic"}

// CreateJob creates a job of the person who signed in, with the printer's defaults
// (https://learn.microsoft.com/graph/api/printer-post-jobs). It then waits for its document. It
// is retried like a read, because a job that is never started prints nothing.
func (c *Client) CreateJob(ctx context.Context, printer string) (Job, error) {
	var out wireJob
	cl := c.on(createJob, printer).into(&out).with(map[string]any{"configuration": map[string]any{}})
	if err := c.do(ctx, cl); err != nil {
		return Job{}, err
	}
	if !ValidID(out.ID) || len(out.Documents) == 0 || !ValidID(out.Documents[0].ID) {
		return Job{}, cl.failed(garbled, errInvalidID)
	}
	return out.job(Ref{Printer: printer, Job: out.ID}), nil
}

// maxUpload is how much can be uploaded in one request
// (https://learn.microsoft.com/graph/upload-data-to-upload-session).
const maxUpload = 10 << 20

// Upload uploads the document of a job that CreateJob created, of less than 10 MB
// (https://learn.microsoft.com/graph/api/printdocument-createuploadsession). It goes to the
// address that Graph returns, on a host of Microsoft, without a token.
func (c *Client) Upload(ctx context.Context, ref Ref, d Document, name string, body []byte) error {
	var out struct {
		URL string `json:"uploadUrl"`
	}
	cl := c.on(createUpload, ref.Printer, ref.Job, d.ID).into(&out)
	if len(body) == 0 || len(body) >= maxUpload {
		return cl.failed(refused, errInvalid)
	}
	cl.with(map[string]any{
		"properties": map[string]any{"documentName": name, "contentType": d.ContentType, "size": len(body)},
	})
	if err := c.do(ctx, cl); err != nil {
		return err
	}
	u, err := url.Parse(out.URL)
	if err != nil || u.Host == "" || u.User != nil || !c.microsofts(u) {
		return cl.failed(garbled, errInvalid)
	}
	return c.put(ctx, u, body)
}

// microsofts reports whether a document may be uploaded to u.
func (c *Client) microsofts(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	if loopback(c.base.Hostname()) && loopback(host) {
		return u.Scheme == "https" || u.Scheme == "http"
	}
	return u.Scheme == "https" && (strings.HasSuffix(host, ".microsoft.com") || strings.HasSuffix(host, ".microsoft.us"))
}

// put uploads a document in one request, without a retry.
func (c *Client) put(ctx context.Context, u *url.URL, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, transport.TryTimeout)
	defer cancel()
	began := time.Now()
	cl := call{op: uploadDocument}
	req := (&http.Request{
		Method: http.MethodPut, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Range": {fmt.Sprintf("bytes 0-%d/%d", len(body)-1, len(body))}, "User-Agent": c.agent,
		},
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}).WithContext(ctx)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		c.metrics.observe(uploadDocument, label(0, err), began)
		return cl.failed(lost, transport.Error{Cause: err})
	}
	defer resp.Body.Close()
	c.metrics.observe(uploadDocument, label(resp.StatusCode, nil), began)
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return &Error{Operation: uploadDocument.name(), Status: resp.StatusCode, write: true}
	}
	return nil
}

// StartJob prints a job whose document was uploaded
// (https://learn.microsoft.com/graph/api/printjob-start). After an Ambiguous error it may have
// been started.
func (c *Client) StartJob(ctx context.Context, ref Ref) error {
	return c.do(ctx, c.on(startJob, ref.Printer, ref.Job))
}

// CancelJob cancels a job of the person who signed in
// (https://learn.microsoft.com/graph/api/printjob-cancel).
func (c *Client) CancelJob(ctx context.Context, ref Ref) error {
	return c.do(ctx, c.on(cancelJob, ref.Printer, ref.Job))
}

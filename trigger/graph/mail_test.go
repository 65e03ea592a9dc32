package graph

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A message is sent from the mailbox that is asked for, once, also when the answer is lost; and no error
// has an address.
func TestSendMail(t *testing.T) {
	status, calls, path, body := 202, 0, "", ""
	o := &fakeServers{graph: func(_ int, r *http.Request) (*http.Response, error) {
		calls++
		raw, err := io.ReadAll(r.Body)
		path, body = r.Method+" "+r.URL.EscapedPath(), string(raw)
		return answer(status, `{"error":{"code":"ErrorAccessDenied","message":"to anna@contoso.com"}}`), err
	}}
	c, _ := o.client(t)
	m := Mail{To: "anna@contoso.com", Subject: "A job", Text: "did not print\n", MessageID: "<1@contoso.com>"}
	if err := c.SendMail(t.Context(), "printing@contoso.com", m); err != nil || path != "POST /v1.0/users/printing@contoso.com/sendMail" {
		t.Errorf("%s: %v", path, err)
	}
	for _, part := range []string{
		`"saveToSentItems":false`, `"subject":"A job"`, `"body":{"contentType":"text","content":"did not print\n"}`,
		`"toRecipients":[{"emailAddress":{"address":"anna@contoso.com"}}]`, `"internetMessageId":"\u003c1@contoso.com\u003e"`,
		`"internetMessageHeaders":[{"name":"X-Auto-Response-Suppress","value":"All"}]`,
	} {
		if !strings.Contains(body, part) {
			t.Errorf("%s has no %s", body, part)
		}
	}
	for _, status = range []int{400, 403, 404, 500, 503} {
		calls = 0
		err := c.SendMail(t.Context(), "printing@contoso.com", m)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Status != status || calls != 1 || strings.Contains(err.Error(), "anna") {
			t.Errorf("%d: %v, %d calls", status, err, calls)
		}
	}
	calls = 0
	for _, from := range []string{"", "printing", "../x@contoso.com", "a/b@contoso.com", strings.Repeat("a", 113) + "@x"} {
		if err := c.SendMail(t.Context(), from, m); err == nil || calls != 0 {
			t.Errorf("from %q: %v, %d calls", from, err, calls)
		}
	}
}

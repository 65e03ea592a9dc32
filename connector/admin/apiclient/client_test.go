package apiclient

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// spaces is a body of so many spaces.
type spaces struct{ left int }

func (b *spaces) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), b.left)
	for i := range p[:n] {
		p[i] = ' '
	}
	b.left -= n
	return n, nil
}

// Of an answer that is larger than a client takes it is said that it is, and how to ask for
// less; the largest that it takes is read.
func TestLargeAnswer(t *testing.T) {
	for more, want := range map[int]string{0: "", 1: "larger than 64 MiB: ask for less, by --since or --limit"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "{}")
			_, _ = io.Copy(w, &spaces{maxAnswer - len("{}") + more})
		}))
		_, err := New(srv.URL, "token").QuotaHistory(t.Context(), "center.kiosk", time.Now())
		srv.Close()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d more: %v", more, err)
		}
	}
}

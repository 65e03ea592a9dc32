package daemon_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/trigger/graph/graphtest"
)

// The owner of a job that is refused has one mail with the reason and what to do, and the page of the simulator
// lists it. It is in real time: SMTP has sockets.
func TestNoticeByMail(t *testing.T) {
	o := newOffice(t, graphtest.Calm())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- o.sim.ServeMail(ctx, ln) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	mail := fmt.Sprintf("{from: printing@contoso.com, smtp: {address: %q, tls: none}}", ln.Addr().String())
	o.edit("metrics:", "notices: {mail: "+mail+"}\nmetrics:")
	s := o.start(zap.NewNop())
	s.register()
	s.print(graphtest.JobSpec{Printer: directID, Copies: 99})
	s.await("a mail", 10*time.Second, func() bool { return len(o.sim.Messages()) > 0 })
	s.end()
	page := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/", nil)
	o.sim.Control().ServeHTTP(page, req)
	_, messages, _ := strings.Cut(page.Body.String(), `id="messages"`)
	messages, _, _ = strings.Cut(messages, "</section>")
	for _, want := range []string{
		">student@contoso.com<", ">Why: More than 50 copies go to the print shop.", "Print fewer copies.",
	} {
		if strings.Count(messages, want) != 1 {
			t.Errorf("not once %q in%s", want, messages)
		}
	}
	if got := o.sim.Messages(); len(got) != 1 || got[0].By != "SMTP" || got[0].From != "printing@contoso.com" {
		t.Errorf("%+v", got)
	}
}

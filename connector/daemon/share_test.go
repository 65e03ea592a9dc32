package daemon_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/release"
)

// Whoever holds the token of one reader can send as many bodies as they like, as slowly
// as they like: others show their badges and ask the API meanwhile, and soon that
// reader does again.
func TestSlowBodiesOfOneReader(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		s.hold(1)
		refused := make(chan int, 256)
		for range cap(refused) {
			c, err := s.net.dial(context.Background(), "tcp", s.admin())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c,
				"POST /v1/taps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: "+
					"60000\r\n\r\n{", readerToken)
			go func() {
				if res, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
					refused <- res.StatusCode
				}
			}()
		}
		pass(time.Second)
		if n := len(refused); n < 200 {
			t.Errorf("only %d of %d were turned away at once", n, cap(refused))
		}
		start := time.Now()
		var out release.Outcome
		if code := s.ask(adminToken, "POST", "/v1/taps", fmt.Sprintf(`{"device":"hq-2-east","badge":%q}`, number),
			&out); code != http.StatusOK || len(out.Released) != 1 {
			t.Errorf("a tap at another device: %d %+v", code, out)
		}
		if code := s.ask(adminToken, "GET", "/v1/devices", "", nil); code != http.StatusOK {
			t.Errorf("the api: %d", code)
		}
		if code, _ := s.get("/metrics"); code != http.StatusOK {
			t.Errorf("metrics: %d", code)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("all that took %s", took)
		}
		pass(15 * time.Second)
		if _, code := s.tap(number); code != http.StatusOK {
			t.Errorf("a tap at the reader itself, later: %d", code)
		}
	})
}

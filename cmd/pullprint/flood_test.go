package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/policy/badge"
	"pullprint/trigger/graph/graphtest"
)

var floodAll = flag.Bool("flood.all", false, "each kind of flood at each listener in TestFlood; otherwise each at one")

const (
	// floodFiles is how many file descriptors the flooded process has, as by ulimit -n: a
	// quarter of what shells usually give, so that few connections are more than it has.
	floodFiles = 256
	// floodAnswer and floodPatience are for a machine that is busy with other tests and the
	// race detector; both are less than the 40 s after which unread answers are cut off.
	floodAnswer   = 10 * time.Second
	floodPatience = 20 * time.Second
)

// floodHead begins the slow body of one who holds a reader's token.
const floodHead = "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
	"Authorization: Bearer token-of-the-flood\r\nContent-Length: 65536\r\n\r\n{"

// floods are what clients do to a listener: more connections than the process has
// descriptors, in different moods.
var floods = map[string]struct {
	first string // what is sent at once; %s is the path to post to
	drip  bool   // then a byte now and then
	at    string // the listener, without -flood.all
}{
	"say nothing":          {"", false, "metrics"},
	"slow headers":         {"POST %s HTTP/1.1\r\nHost: x\r\nX: ", true, "pages"},
	"slow bodies":          {floodHead, true, "api"},
	"large bodies":         {"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n{", true, "webhook"},
	"answers are not read": {strings.Repeat("GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 40), false, "api"},
}

// Whatever clients do to a listener with connections, the program goes on with its
// work: taps, the API, the metrics and the store have descriptors and places left.
func TestFlood(t *testing.T) {
	t.Parallel()
	c := newChaos(t, graphtest.Calm(), 1)
	hook := c.floodable()
	cmd := exec.Command("sh", "-c", fmt.Sprintf("ulimit -n %d; exec pullprint run --config config.yaml", floodFiles))
	p, err := startCommand(c.dir, os.Environ(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	c.ready(p)
	c.enrol()
	for name, flood := range floods {
		for where, target := range map[string][2]string{
			"webhook": {hook, "/graph/notifications"}, "metrics": {c.metrics, "/metrics"},
			"api": {c.api, "/v1/taps"}, "pages": {c.api, "/login"},
		} {
			if where != flood.at && !*floodAll {
				continue
			}
			ctx, stop := context.WithCancel(t.Context())
			first := flood.first
			if strings.Contains(first, "%s") {
				first = fmt.Sprintf(first, target[1])
			}
			ended := pour(ctx, target[0], first, flood.drip)
			c.works(name+" at "+where, hook)
			stop()
			<-ended
		}
	}
	if text := p.err.String(); strings.Contains(text, "too many open files") {
		t.Errorf("out of descriptors:\n%s", tail(text, 4000))
	}
	c.alive(p)
}

// floodable gives the west device a reader's token, and returns the address of the
// webhook.
func (c *chaos) floodable() (hook string) {
	c.Helper()
	file := filepath.Join(c.dir, "config.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		c.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `webhook: {listen: "`)
	hook, _, _ = strings.Cut(rest, `"`)
	edited := strings.Replace(string(text), "{id: west,", "{id: west, token_file: reader-token,", 1)
	for name, text := range map[string]string{file: edited, filepath.Join(c.dir, "reader-token"): "token-of-the-flood"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			c.Fatal(err)
		}
	}
	return hook
}

// pour opens more connections to an address than the process has descriptors, and as
// many again as are closed, until ctx ends.
func pour(ctx context.Context, address, first string, drip bool) (ended <-chan struct{}) {
	var all []chan struct{}
	for range floodFiles + 64 {
		one := make(chan struct{})
		all = append(all, one)
		go func() {
			defer close(one)
			for ctx.Err() == nil {
				hold(ctx, address, first, drip)
				wait(ctx, 2*time.Second)
			}
		}()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, one := range all {
			<-one
		}
	}()
	return done
}

// hold keeps one connection for as long as it is let.
func hold(ctx context.Context, address, first string, drip bool) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10) // so that an answer that is not read is felt
	}
	_ = conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(conn, first); err != nil {
		return
	}
	if !drip {
		wait(ctx, time.Minute)
		return
	}
	for ctx.Err() == nil {
		_ = conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
		if _, err := io.WriteString(conn, " "); err != nil {
			return
		}
		wait(ctx, time.Second)
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// works asks for everything that people and programs want of the daemon; each may take
// a few tries, as the first connections of a flood may have all places for a moment.
func (c *chaos) works(during, hook string) {
	c.Helper()
	client := apiclient.New("http://"+c.api, chaosToken)
	direct := &http.Client{Timeout: floodAnswer, Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(url, method string) error {
		req, err := http.NewRequestWithContext(c.Context(), method, url, nil)
		if err != nil {
			return err
		}
		res, err := direct.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s, %w", res.Status, err)
		}
		return nil
	}
	for what, try := range map[string]func() error{
		"a tap": func() error { _, err := client.Tap(c.Context(), "east", tapperUPN(0)); return err },
		"the api": func() error {
			_, err := client.Enrol(c.Context(), tapperUPN(1), badge.Enrolment{Owner: tapperID(1)}) // which writes to the store
			return err
		},
		"metrics":   func() error { return get("http://"+c.metrics+"/metrics", http.MethodGet) },
		"readiness": func() error { return get("http://"+c.metrics+"/readyz", http.MethodGet) },
		"webhook":   func() error { return get("http://"+hook+"/graph/notifications?validationToken=x", http.MethodPost) },
	} {
		var err error
		if !eventually(floodPatience, func() bool { err = try(); return err == nil }) {
			c.Errorf("%s: %s: %v", during, what, err)
		}
	}
}

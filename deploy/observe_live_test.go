package deploy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var withOutage = flag.Bool("prometheus.outage", false,
	"take Graph away from the demo and wait for the alert, as it is: 6 minutes")

// TestPrometheus has a real Prometheus scrape the demo with the example configuration
// and all rules: every expression of a panel is answered, every rule evaluates, and no
// alert fires.
func TestPrometheus(t *testing.T) {
	if !*withPrometheus {
		t.Skip("slow; asked for by -prometheus")
	}
	t.Parallel()
	bin := pullprint(t)
	checkRunbookVerbs(t, bin)
	demo := startDemo(t, bin)
	checkMetrics(t, demo.metrics)
	prom := startPrometheus(t, demo.metrics)
	prom.await(t, "the demo's morning", func() bool {
		return prom.sum(t,
			`pullprint_decisions_total{verdict="keep"}`) >= 2
	})
	prom.await(t, "a minute of scrapes", func() bool {
		return prom.sum(t,
			`count_over_time(up{job="pullprint"}[1h])`) >= 20
	})

	list, empty := expressions(t), map[string]bool{}
	prom.await(t, "an answer to each panel", func() bool {
		clear(empty)
		for _, e := range list {
			if len(prom.query(t, e.expr)) == 0 {
				empty[e.what+": "+e.expr] = true
			}
		}
		return len(empty) == 0
	}, func() {
		for e := range empty {
			t.Errorf("no answer: %s", e)
		}
	})
	t.Logf("%d expressions answered", len(list))
	if n := prom.checkRules(t); n < 60 {
		t.Errorf("only %d rules evaluated", n)
	}
	for _, s := range prom.query(t, `ALERTS{alertname=~"Pullprint.*", alertstate="firing"}`) {
		t.Errorf("in a demo where all is well, %s fires", s.Metric["alertname"])
	}
}

// TestPrometheusOutage takes Graph away from the demo: the alert of that fires, by the
// rules as they are, and ends when Graph is back.
func TestPrometheusOutage(t *testing.T) {
	if !*withOutage {
		t.Skip("takes 6 minutes; asked for by -prometheus.outage")
	}
	demo := startDemo(t, pullprint(t))
	prom := startPrometheus(t, demo.metrics)
	firing := func() bool {
		return len(prom.query(t, `ALERTS{alertname="PullprintGraphUnreachable", alertstate="firing"}`)) == 1
	}
	prom.await(t, "a sweep", func() bool { return prom.sum(t, "pullprint_sweep_last_success_timestamp_seconds") > 0 })
	post(t, "http://"+demo.simulator+"/_sim/outage", `{"mode": "unreachable"}`)
	gone := time.Now()
	prom.await(t, "the alert", firing)
	t.Logf("fires %s after Graph went", time.Since(gone).Round(time.Second))
	post(t, "http://"+demo.simulator+"/_sim/outage", `{"mode": "off"}`)
	back := time.Now()
	prom.await(t, "the end of the alert", func() bool { return !firing() })
	t.Logf("ends %s after Graph came back", time.Since(back).Round(time.Second))
}

// running is a program that runs until the test ends.
type running struct{ metrics, simulator string }

// start runs a program until the test ends, and calls line with what it says.
func start(t *testing.T, line func(string), path string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			line(s.Text())
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
		_ = cmd.Wait() // it was told to end
	})
}

func startDemo(t *testing.T, bin string) running {
	t.Helper()
	var d running
	found := make(chan running, 1)
	simulator, metrics := regexp.MustCompile(`Universal Print, simulated\s+http://([0-9.:]+)/`),
		regexp.MustCompile(`http://([0-9.:]+)/metrics`)
	start(t, func(line string) {
		if m := simulator.FindStringSubmatch(line); m != nil {
			d.simulator = m[1]
		}
		if m := metrics.FindStringSubmatch(line); m != nil && d.metrics == "" {
			d.metrics = m[1]
			found <- d
		}
	}, bin, "demo")
	select {
	case d := <-found:
		return d
	case <-time.After(time.Minute):
		t.Fatal("the demo has not come to its end within a minute")
		return running{}
	}
}

// checkMetrics has promtool look at names, help texts and units.
func checkMetrics(t *testing.T, address string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, "promtool"), "check", "metrics")
	cmd.Stdin = strings.NewReader(get(t, "http://"+address+"/metrics"))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// runbookVerb is a command of ours in the runbook.
var runbookVerb = regexp.MustCompile("`pullprint ([a-z-]+)( [a-z]+)?[^`]*`")

// checkRunbookVerbs tries every command that the runbook names.
func checkRunbookVerbs(t *testing.T, bin string) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range runbookVerb.FindAllStringSubmatch(string(src), -1) {
		words := append(strings.Fields(m[1]+m[2]), "--help")
		out, err := exec.CommandContext(t.Context(), bin, words...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "pullprint "+strings.TrimSpace(m[1]+m[2])) {
			t.Errorf("runbook.md: there is no %s: %v", m[0], err)
		}
	}
}

// watcher is a Prometheus that runs.
type watcher struct{ base string }

// startPrometheus runs the example configuration, scraping fast.
func startPrometheus(t *testing.T, target string) watcher {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("prometheus")); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "prometheus.yml")
	src, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("127.0.0.1:9464", target, "_interval: 15s", "_interval: 1s").Replace(string(src))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	_ = ln.Close()
	start(t, func(string) {}, tool(t, "prometheus"), "--config.file="+conf,
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=error")
	p := watcher{"http://" + address}
	p.await(t, "Prometheus", func() bool {
		res, err := http.Get(p.base + "/-/ready")
		return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
	})
	return p
}

// await asks until done says so, for 100 seconds at most, or what an outage takes.
func (p watcher) await(t *testing.T, what string, done func() bool, otherwise ...func()) {
	t.Helper()
	within := 100 * time.Second
	if *withOutage {
		within = 10 * time.Minute
	}
	deadline := time.After(within)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			for _, tell := range otherwise {
				tell()
			}
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// sample is a series with its newest value.
type sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

func (p watcher) query(t *testing.T, expr string) []sample {
	t.Helper()
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   struct {
			Result []sample `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(get(t, p.base+"/api/v1/query?query="+url.QueryEscape(expr))), &answer); err != nil ||
		answer.Status != "success" {
		t.Fatalf("%s: %v %s", expr, err, answer.Error)
	}
	return answer.Data.Result
}

// sum is that of all series.
func (p watcher) sum(t *testing.T, expr string) (total float64) {
	t.Helper()
	for _, s := range p.query(t, "sum("+expr+")") {
		if _, err := fmt.Sscan(fmt.Sprint(s.Value[1]), &total); err != nil {
			t.Fatal(err)
		}
	}
	return total
}

// checkRules looks at the health of every rule and counts them.
func (p watcher) checkRules(t *testing.T) (n int) {
	t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string } `json:"rules"`
			} `json:"groups"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(get(t, p.base+"/api/v1/rules")), &answer); err != nil {
		t.Fatal(err)
	}
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" {
				t.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	return n
}

func get(t *testing.T, address string) string {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func post(t *testing.T, address, body string) {
	t.Helper()
	res, err := http.Post(address, "application/json", strings.NewReader(body))
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	_ = res.Body.Close()
}

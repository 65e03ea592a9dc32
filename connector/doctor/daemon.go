package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"time"

	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/trigger/listen"
)

// nearby is how long an answer of this machine may take.
const nearby = 5 * time.Second

// daemon looks for one that runs on this machine, and at its ports if none does.
func (ds *diagnostics) daemon(ctx context.Context) {
	status, body, err := metricsPage(ctx, ds.Config, "/readyz?verbose")
	switch {
	case err != nil && errors.Is(err, syscall.ECONNREFUSED):
		ds.say("daemon", Warning, "it does not run on this machine", "start it: pullprint run, or systemctl start pullprint")
		ds.ports(ctx)
		return
	case err != nil:
		ds.say("daemon", Warning, "metrics.listen can't be asked: "+plainly(err), "look at what listens there: ss -ltnp")
		return
	case !guarded(status) && !isDaemon(status, body):
		ds.say("daemon", Failed, fmt.Sprintf("another program answers at metrics.listen, %s, with status %d: the daemon "+
			"can't listen there", ds.Config.Metrics.Listen, status),
			"see which it is: ss -ltnp; stop it, or give pullprint another port")
		return
	case status == http.StatusOK:
		ds.runs = true
		ds.say("daemon", OK, "it runs and is ready", "")
	case status == http.StatusServiceUnavailable:
		ds.runs = true
		ds.unready(body)
	default:
		ds.say("daemon", Warning, fmt.Sprintf("metrics.listen answers with status %d", status),
			"if it is guarded by metrics.web_config_file, ask it yourself: /readyz?verbose")
		return
	}
	ds.advised(body)
	ds.version(ctx)
	ds.openPorts(ctx)
}

// guarded reports whether a status may be that of a daemon with a web configuration.
func guarded(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusBadRequest
}

// isDaemon reports whether an answer to /readyz is that of a daemon.
func isDaemon(status int, body string) bool {
	return status == http.StatusOK && strings.Contains(body, "ready") ||
		status == http.StatusServiceUnavailable && strings.Contains(body, "not ready")
}

// DaemonRuns reports whether a daemon answers at metrics.listen on this machine, ready or
// not.
func DaemonRuns(ctx context.Context, cfg *config.Config) bool {
	status, body, err := metricsPage(ctx, cfg, "/readyz")
	return err == nil && isDaemon(status, body)
}

// advised tells what the daemon wants known though it can work.
func (ds *diagnostics) advised(body string) {
	for line := range strings.Lines(body) {
		if what, ok := strings.CutPrefix(strings.TrimSpace(line), "[!] "); ok {
			ds.say("daemon", Warning, what, "its log says more")
		}
	}
}

// metricsPage reads one of metrics.listen.
func metricsPage(ctx context.Context, cfg *config.Config, path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, nearby)
	defer cancel()
	address, err := listen.Reachable(cfg.Metrics.Listen)
	if err != nil {
		return 0, "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	return res.StatusCode, string(text), err
}

// unready tells each reason of the daemon's own.
func (ds *diagnostics) unready(body string) {
	for line := range strings.Lines(body) {
		if why, ok := strings.CutPrefix(strings.TrimSpace(line), "[-] "); ok {
			ds.say("daemon", Failed, "not ready: "+why, "the lines below and its log say more")
		}
	}
}

var buildInfo = regexp.MustCompile(`^pullprint_build_info\{.*\}`)

// version compares the program that runs with this one.
func (ds *diagnostics) version(ctx context.Context) {
	_, body, err := metricsPage(ctx, ds.Config, "/metrics")
	if err != nil {
		return
	}
	ours := daemon.ReadBuild()
	lines := bufio.NewScanner(strings.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		info := buildInfo.FindString(lines.Text())
		if info == "" {
			continue
		}
		if strings.Contains(info, fmt.Sprintf("version=%q", ours.Version)) &&
			strings.Contains(info, fmt.Sprintf("revision=%q", ours.Revision)) {
			ds.say("version", OK, ours.Version+", as the daemon's", "")
			return
		}
		ds.say("version", Warning, fmt.Sprintf("this program is %s (%s), and another one runs: %s", ours.Version,
			ours.Revision, strings.TrimPrefix(info, "pullprint_build_info")), "start the daemon again")
		return
	}
}

// eachPort tries the ports of the configuration but those that are skipped, and tells of those that
// failed, else that all are well.
func (ds *diagnostics) eachPort(skip, well string, try func(address string) error, advice func(error) string) {
	failed := false
	for _, p := range []struct{ key, address string }{
		{"webhook.listen", ds.Config.Webhook.Listen},
		{"metrics.listen", ds.Config.Metrics.Listen},
		{"admin.listen", ds.Config.Admin.Listen},
	} {
		if p.key == skip || p.address == "" {
			continue
		}
		if err := try(p.address); err != nil {
			failed = true
			ds.say("ports", Failed, p.key+": "+plainly(err), advice(err))
		}
	}
	if !failed {
		ds.say("ports", OK, well, "")
	}
}

// ports tries whether a daemon could listen.
func (ds *diagnostics) ports(ctx context.Context) {
	ds.eachPort("", "all are free", func(address string) error {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err == nil {
			err = ln.Close()
		}
		return err
	}, portAdvice)
}

func portAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program has it: ss -ltnp; stop it, or give pullprint another port"
	case errors.Is(err, syscall.EACCES):
		return "a port below 1024 needs CAP_NET_BIND_SERVICE; take a higher one behind a proxy"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine has no such address: ip addr"
	}
	return "correct the address"
}

// openPorts asks the daemon's other two.
func (ds *diagnostics) openPorts(ctx context.Context) {
	ds.eachPort("metrics.listen", "the daemon listens on all of them", func(address string) error {
		address, err := listen.Reachable(address)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, nearby)
		defer cancel()
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
		}
		return err
	}, func(error) string { return "the daemon runs with another configuration: start it again" })
}

// plainly is an error of the network without what was asked for.
func plainly(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return err.Error()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"pullprint/connector/terminal"
	"pullprint/trigger/listen"

	"github.com/spf13/cobra"
)

// How long health waits for one answer, how much of it it reads, and how often it
// asks again with --wait.
const (
	healthWithin = 5 * time.Second
	healthBytes  = 64 << 10
	healthEvery  = time.Second
)

// healthOptions are what health is asked.
type healthOptions struct {
	url  string
	live bool
	wait time.Duration
}

func healthCommand() *cobra.Command {
	var o healthOptions
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the running daemon whether it is ready",
		Long: `Asks the daemon of the configuration, at metrics.listen, or the one at --url, whether
it is ready, and prints each check. Exits with 0 when it is and with 1 when it is not:
what a container's health check needs, and no more. It signs in nowhere; for what keeps
the daemon from working, see doctor.`,
		Example: "  pullprint health\n  pullprint health --live\n  pullprint health --url http://pullprint:9464 --wait 1m",
		Args:    wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			target, err := o.target(cmd)
			if err != nil {
				return err
			}
			return o.ask(cmd.Context(), cmd.OutOrStdout(), target)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "",
		"`ADDRESS` of the daemon's metrics.listen, as http://127.0.0.1:9464; that of the configuration when not given")
	f.BoolVar(&o.live, "live", false, "ask only whether it runs (/healthz), not whether it is ready (/readyz)")
	durationVar(f, &o.wait, "wait", 0, "ask again until it is, for that long at most")
	return cmd
}

// target is the page to ask. An address with a path of its own is asked as it is.
func (o healthOptions) target(cmd *cobra.Command) (string, error) {
	base := o.url
	if base == "" {
		var err error
		if base, err = metricsAddress(cmd); err != nil {
			return "", err
		}
	}
	if err := checkAddress(base, "http://127.0.0.1:9464"); err != nil {
		return "", err
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", usageError{err}
	}
	switch {
	case strings.Trim(u.Path, "/") != "" && o.live:
		return "", usageError{errors.New("--live: --url has a path already; leave one of them out")}
	case strings.Trim(u.Path, "/") != "":
	case o.live:
		u.Path = "/healthz"
	default:
		u.Path, u.RawQuery = "/readyz", "verbose"
	}
	return u.String(), nil
}

// metricsAddress is where this machine reaches the daemon of the configuration. A
// configuration that is wrong otherwise still tells.
func metricsAddress(cmd *cobra.Command) (string, error) {
	cfg, err := loadConfig(cmd, ", or give --url")
	if err != nil && (cfg == nil || cfg.Metrics.Listen == "") {
		return "", err
	}
	address, err := listen.Reachable(cfg.Metrics.Listen)
	if err != nil {
		return "", usageError{fmt.Errorf("metrics.listen: %w", err)}
	}
	return "http://" + address, nil
}

// ask prints the answer that counts: the first good one, or the last.
func (o healthOptions) ask(ctx context.Context, out io.Writer, target string) error {
	// No proxy and no redirect: the answer has to be the daemon's own.
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       healthWithin,
	}
	late := time.After(o.wait)
	again := time.NewTicker(healthEvery)
	defer again.Stop()
	for {
		text, err := askOnce(ctx, client, target)
		if err != nil && o.wait > 0 {
			select {
			case <-ctx.Done():
			case <-late:
			case <-again.C:
				continue
			}
		}
		fmt.Fprint(out, text)
		return err
	}
}

// askOnce returns what the daemon says of itself, and an error unless that is good.
func askOnce(ctx context.Context, client *http.Client, target string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%w; is the daemon running, and is that the address of its metrics.listen?", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, healthBytes))
	if err != nil {
		return "", fmt.Errorf("read the answer of %s: %w", target, err)
	}
	var text strings.Builder
	for line := range strings.Lines(string(body)) {
		fmt.Fprintln(&text, terminal.Printable(strings.TrimRight(line, "\r\n")))
	}
	if res.StatusCode != http.StatusOK {
		return text.String(), fmt.Errorf("%s answers %s", target, terminal.Printable(res.Status))
	}
	return text.String(), nil
}

package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector/config"
	"pullprint/policy"
	"pullprint/trigger/graph"
)

func doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Diagnose problems: network, sign-in, rights, printers, store",
		Long: `Checks the configuration, then what it names: files and certificates, the way to
Graph and to the authority, the clock, the store, the daemon and its ports, the
sign-in and the permissions in the token against those that the configuration needs,
the task definition and the subscription, triggers, each printer, groups, documents,
and the way from the internet to webhook.public_url. A line each: ok, warning or
failed, and what to do. Nothing is changed, unless --handshake is given.

Exits with 1 when something failed. The same as check --online.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error { return doctor(cmd, f) },
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return cmd
}

// doctorFlags are those of doctor and of check --online.
type doctorFlags struct {
	json, handshake bool
	failOn, user    string
}

func (f *doctorFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.handshake, "handshake", false,
		"have Graph post to webhook.public_url: makes a subscription and deletes it at once")
	cmd.Flags().StringVar(&f.failOn, "fail-on", broken, "exit with 1 from this result on: failed or warning")
	cmd.Flags().StringVar(&f.user, "user", "", "Entra object `ID` of a person whose groups are read for a try")
}

// How a finding is.
const (
	fine   = "ok"
	warned = "warning"
	broken = "failed"
)

// finding is one line of the doctor.
type finding struct {
	About  string `json:"about"`
	Result string `json:"result"`
	Text   string `json:"text"`
	// Do is what to do next, when it is not ok.
	Do string `json:"do,omitempty"`
}

// examination gathers findings.
type examination struct {
	cfg    *config.Config
	policy *policy.Policy
	flags  doctorFlags
	out    io.Writer // nil: said at the end
	all    []finding

	runs bool      // the daemon answers on this machine
	live time.Time // until when the subscription lives that Graph made; zero when it made none

	// What tests put in the way of the network.
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	roots *x509.CertPool // nil: this machine's
}

func (e *examination) say(about, result, text, do string) {
	f := finding{about, result, printable(text), printable(do)}
	e.all = append(e.all, f)
	if e.out == nil {
		return
	}
	fmt.Fprintf(e.out, "%-8s %-14s %s\n", f.Result, f.About, f.Text)
	if f.Do != "" {
		fmt.Fprintf(e.out, "%-8s %-14s   -> %s\n", "", "", f.Do)
	}
}

func doctor(cmd *cobra.Command, f doctorFlags) error {
	if f.failOn != broken && f.failOn != warned {
		return usageError{fmt.Errorf("--fail-on takes %s or %s, not %q", broken, warned, f.failOn)}
	}
	if f.user != "" && !graph.ValidID(f.user) {
		return usageError{errors.New("--user takes an Entra object id")}
	}
	cfg, p, err := loadAll(cmd)
	if err != nil {
		return err
	}
	e := &examination{cfg: cfg, policy: p, flags: f}
	if !f.json {
		e.out = cmd.OutOrStdout()
	}
	e.everything(cmd.Context())
	if f.json {
		if err := printJSON(cmd.OutOrStdout(), e.all); err != nil {
			return err
		}
	}
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	return e.verdict()
}

// everything looks at what is near first: what is wrong there explains what is
// wrong farther away.
func (e *examination) everything(ctx context.Context) {
	e.say("configuration", fine, fmt.Sprintf("%s, policy: %s", counted(len(e.cfg.Queues), "queue"), e.policy.Summary()),
		"")
	for _, w := range e.cfg.Warnings {
		e.say("configuration", warned, w.Message, w.Hint)
	}
	for _, look := range []func(context.Context){
		e.policyFile, e.files, e.store, e.written, e.daemon, e.network, e.tenant, e.publicURL,
	} {
		if ctx.Err() != nil {
			return
		}
		look(ctx)
	}
}

// verdict is an error when something is as bad as --fail-on says, or worse.
func (e *examination) verdict() error {
	count := map[string]int{}
	for _, f := range e.all {
		count[f.Result]++
	}
	switch failed, warnings := count[broken], count[warned]; {
	case failed > 0:
		return fmt.Errorf("%s failed", counted(failed, "check"))
	case warnings > 0 && e.flags.failOn == warned:
		return errors.New(counted(warnings, "warning"))
	}
	return nil
}

func (e *examination) graphConfig() graph.Config {
	c := e.cfg
	return graph.Config{TenantID: c.TenantID, Cloud: c.Cloud, Endpoints: c.Endpoints, Auth: c.Auth}
}

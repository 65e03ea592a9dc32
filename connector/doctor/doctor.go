// Package doctor diagnoses an installation: it checks the files, the store, the network, the
// tenant and the daemon, and says of each fault what to do. It also collects the support
// bundle, without names and secrets.
package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/config"
	"pullprint/connector/terminal"
	"pullprint/policy"
	"pullprint/policy/strictyaml"
)

// How a finding is.
const (
	OK      = "ok"
	Warning = "warning"
	Failed  = "failed"
)

// Finding is what came of one check.
type Finding struct {
	About  string `json:"about"`
	Result string `json:"result"`
	Text   string `json:"text"`
	// Do is what to do next, when it is not ok.
	Do string `json:"do,omitempty"`
}

// String is a finding as lines for people.
func (f Finding) String() string {
	text := fmt.Sprintf("%-8s %-14s %s\n", f.Result, f.About, f.Text)
	if f.Do != "" {
		text += fmt.Sprintf("%-8s %-14s   -> %s\n", "", "", f.Do)
	}
	return text
}

// Report are the findings of a run, in the order of the checks.
type Report []Finding

// Count tells how many findings have a result.
func (r Report) Count(result string) (n int) {
	for _, f := range r {
		if f.Result == result {
			n++
		}
	}
	return n
}

// Options are what to look at.
type Options struct {
	Config *config.Config
	Policy *policy.Policy
	// User is whose groups are read for a try: an Entra object id or a user name.
	User string
	// Handshake has Graph post to webhook.public_url.
	Handshake bool
	// Found is called with each finding as it is made; it may be nil.
	Found func(Finding)

	// What only a bundle needs.

	// Problems are those of a configuration that can't be used: nothing that it names is
	// looked at then.
	Problems strictyaml.Problems
	// File is that of the configuration: what it takes from the environment is a secret.
	File string
	// Log is a file with lines of the daemon's log; empty to ask the journal.
	Log string
	// API is a client of the daemon's API with an administrator's token; nil without one.
	API *apiclient.Client
}

// Run looks at everything that a configuration names. It stops early when ctx ends.
func Run(ctx context.Context, o Options) Report {
	ds := &diagnostics{Options: o}
	ds.everything(ctx)
	return ds.all
}

// diagnostics runs the checks and gathers their findings.
type diagnostics struct {
	Options
	all Report

	runs bool      // the daemon answers on this machine
	live time.Time // until when the subscription lives that Graph made; zero when it made none

	// What tests use instead of the network of this machine.
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	roots *x509.CertPool // nil: this machine's
}

func (ds *diagnostics) say(about, result, text, do string) {
	f := Finding{about, result, terminal.Printable(text), terminal.Printable(do)}
	ds.all = append(ds.all, f)
	if ds.Found != nil {
		ds.Found(f)
	}
}

// everything runs the checks of this machine before those of the network: a fault here
// explains faults there.
func (ds *diagnostics) everything(ctx context.Context) {
	ds.say("configuration", OK,
		fmt.Sprintf("%s, policy: %s", terminal.Counted(len(ds.Config.Queues), "queue"), ds.Policy.Summary()), "")
	for _, w := range ds.Config.Warnings {
		ds.say("configuration", Warning, w.Message, w.Hint)
	}
	for _, look := range []func(context.Context){
		ds.policyFile, ds.files, ds.store, ds.written, ds.daemon, ds.network, ds.mail, ds.webhooks, ds.tenant, ds.publicURL,
	} {
		if ctx.Err() != nil {
			return
		}
		look(ctx)
	}
}

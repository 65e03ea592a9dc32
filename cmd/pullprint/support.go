package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector/admin"
	"pullprint/connector/daemon"
	"pullprint/policy"
	"pullprint/policy/strictyaml"
)

func supportCommand() *cobra.Command {
	var b bundle
	cmd := &cobra.Command{
		Use:   "support-bundle",
		Short: "Collect diagnostics for support, with names and secrets removed",
		Long: `Writes one file, readable for you alone, with what doctor finds, the configuration in
force, the policy's rules without their words, the build, and of the running daemon:
readiness, streams, metrics, goroutines and the last lines of its log (from the API
of admin.listen; from the journal of systemd when it does not answer; and from a file
given with --log).

Secrets are taken out. Names, ids, addresses and every other word that the program
could not have said itself are replaced: one word by the same in this file, and by
another in the next. Look at it before you send it.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error { return b.make(cmd) },
	}
	cmd.Flags().StringVar(&b.out, "out", "",
		"`FILE` to write, - for standard output; pullprint-support-TIME.tar.gz when not given")
	cmd.Flags().StringVar(&b.log, "log", "", "`FILE` with lines of the daemon's log to put in as well")
	return cmd
}

// bundle is what is collected.
type bundle struct {
	out, log string

	scrub *scrubber
	files []bundled
	notes []string // what is not there, and why
}

// bundled is a file of it.
type bundled struct {
	name, about string
	content     []byte
}

func (b *bundle) add(name, about string, content []byte) {
	b.files = append(b.files, bundled{name, about, content})
}

func (b *bundle) addJSON(name, about string, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		b.notes = append(b.notes, name+" is not there: "+err.Error())
		return
	}
	b.add(name, about, append(text, '\n'))
}

func (b *bundle) make(cmd *cobra.Command) error {
	cfg, p, err := loadAll(cmd)
	var problems strictyaml.Problems
	if err != nil && (cfg == nil || !errors.As(err, &problems)) {
		return err
	}
	e := &examination{cfg: cfg, policy: p, flags: doctorFlags{failOn: broken}}
	b.scrub = newScrubber(secretsOf(cmd, cfg), namesOf(cfg), staying(p))
	ctx := cmd.Context()
	b.build()
	if len(problems) > 0 {
		for _, pr := range problems {
			e.say("configuration", broken, pr.Message, pr.Hint)
		}
		b.notes = append(b.notes, "the configuration can't be used, so nothing that it names was looked at")
		b.findings(e.all)
		b.journal(ctx)
	} else {
		e.everything(ctx)
		b.findings(e.all)
		b.configuration(e)
		b.daemon(ctx, e)
	}
	b.given()
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.write(cmd)
}

// staying are words of this installation that are no names.
func staying(p *policy.Policy) []string {
	build := daemon.ReadBuild()
	words := []string{build.Version, build.Revision, build.Go}
	if p != nil {
		words = append(words, p.Hash())
	}
	return words
}

func (b *bundle) build() {
	modules := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			modules[d.Path] = d.Version
		}
	}
	b.addJSON("build.json", "what the program was built from, and what it runs on", map[string]any{
		"build": daemon.ReadBuild(), "os": runtime.GOOS, "architecture": runtime.GOARCH, "cpus": runtime.NumCPU(),
		"user_is_root": os.Geteuid() == 0, "made": time.Now().UTC(), "modules": modules,
	})
}

func (b *bundle) findings(all []finding) {
	var text strings.Builder
	clean := make([]finding, len(all))
	for i, f := range all {
		clean[i] = finding{f.About, f.Result, b.scrub.text(f.Text), b.scrub.text(f.Do)}
		fmt.Fprintf(&text, "%-8s %-14s %s\n", f.Result, f.About, clean[i].Text)
		if f.Do != "" {
			fmt.Fprintf(&text, "%-8s %-14s   -> %s\n", "", "", clean[i].Do)
		}
	}
	b.add("findings.txt", "what pullprint doctor finds", []byte(text.String()))
	b.addJSON("findings.json", "the same, in JSON", clean)
}

// configuration is what is in force; of the policy, the rules without their words.
func (b *bundle) configuration(e *examination) {
	text, err := e.cfg.Effective()
	if err != nil {
		b.notes = append(b.notes, "config.yaml is not there: "+err.Error())
	} else {
		b.add("config.yaml", "the configuration in force", []byte(b.scrub.text(string(text))))
	}
	parts := e.policy.Parts()
	for i := range parts {
		o := &parts[i]
		o.Name, o.When, o.Reason = b.scrub.as("rule", o.Name), b.scrub.expression(o.When), b.scrub.text(o.Reason)
	}
	b.addJSON("policy.json", "the rules of the policy, without their words",
		map[string]any{"hash": e.policy.Hash(), "parts": parts})
}

// daemon asks the one that runs, and the journal when it does not answer.
func (b *bundle) daemon(ctx context.Context, e *examination) {
	api := e.api()
	if api == nil {
		b.notes = append(b.notes, "nothing of the running daemon is there: admin.listen with admin.token_file lets it be "+
			"asked")
		b.page(ctx, e)
		b.journal(ctx)
		return
	}
	d, err := api.Diagnose(ctx)
	if err != nil {
		b.notes = append(b.notes, "nothing of the running daemon is there: "+b.scrub.text(err.Error()))
		b.page(ctx, e)
		b.journal(ctx)
		return
	}
	b.diagnosis(d)
}

// page is /metrics, when the API can't be asked.
func (b *bundle) page(ctx context.Context, e *examination) {
	if _, body, err := e.page(ctx, "/metrics"); err == nil {
		b.add("metrics.txt", "what /metrics says", []byte(b.scrub.metrics(body)))
	}
}

func (b *bundle) diagnosis(d admin.Diagnostics) {
	b.add("metrics.txt", "what /metrics says", []byte(b.scrub.metrics(d.Metrics)))
	b.add("goroutines.txt", "where the daemon's goroutines are", []byte(codeOnly(d.Stacks)))
	b.lines("log.jsonl", "the last lines of the daemon's log", d.Lines)
	if d.Dropped > 0 {
		b.notes = append(b.notes, fmt.Sprintf("%d lines of the log came before those in log.jsonl", d.Dropped))
	}
	d.Metrics, d.Stacks, d.Lines, d.Instance = "", "", []string{}, b.scrub.text(d.Instance)
	d.Wrong = b.scrub.text(d.Wrong)
	for i := range d.Readiness {
		d.Readiness[i] = b.scrub.text(d.Readiness[i])
	}
	for i := range d.Streams {
		s := &d.Streams[i]
		s.Leader = b.scrub.text(s.Leader)
		for j := range s.Away {
			s.Away[j] = b.scrub.text(s.Away[j])
		}
	}
	b.addJSON("daemon.json", "readiness, streams and sizes of the running daemon", d)
}

func (b *bundle) lines(name, about string, lines []string) {
	var text strings.Builder
	for _, l := range lines {
		text.WriteString(b.scrub.line(l))
		text.WriteString("\n")
	}
	b.add(name, about, []byte(text.String()))
}

// How much of a log is taken.
const (
	logLines  = 5000
	logWithin = 20 * time.Second
	maxLog    = 32 << 20
)

// journal asks systemd for the log.
func (b *bundle) journal(ctx context.Context) {
	if b.log != "" {
		return // somebody knows better
	}
	ctx, cancel := context.WithTimeout(ctx, logWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, "journalctl", "--unit=pullprint", "--lines=2000", "--output=cat", "--no-pager",
		"--quiet").Output()
	if err != nil || len(out) == 0 {
		b.notes = append(b.notes, "no log is there: put one in with --log FILE, as of `kubectl logs --previous`")
		return
	}
	b.lines("log.jsonl", "the last lines of the daemon's log, of systemd", strings.Split(strings.TrimSpace(string(out)),
		"\n"))
}

// given puts in the log that was named.
func (b *bundle) given() {
	if b.log == "" {
		return
	}
	f, err := os.Open(b.log)
	if err != nil {
		b.notes = append(b.notes, "the file of --log is not there: it can't be read")
		return
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLog))
	if err != nil {
		b.notes = append(b.notes, "the file of --log is not there: it can't be read")
		return
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	b.lines("given.jsonl", "the last lines of the file given with --log", lines[max(0, len(lines)-logLines):])
}

// readme says what is there.
func (b *bundle) readme() []byte {
	var text strings.Builder
	text.WriteString("A support bundle of pullprint. Secrets are taken out. What stands as name-, user-, id-,\nip- or " +
		"number- and ten digits was replaced: the same by the same, in this file alone.\n\n")
	for _, f := range b.files {
		fmt.Fprintf(&text, "%-15s %s\n", f.name, f.about)
	}
	for _, n := range b.notes {
		fmt.Fprintf(&text, "\n%s\n", n)
	}
	return []byte(text.String())
}

func (b *bundle) write(cmd *cobra.Command) error {
	b.files = append([]bundled{{"README.txt", "this list", b.readme()}}, b.files...)
	told, where := cmd.OutOrStdout(), b.out
	if b.out == "-" {
		told, where = cmd.ErrOrStderr(), "standard output"
		if err := b.pack(cmd.OutOrStdout()); err != nil {
			return err
		}
	} else if err := b.file(&where); err != nil {
		return err
	}
	fmt.Fprintf(told, "%s:\n", where)
	for _, f := range b.files {
		fmt.Fprintf(told, "  %-15s %8d  %s\n", f.name, len(f.content), f.about)
	}
	for _, n := range b.notes {
		fmt.Fprintf(told, "  %s\n", n)
	}
	if b.out != "-" {
		fmt.Fprintf(told, "Secrets are taken out and names replaced. Look at it before you send it: tar -xzOf %s | less\n",
			where)
	}
	return nil
}

// file writes it, for its owner alone. One that is there stays.
func (b *bundle) file(where *string) error {
	if *where == "" {
		*where = "pullprint-support-" + time.Now().UTC().Format("20060102T150405Z") + ".tar.gz"
	}
	f, err := os.OpenFile(*where, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("write the bundle: %w; name another file with --out", err)
	case err != nil:
		return unwritable("the bundle", *where, err)
	}
	if err := errors.Join(b.pack(f), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write the bundle: %w", err), os.Remove(*where))
	}
	return nil
}

func (b *bundle) pack(w io.Writer) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, f := range b.files {
		if err := t.WriteHeader(&tar.Header{
			Name: "pullprint-support/" + f.name, Mode: 0o600, Size: int64(len(f.content)), ModTime: time.Now(),
		}); err != nil {
			return err
		}
		if _, err := t.Write(f.content); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

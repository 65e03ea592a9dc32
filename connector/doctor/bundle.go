package doctor

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/connector/terminal"
	"pullprint/policy"
)

// Bundle is what somebody else needs to help, with secrets taken out and names replaced.
type Bundle struct {
	Files []File
	Notes []string // what is not there, and why

	scrub *scrubber
	log   string
}

// File is one of a bundle.
type File struct {
	Name, About string
	Content     []byte
}

// Collect gathers a bundle.
func Collect(ctx context.Context, o Options) (*Bundle, error) {
	ds := &diagnostics{Options: o}
	b := &Bundle{log: o.Log, scrub: newScrubber(secretsOf(o.File, o.Config), namesOf(o.Config), staying(o.Policy))}
	b.build()
	if len(o.Problems) > 0 {
		for _, p := range o.Problems {
			ds.say("configuration", Failed, p.Message, p.Hint)
		}
		b.Notes = append(b.Notes, "the configuration can't be used, so nothing that it names was looked at")
		b.findings(ds.all)
		b.journal(ctx)
	} else {
		ds.everything(ctx)
		b.findings(ds.all)
		b.configuration(o.Config, o.Policy)
		b.daemon(ctx, o.Config, o.API)
	}
	b.given()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.Files = append([]File{{"README.txt", "this list", b.readme()}}, b.Files...)
	return b, nil
}

// Pack writes a bundle as a compressed archive.
func (b *Bundle) Pack(w io.Writer) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, f := range b.Files {
		if err := t.WriteHeader(&tar.Header{
			Name: "pullprint-support/" + f.Name, Mode: 0o600, Size: int64(len(f.Content)), ModTime: time.Now(),
		}); err != nil {
			return err
		}
		if _, err := t.Write(f.Content); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

func (b *Bundle) add(name, about string, content []byte) {
	b.Files = append(b.Files, File{name, about, content})
}

func (b *Bundle) addJSON(name, about string, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		b.Notes = append(b.Notes, name+" is not there: "+err.Error())
		return
	}
	b.add(name, about, append(text, '\n'))
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

func (b *Bundle) build() {
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

func (b *Bundle) findings(all Report) {
	var text strings.Builder
	clean := make(Report, len(all))
	for i, f := range all {
		clean[i] = Finding{f.About, f.Result, b.scrub.text(f.Text), b.scrub.text(f.Do)}
		text.WriteString(clean[i].String())
	}
	b.add("findings.txt", "what pullprint doctor finds", []byte(text.String()))
	b.addJSON("findings.json", "the same, in JSON", clean)
}

// configuration is what is in force; of the policy, the rules without their words.
func (b *Bundle) configuration(cfg *config.Config, p *policy.Policy) {
	text, err := cfg.Effective()
	if err != nil {
		b.Notes = append(b.Notes, "config.yaml is not there: "+err.Error())
	} else {
		b.add("config.yaml", "the configuration in force", []byte(b.scrub.text(string(text))))
	}
	parts := p.Parts()
	for i := range parts {
		o := &parts[i]
		o.Name, o.When, o.Reason = b.scrub.as("rule", o.Name), b.scrub.expression(o.When), b.scrub.text(o.Reason)
	}
	b.addJSON("policy.json", "the rules of the policy, without their words",
		map[string]any{"hash": p.Hash(), "parts": parts})
}

// daemon asks the one that runs, and the journal when it does not answer.
func (b *Bundle) daemon(ctx context.Context, cfg *config.Config, api *apiclient.Client) {
	why := "admin.listen with admin.token_file lets it be asked"
	if api != nil {
		d, err := api.Diagnose(ctx)
		if err == nil {
			b.diagnosis(d)
			return
		}
		why = b.scrub.text(err.Error())
	}
	b.Notes = append(b.Notes, "nothing of the running daemon is there: "+why)
	if _, body, err := metricsPage(ctx, cfg, "/metrics"); err == nil {
		b.add("metrics.txt", "what /metrics says", []byte(b.scrub.metrics(body)))
	}
	b.journal(ctx)
}

func (b *Bundle) diagnosis(d apiclient.Diagnostics) {
	b.add("metrics.txt", "what /metrics says", []byte(b.scrub.metrics(d.Metrics)))
	b.add("goroutines.txt", "where the daemon's goroutines are", []byte(codeOnly(d.Stacks)))
	b.lines("log.jsonl", "the last lines of the daemon's log", d.Lines)
	if d.Dropped > 0 {
		b.Notes = append(b.Notes, terminal.Counted(d.Dropped, "line")+" of the log came before those in log.jsonl")
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

func (b *Bundle) lines(name, about string, lines []string) {
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
func (b *Bundle) journal(ctx context.Context) {
	if b.log != "" {
		return // somebody knows better
	}
	ctx, cancel := context.WithTimeout(ctx, logWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, "journalctl", "--unit=pullprint", "--lines=2000", "--output=cat", "--no-pager",
		"--quiet").Output()
	if err != nil || len(out) == 0 {
		b.Notes = append(b.Notes, "no log is there: put one in with --log FILE, as of `kubectl logs --previous`")
		return
	}
	b.lines("log.jsonl", "the last lines of the daemon's log, of systemd", strings.Split(strings.TrimSpace(string(out)),
		"\n"))
}

// given puts in the log that was named.
func (b *Bundle) given() {
	if b.log == "" {
		return
	}
	f, err := os.Open(b.log)
	var text []byte
	if err == nil {
		defer f.Close()
		text, err = io.ReadAll(io.LimitReader(f, maxLog))
	}
	if err != nil {
		b.Notes = append(b.Notes, "the file of --log is not there: it can't be read")
		return
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	b.lines("given.jsonl", "the last lines of the file given with --log", lines[max(0, len(lines)-logLines):])
}

// readme says what is there.
func (b *Bundle) readme() []byte {
	var text strings.Builder
	text.WriteString("A support bundle of pullprint. Secrets are taken out. What stands as name-, user-, id-,\nip- or " +
		"number- and ten digits was replaced: the same by the same, in this file alone.\n\n")
	for _, f := range b.Files {
		fmt.Fprintf(&text, "%-15s %s\n", f.Name, f.About)
	}
	for _, n := range b.Notes {
		fmt.Fprintf(&text, "\n%s\n", n)
	}
	return []byte(text.String())
}

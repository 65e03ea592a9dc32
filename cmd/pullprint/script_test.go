package main

import (
	"errors"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/racetest"
)

var update = flag.Bool("update", false, "write what the program prints into the transcripts")

// patience is how long a script waits for what should come at once.
const patience = 30 * time.Second

// TestScript plays the transcripts of testdata/script: the program as a person
// sees it. Besides testscript's own, they use these commands:
//
//	exits [-within D] CODE ARGS...  run pullprint, which must end with CODE
//	start NAME ARGS...              run it in the background
//	says NAME PATTERN               wait until it has printed that, on stdout or stderr
//	reads VAR NAME PATTERN          put the group of what it has printed into a variable
//	silent NAME PATTERN             it has not printed that
//	signal NAME SIGNAL              send INT, TERM, HUP or KILL
//	ends NAME CODE                  wait for its end; stdout and stderr are its own then
//	page URL CODE PATTERN           wait until a page answers so
//	post URL JSON                   send that, which must be answered with 200
//	address VAR...                  put free loopback addresses into variables
//	pid VAR NAME                    put its process id into a variable
//	fill FILE...                    replace $VAR in files
//
// With the race detector it plays those in which the daemon starts, works and ends; most of
// the others are verbs that do one thing after the other.
func TestScript(t *testing.T) {
	t.Parallel()
	const dir = "testdata/script"
	files, err := filepath.Glob(dir + "/*.txtar")
	if racetest.Enabled {
		files = []string{dir + "/demo.txtar", dir + "/run_reload.txtar", dir + "/state.txtar"}
	}
	if err != nil || len(files) == 0 {
		t.Fatalf("found %v, %v", files, err)
	}
	testscript.Run(t, testscript.Params{
		Files: files, UpdateScripts: *update, RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			tmp := e.WorkDir + "/tmp"
			e.Setenv("TMPDIR", tmp)
			e.Setenv(raceOptions, os.Getenv(raceOptions))
			e.Values[processes{}] = map[string]*process{}
			return os.MkdirAll(tmp, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": cmdExits, "start": cmdStart, "says": cmdSays, "reads": cmdReads, "silent": cmdSilent, "signal": cmdSignal,
			"ends": cmdEnds, "page": cmdPage, "post": cmdPost, "address": cmdAddress, "pid": cmdPid, "fill": cmdFill,
		},
	})
}

type processes struct{} // key of a script's background processes

func running(ts *testscript.TestScript, name string) *process {
	all, ok := ts.Value(processes{}).(map[string]*process)
	if !ok || all[name] == nil {
		ts.Fatalf("no process %s", name)
	}
	return all[name]
}

func want(ts *testscript.TestScript, neg bool, args []string, n int, usage string) {
	if neg || len(args) < n {
		ts.Fatalf("usage: %s", usage)
	}
}

func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	within := patience
	if len(args) > 2 && args[0] == "-within" {
		var err error
		within, err = time.ParseDuration(args[1])
		ts.Check(err)
		args = args[2:]
	}
	want(ts, neg, args, 1, "exits [-within D] CODE ARGS...")
	code, begin := 0, time.Now()
	if err := ts.Exec("pullprint", args[1:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if took := time.Since(begin); took > within {
		ts.Fatalf("it took %s, want at most %s", took, within)
	}
	if code != number(ts, args[0]) {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "start NAME ARGS...")
	env := os.Environ()
	for _, v := range []string{"HOME", "TMPDIR", "PATH"} {
		env = append(env, v+"="+ts.Getenv(v))
	}
	p, err := startProcess(ts.MkAbs("."), env, args[1:]...)
	ts.Check(err)
	ts.Defer(p.kill)
	all, ok := ts.Value(processes{}).(map[string]*process)
	if !ok {
		ts.Fatalf("no place for processes")
	}
	all[args[0]] = p
}

func cmdSays(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "says NAME PATTERN")
	p, re := running(ts, args[0]), regexp.MustCompile(`(?m)`+args[1])
	ok := eventually(patience, func() bool {
		ended := false
		select {
		case <-p.done:
			ended = true
		default:
		}
		return re.MatchString(p.out.String()+p.err.String()) || ended
	})
	if text := p.out.String() + p.err.String(); !ok || !re.MatchString(text) {
		ts.Fatalf("%s has not said %q but:\n%s", args[0], args[1], text)
	}
}

func cmdReads(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3, "reads VAR NAME PATTERN")
	p := running(ts, args[1])
	m := regexp.MustCompile(`(?m)` + args[2]).FindStringSubmatch(p.out.String() + p.err.String())
	if len(m) != 2 {
		ts.Fatalf("%s has not said %q", args[1], args[2])
	}
	ts.Setenv(args[0], m[1])
}

func cmdSilent(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "silent NAME PATTERN")
	p := running(ts, args[0])
	if m := regexp.MustCompile(args[1]).FindString(p.out.String() + p.err.String()); m != "" {
		ts.Fatalf("%s has said %q", args[0], m)
	}
}

func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "signal NAME SIGNAL")
	s, ok := map[string]syscall.Signal{
		"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP,
		"KILL": syscall.SIGKILL,
	}[args[1]]
	if !ok {
		ts.Fatalf("signal %s?", args[1])
	}
	ts.Check(running(ts, args[0]).signal(s))
}

func cmdEnds(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "ends NAME CODE")
	p := running(ts, args[0])
	code, err := p.code(patience)
	ts.Check(err)
	_, _ = ts.Stdout().Write([]byte(p.out.String()))
	_, _ = ts.Stderr().Write([]byte(p.err.String()))
	if code != number(ts, args[1]) {
		ts.Fatalf("exit code %d, want %s:\n%s", code, args[1], tail(p.err.String(), 4000))
	}
}

func cmdPage(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3, "page URL CODE PATTERN")
	status, re := number(ts, args[1]), regexp.MustCompile(`(?m)`+args[2])
	var code int
	var body string
	if !eventually(patience, func() bool {
		code, body = get(args[0])
		return code == status && re.MatchString(body)
	}) {
		ts.Fatalf(
			"%s answers %d %s:\n%s\nwant %s and %q",
			args[0],
			code,
			http.StatusText(code),
			tail(body, 4000),
			args[1],
			args[2],
		)
	}
	_, _ = ts.Stdout().Write([]byte(body))
}

func cmdPost(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "post URL JSON")
	req, err := http.NewRequest(http.MethodPost, args[0], strings.NewReader(args[1]))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %s", args[0], res.Status)
	}
}

func cmdAddress(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "address VAR...")
	for _, v := range args {
		a, err := bustest.NewAddress()
		ts.Check(err)
		ts.Setenv(v, a)
	}
}

func cmdPid(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "pid VAR NAME")
	ts.Setenv(args[0], strconv.Itoa(running(ts, args[1]).cmd.Process.Pid))
}

func cmdFill(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "fill FILE...")
	for _, f := range args {
		text := os.Expand(strings.ReplaceAll(ts.ReadFile(f), "$$", "\x00"), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(f), []byte(strings.ReplaceAll(text, "\x00", "$")), 0o600))
	}
}

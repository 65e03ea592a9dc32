package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"pullprint/connector/doctor"
	"pullprint/trigger/graph/graphtest"
)

// What is well is a line each; what is wrong says what to do, and is a failure.
func TestDoctor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(n *patient)
		args    []string
		want    []string
		fails   bool
	}{
		"well": {func(n *patient) { n.subscribe() }, nil, []string{
			"ok       graph ", "ok       authority ", "ok       clock ", "ok       sign-in        by client_secret_file",
			"ok       rights         all that the configuration needs",
			`ok       queue          Follow-Me: "Follow-Me"`, "ok       fsync          embedded", "ok       disk ",
			"ok       store          embedded", "ok       ports ",
			"ok       definition ", "ok       subscription   until ", "ok       public url     it answers Graph's question",
			"warning  daemon         it does not run on this machine",
			"warning  triggers       not looked at: only a person may read them",
			"warning  rights         granted and not needed: ",
		}, false},
		"warnings fail when asked to": {func(n *patient) { n.subscribe() }, []string{"--fail-on", "warning"}, nil, true},
		"rights": {func(n *patient) {
			n.sim.AddApp(graphtest.App{
				ClientID: registerID, Secret: "secret",
				Roles: []string{"PrintTaskDefinition.ReadWrite.All", "PrintJob.ReadBasic.All", "Printer.Read.All"},
			})
		}, nil, []string{
			"failed   rights         PrintJob.ReadWriteBasic.All is missing, for aborting jobs",
			"PrintJob.Manage.All is missing, for releasing jobs of Follow-Me", "-> add it under API permissions",
		}, true},
		"a right that is missing where it is used": {
			func(n *patient) {
				n.sim.AddApp(graphtest.App{
					ClientID: registerID, Secret: "secret",
					Roles: []string{"PrintJob.Manage.All", "Printer.Read.All"},
				})
			}, nil,
			[]string{
				"failed   definition     graph list_definitions: status 403", "-> add it under API permissions",
			},
			true,
		},
		"what the policy needs": {func(n *patient) {
			n.sim.AddApp(graphtest.App{
				ClientID: registerID, Secret: "secret", Roles: []string{
					"PrintTaskDefinition.ReadWrite.All", "PrintJob.Manage.All",
					"Printer.Read.All",
				},
			})
			n.needs()
		}, nil, []string{
			"PrintJob.Read.All is missing, for counting pages, which the policy needs",
			"GroupMember.Read.All is missing, for groups, which the policy looks at",
			"warning  groups         the policy looks at groups, and there is nobody to try it on", "warning  page count ",
			"ok       policy         it loads; it has no tests",
		}, true},
		"what sign-in needs": {
			func(n *patient) {
				n.sim.AddApp(graphtest.App{
					ClientID: registerID, Secret: "secret",
					Roles: []string{"PrintTaskDefinition.ReadWrite.All", "PrintJob.Manage.All", "Printer.Read.All"},
				})
				n.write("admin-token", "a-token-of-the-administrator")
				n.edit("nats: {", "admin: {listen: \"127.0.0.1:0\", token_file: admin-token}\n"+
					"sign_in: {public_url: \"http://127.0.0.1:8080\", roles: {read: ["+registerID+"]}}\nnats: {")
			}, nil,
			[]string{
				"GroupMember.Read.All is missing, for groups in sign_in.roles",
				"User.ReadBasic.All is missing, for people who sign in",
			},
			true,
		},
		"groups and documents": {
			func(n *patient) { n.needs(); n.job() }, nil,
			[]string{"ok       groups         1 group of a person read", "ok       page count     a document of "},
			false,
		},
		"a named person": {
			func(n *patient) { n.needs() },
			[]string{"--user", "00000000-0000-4000-8000-00000000000a"},
			[]string{"warning  groups         Entra knows no such person"},
			false,
		},
		"a person by user name": {
			func(n *patient) { n.needs(); n.job() },
			[]string{"--user", "Anna@contoso.com"},
			[]string{"ok       groups         1 group of a person read"},
			false,
		},
		"a user name that nobody has": {
			func(n *patient) { n.needs() },
			[]string{"--user", "nobody@contoso.com"},
			[]string{
				"warning  groups         Entra knows no such person",
				"-> name another: --user with an Entra object id or a user name",
			},
			false,
		},
		"groups refused": {func(n *patient) { n.needs(); n.job(); n.refuse(graphtest.OpGroups, 403) }, nil, []string{
			"failed   groups         the groups of a person can't be read: graph list_groups: status 403",
			"-> add it under API permissions",
		}, true},
		"documents out of reach": {
			func(n *patient) { n.needs(); n.job(); n.refuse(graphtest.OpDocumentValue, 403) }, nil,
			[]string{"failed   page count     a document can't be read"},
			true,
		},
		"a document host out of reach": {
			func(n *patient) { n.needs(); n.edit("nats:", "documents: {hosts: [documents.invalid]}\nnats:") }, nil,
			[]string{"failed   page count     documents.invalid"},
			true,
		},
		"a wrong secret": {
			func(n *patient) {
				n.sim.AddApp(graphtest.App{ClientID: registerID, Secret: "another"})
			}, nil,
			[]string{
				"failed   sign-in        no token: AADSTS7000215: the client secret is wrong", "ok       store",
			},
			true,
		},
		"a printer to be made": {func(n *patient) {
			n.edit("printer_id: "+queueB, "create: true")
			n.needs()
			n.job()
		}, nil, []string{
			"warning  configuration  Poster has no printer yet", `ok       queue          Follow-Me: "Follow-Me"`,
			"ok       page count",
		}, false},
		"a right to make printers": {func(n *patient) {
			n.edit("printer_id: "+queueB, "create: true")
			n.sim.AddApp(graphtest.App{
				ClientID: registerID, Secret: "secret", Roles: []string{
					"PrintTaskDefinition.ReadWrite.All", "PrintJob.Manage.All",
					"Printer.Read.All",
				},
			})
		}, nil, []string{"Printer.ReadWrite.All is missing, for saying what the virtual printer Poster can do"}, true},
		"a printer that is none": {func(n *patient) { n.edit(queueB, "00000000-0000-4000-8000-000000000000") }, nil, []string{
			"failed   queue          Poster: Graph knows no printer 00000000-0000-4000-8000-000000000000",
			"-> correct queues[].printer_id",
		}, true},
		"a printer that takes nothing": {
			func(n *patient) { n.must(n.sim.SetPrinter(queueA, "stopped", false)) }, nil,
			[]string{`warning  queue          Follow-Me: "Follow-Me" takes no jobs now`},
			false,
		},
		"nobody there": {func(n *patient) {
			n.edit("endpoints: {", "endpoints: {graph: \"http://127.0.0.1:1/v1.0\", authority: \"http://127.0.0.1:1\"}\n# {")
		}, nil, []string{
			"failed   graph          127.0.0.1:1 can't be reached (connect)", "-> let the firewall pass", "failed   sign-in ",
		}, true},
		"a wrong clock": {
			func(n *patient) { n.ahead = 10 * time.Minute }, nil,
			[]string{"failed   clock          it differs from Graph's by ", "-> let it be set by NTP"},
			true,
		},
		"a clock that drifts": {
			func(n *patient) { n.ahead = -time.Minute }, nil, []string{
				"warning  clock          it differs from Graph's by ",
			}, false,
		},
		"no definition": {
			func(*patient) {}, nil, []string{`warning  definition     there is no task definition "pullprint" yet`}, false,
		},
		"no subscription": {
			func(n *patient) { n.subscribe(); n.sim.DropSubscriptions() }, nil,
			[]string{"warning  subscription   there is none to webhook.public_url", "-> start the daemon: it makes one"},
			false,
		},
		"a dead one at a daemon": {
			func(n *patient) { n.subscribe(); n.sim.DropSubscriptions(); n.daemon(200, "ready\n") }, nil, []string{
				"failed   subscription   there is none to webhook.public_url",
				"-> the daemon runs and gets none: Graph does not reach ",
			}, true,
		},
		"a handshake": {
			func(n *patient) { n.define(); n.away() }, []string{
				"--handshake",
			}, []string{
				"ok       handshake      Graph reached webhook.public_url just now",
				"warning  public url     it can't be reached from here: ",
			}, false,
		},
		"a handshake that fails": {
			func(n *patient) { n.define(); n.edit(n.hook.URL, "http://127.0.0.1:1") },
			[]string{"--handshake"},
			[]string{
				"failed   handshake      Graph does not get its question back from http://127.0.0.1:1",
				"-> let https from the internet through",
			},
			true,
		},
		"a name that is none": {
			func(n *patient) { n.edit(n.hook.URL, "https://print.invalid") }, nil,
			[]string{"failed   public url     the name print.invalid is not known here", "-> enter it into the public DNS"},
			true,
		},
		"our machine alone": {func(n *patient) {
			n.edit("endpoints: {", "# {")
			n.edit("nats:", "endpoints: {authority: \"http://127.0.0.1:1\"}\nnats:")
		}, nil, []string{"failed   public url     webhook.public_url is an address of this machine alone"}, true},
		"a trigger of ours": {
			func(n *patient) { n.keep(); n.apply() }, nil,
			[]string{"ok       triggers       Follow-Me: ours", "ok       triggers       Poster: ours"},
			false,
		},
		"no trigger": {
			func(n *patient) { n.keep(); n.apply(); n.must(n.sim.RemoveTrigger(queueA)) }, nil,
			[]string{
				"failed   triggers       Follow-Me: missing, so no job of it is heard of",
				"-> `pullprint register apply` puts ours on",
			},
			true,
		},
		"another's trigger": {
			func(n *patient) { n.keep(); n.foreign() }, nil, []string{
				`failed   triggers       Follow-Me: it has the trigger of another app, "theirs" of app ` +
					otherApp, "register apply --replace",
			}, true,
		},
		"nobody's sign-in": {
			func(n *patient) { n.keeper() }, nil,
			[]string{
				"warning  triggers       not looked at: nobody's sign-in is kept yet",
				"-> keep one: `pullprint register plan --keep`",
			},
			false,
		},
		"a sign-in that is over": {
			func(n *patient) { n.keep(); n.sim.RevokeSignIns(n.admin) }, nil, []string{
				"failed   triggers ",
				"-> sign in again",
			}, true,
		},
		"a small disk": {
			func(n *patient) { n.edit("store_dir: nats", "store_dir: nats, max_store: 900TiB") }, nil,
			[]string{"warning  disk ", "-> make room, or lower nats.embedded.max_store"},
			false,
		},
		"a store that is none": {
			func(n *patient) { n.write("nats", "a file") }, nil,
			[]string{"failed   store          nats.embedded.store_dir: ", "-> make the folder"},
			true,
		},
		"a store that lost something": {func(n *patient) { n.lose() }, nil, []string{
			"failed   store          the store lost what it had acknowledged: ",
			"KV_pullprint_badges ends at 0 and had come to 1: 1 missing",
			"-> deploy/docs/operations.md",
		}, true},
		"people named by user name": {func(n *patient) {
			n.sim.AddApp(graphtest.App{ClientID: registerID, Secret: "secret", Roles: []string{
				"PrintTaskDefinition.ReadWrite.All", "PrintJob.Manage.All", "Printer.Read.All", "GroupMember.Read.All",
				"User.ReadBasic.All",
			}})
		}, nil, []string{"granted and not needed: GroupMember.Read.All\n"}, false},
		"an old NATS": {func(n *patient) {
			n.edit("nats: {embedded: {store_dir: nats}}", "nats: {url: \"nats://"+oldNATS(n.t)+"\"}")
		}, nil, []string{
			`failed   store          NATS server is too old: it is "2.10.7", want 2.14 or newer`,
			"-> upgrade the servers",
		}, true},
		"no NATS": {
			func(n *patient) { n.edit("nats: {embedded: {store_dir: nats}}", "nats: {url: \"nats://127.0.0.1:1\"}") }, nil,
			[]string{"failed   store          connect to NATS at nats.url", "-> check nats.url"},
			true,
		},
		"a daemon that is well": {
			func(n *patient) { n.subscribe(); n.daemon(200, "ready\n") }, nil, []string{
				"ok       daemon         it runs and is ready", "warning  version        this program is ",
				"ok       ports          the daemon listens on all of them",
			}, false,
		},
		"a daemon not ready": {func(n *patient) {
			n.subscribe()
			n.daemon(503, "[+] token: ok\n[-] store: a durable write failed\nnot ready\n")
		}, nil, []string{"failed   daemon         not ready: store: a durable write failed"}, true},
		"a guarded daemon": {
			func(n *patient) { n.subscribe(); n.daemon(401, "") }, nil,
			[]string{"warning  daemon         metrics.listen answers with status 401"},
			false,
		},
		"a port that is taken": {
			func(n *patient) { n.taken() }, nil, []string{
				"failed   ports          webhook.listen: ",
				"-> another program has it",
			}, true,
		},
		"an expired certificate": {
			func(n *patient) { n.certificate(-time.Hour) }, nil, []string{
				"failed   certificate    webhook.tls expired on ",
				"-> renew it",
			}, true,
		},
		"one that ends soon": {
			func(n *patient) { n.certificate(60 * time.Hour) }, nil, []string{
				"warning  certificate    webhook.tls ends on ",
				"in 2 days",
			}, false,
		},
		"the app's is expired": {
			func(n *patient) { n.signsWith(-time.Hour) }, nil,
			[]string{
				"failed   certificate    auth.certificate_file expired on ",
				"-> put a new certificate into the app registration",
			},
			true,
		},
		"the app's ends soon": {
			func(n *patient) { n.signsWith(60 * time.Hour) }, nil,
			[]string{"warning  certificate    auth.certificate_file ends on ", "ok       sign-in        by certificate_file"},
			false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newPatient(t)
			c.prepare(n)
			out, err := n.does(append([]string{"doctor"}, c.args...)...)
			if (err != nil) != c.fails {
				t.Errorf("%v\n%s", err, out)
			}
			n.wants(out, c.want...)
			for line := range strings.Lines(out) {
				if bad := strings.HasPrefix(line, doctor.Warning) || strings.HasPrefix(line, doctor.Failed); bad &&
					!strings.Contains(out[strings.Index(out, line)+len(line):], "-> ") {
					t.Errorf("does not say what to do: %s", line)
				}
			}
			asJSON, jerr := n.does(append([]string{"check", "--online", "--json"}, c.args...)...)
			var list doctor.Report
			if derr := json.Unmarshal([]byte(asJSON), &list); derr != nil || (jerr != nil) != c.fails || len(list) < 4 {
				t.Errorf("%v %v\n%s", derr, jerr, asJSON)
			}
			if strings.Contains(out+asJSON, "secret\"") {
				t.Error("tells a secret")
			}
		})
	}
	n := newPatient(t)
	n.edit("queues:", "queus:")
	if _, err := n.does("doctor"); err == nil || !strings.Contains(err.Error(), "queus") {
		t.Error(err)
	}
	for _, wrong := range [][]string{{"--fail-on", "ok"}, {"--user", "jdoe"}} {
		var usage usageError
		if _, err := n.does(append([]string{"doctor"}, wrong...)...); !errors.As(err, &usage) {
			t.Errorf("%v: %v", wrong, err)
		}
	}
}

// edit changes the configuration.
func (n *tenant) edit(from, to string) {
	n.t.Helper()
	src, err := os.ReadFile(n.config)
	if err != nil || !bytes.Contains(src, []byte(from)) {
		n.t.Fatalf("%q is not in the configuration: %v", from, err)
	}
	if err := os.WriteFile(n.config, bytes.Replace(src, []byte(from), []byte(to), 1), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// write puts a file beside the configuration.
func (n *tenant) write(name, text string) {
	n.t.Helper()
	if err := os.WriteFile(strings.TrimSuffix(n.config, "config.yaml")+name, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

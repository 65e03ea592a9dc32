package doctor

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pullprint/connector/config"
	"pullprint/policy/policyfile"
	"pullprint/trigger"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

const (
	appID    = "815f204f-c791-4ee6-9098-614ecdb003f6"
	queueID  = "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1"
	deviceID = "9a3b3956-5a0e-4c5b-9d1a-61a1c2d3e4f5"
	nobodyID = "00000000-0000-4000-8000-000000000000"
)

// tenant is a simulated tenant with a configuration for it.
type tenant struct {
	*diagnostics
	t     *testing.T
	sim   *graphtest.Sim
	ahead time.Duration // of the clock of Graph
	hook  *httptest.Server
}

func newTenant(t *testing.T) *tenant {
	t.Helper()
	n := &tenant{t: t, sim: graphtest.New(graphtest.Calm())}
	t.Cleanup(n.sim.Close)
	n.sim.AddApp(graphtest.App{ClientID: appID, Secret: "secret"})
	n.sim.AddPrinter(graphtest.Printer{ID: queueID, DisplayName: "Follow-Me"})
	n.sim.AddPrinter(graphtest.Printer{ID: deviceID, DisplayName: "West"})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(n.ahead).UTC().Format(http.TimeFormat))
		n.sim.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	n.hook = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, r.URL.Query().Get("validationToken"))
	}))
	t.Cleanup(n.hook.Close)
	dir := t.TempDir()
	text := fmt.Sprintf(`tenant_id: %s
endpoints: {graph: "%s/v1.0", authority: "%[2]s"}
auth: {client_id: %s, client_secret_file: secret}
webhook: {public_url: %q}
queues: [{printer_id: %s, name: Follow-Me, mode: pull}]
devices: [{id: west, printer_id: %s, queues: [Follow-Me]}]
badges: {key_file: key}
admin: {listen: "127.0.0.1:8464", token_file: token}
nats: {embedded: {store_dir: nats}}
`, n.sim.Tenant(), front.URL, appID, n.hook.URL, queueID, deviceID)
	for name, content := range map[string]string{
		"config.yaml": text, "secret": "secret", "key": fmt.Sprintf("%064d", 5), "token": "token-of-the-administrator",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	builtIn, err := policyfile.Load("policy.yaml", []byte("rules: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	n.diagnostics = &diagnostics{Options: Options{Config: cfg, Policy: builtIn}}
	return n
}

// client is one that has signed in.
func (n *tenant) client() *graph.Client {
	n.t.Helper()
	c, err := graph.New(n.Config.Graph(), graph.Options{})
	if err == nil {
		err = c.SignIn(n.t.Context())
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

// define makes the task definition of the configuration.
func (n *tenant) define(c *graph.Client) string {
	n.t.Helper()
	d, err := c.CreateDefinition(n.t.Context(), n.Config.Trigger.Definition)
	if err != nil {
		n.t.Fatal(err)
	}
	return d.ID
}

// subscribe makes a subscription to the tasks of a definition.
func (n *tenant) subscribe(c *graph.Client, definition, base string) {
	n.t.Helper()
	if _, err := c.CreateSubscription(n.t.Context(), graph.NewSubscription{
		Resource: graph.TasksResource(definition), NotificationURL: base + trigger.NotificationPath,
		LifecycleNotificationURL: base + trigger.LifecyclePath, ClientState: "state", Expires: time.Now().Add(time.Hour),
	}); err != nil {
		n.t.Fatal(err)
	}
}

func (n *tenant) refuse(op string, status int) {
	n.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(called string, _ graphtest.Request) graphtest.Fault {
			if called == op {
				return graphtest.Fault{Refuse: status}
			}
			return graphtest.Fault{}
		}
	})
}

func TestNetworkAndClock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ahead time.Duration
		clock string
	}{
		"right":     {0, "ok clock: as Graph's"},
		"a bit off": {-time.Minute, "warning clock: it differs from Graph's by "},
		"far off":   {10 * time.Minute, "failed clock: it differs from Graph's by "},
	} {
		t.Run(name, func(t *testing.T) {
			n := newTenant(t)
			n.ahead = c.ahead
			n.network(t.Context())
			expect(t, n.all, "ok graph: ", c.clock, "ok authority: ")
		})
	}
	n := newTenant(t)
	n.Config.Endpoints.Graph = "http://" + free(t)
	n.network(t.Context())
	expect(t, n.all, "failed graph: ", "ok authority: ")
	if n.all[0].Do != stepAdvice["connect"] {
		t.Errorf("%+v", n.all[0])
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	n.sim.AddApp(graphtest.App{ClientID: appID, Secret: "another"})
	n.tenant(t.Context())
	expect(t, n.all, "failed sign-in: ")
}

func TestDefinition(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	c := n.client()
	if id := n.definition(t.Context(), c); id != "" {
		t.Errorf("found %q", id)
	}
	n.runs = true // then the daemon ought to have made it
	n.definition(t.Context(), c)
	want := n.define(c)
	if id := n.definition(t.Context(), c); id != want {
		t.Errorf("found %q, want %q", id, want)
	}
	n.refuse(graphtest.OpDefinitionList, http.StatusForbidden)
	n.definition(t.Context(), c)
	expect(t, n.all, "warning definition: there is no task definition", "failed definition: there is no task definition",
		"ok definition: "+want, "failed definition: graph list_definitions: status 403")
	if n.all[3].Do != grantAdvice {
		t.Errorf("%+v", n.all[3])
	}
}

func TestSubscription(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	c := n.client()
	definition := n.define(c)
	for _, n.runs = range []bool{false, true} {
		n.subscription(t.Context(), c, definition)
	}
	n.subscribe(c, definition, n.hook.URL)
	n.subscription(t.Context(), c, definition)
	if n.live.IsZero() {
		t.Error("a subscription lives, and that is not noted")
	}
	n.Config.Webhook.PublicURL = "https://print.contoso.com" // another than that of the subscription
	n.subscription(t.Context(), c, definition)
	n.refuse(graphtest.OpSubscriptionList, http.StatusForbidden)
	n.subscription(t.Context(), c, definition)
	expect(t, n.all, "warning subscription: there is none", "failed subscription: there is none", "ok subscription: until ",
		"failed subscription: there is one to another URL", "failed subscription: graph ")
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	n.Config.Webhook.Listen = listening(t) // as with a daemon that runs
	c := n.client()
	definition := n.define(c)
	n.shake(t.Context(), c, definition)
	if left := n.sim.Subscriptions(); len(left) != 0 {
		t.Errorf("%d subscriptions are left", len(left))
	}
	n.subscribe(c, definition, n.hook.URL)
	n.shake(t.Context(), c, definition)
	n.sim.DropSubscriptions()
	n.Config.Webhook.PublicURL = "http://" + free(t)
	n.shake(t.Context(), c, definition)
	expect(t, n.all, "ok handshake: Graph reached webhook.public_url just now", "warning handshake: not tried: ",
		"failed handshake: Graph does not get its question back from ")
}

func TestPrinters(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(n *tenant)
		want    []string
	}{
		"both work": {func(*tenant) {}, []string{`ok queue: Follow-Me: "Follow-Me"`, `ok device: west: "West"`}},
		"one takes no jobs": {func(n *tenant) {
			if err := n.sim.SetPrinter(queueID, "idle", false); err != nil {
				n.t.Fatal(err)
			}
		}, []string{`warning queue: Follow-Me: "Follow-Me" takes no jobs now`, "ok device: "}},
		"one is stopped": {func(n *tenant) {
			if err := n.sim.SetPrinter(deviceID, "stopped", false); err != nil {
				n.t.Fatal(err)
			}
		}, []string{"ok queue: ", `warning device: west: "West" takes no jobs now`}},
		"one is unknown": {
			func(n *tenant) { n.Config.Devices[0].PrinterID = nobodyID },
			[]string{"ok queue: ", "failed device: west: Graph knows no printer " + nobodyID},
		},
		"none may be read": {
			func(n *tenant) { n.refuse(graphtest.OpPrinterGet, http.StatusForbidden) },
			[]string{"failed queue: Follow-Me: ", "failed device: west: "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newTenant(t)
			c.prepare(n)
			n.printers(t.Context(), n.client())
			expect(t, n.all, c.want...)
		})
	}
}

func TestTriggersWithoutSignIn(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	n.triggers(t.Context(), graph.Options{}, "definition")
	dir := t.TempDir()
	n.Config.Administrator.SignInFile, n.Config.Administrator.KeyFile = filepath.Join(dir, "kept"), filepath.Join(dir, "key")
	if err := os.WriteFile(n.Config.Administrator.KeyFile, []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), 0o600); err != nil {
		t.Fatal(err)
	}
	n.triggers(t.Context(), graph.Options{}, "definition")
	expect(t, n.all, "warning triggers: not looked at: only a person may read them",
		"warning triggers: not looked at: nobody's sign-in is kept yet")
}

func TestGroups(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	user := n.sim.AddUser(graphtest.User{UPN: "anna@contoso.com", Groups: []graphtest.Group{{DisplayName: "a"}}})
	c := n.client()
	for _, who := range []string{"", user.ID, "anna@contoso.com", nobodyID} {
		n.groups(t.Context(), c, who)
	}
	n.refuse(graphtest.OpGroups, http.StatusForbidden)
	n.groups(t.Context(), c, user.ID)
	expect(t, n.all, "warning groups: the policy looks at groups, and there is nobody", "ok groups: 1 group", "ok groups: 1 group",
		"warning groups: Entra knows no such person", "failed groups: the groups of a person can't be read")
}

func TestDocumentHosts(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	n.Config.Documents.Hosts = []string{".blob.core.windows.net", "documents.invalid"}
	n.documentHosts(t.Context())
	expect(t, n.all, "failed page count: documents.invalid can't be reached: ")
}

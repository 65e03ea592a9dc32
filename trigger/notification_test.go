package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pullprint/trigger/fuzztest"
	"pullprint/trigger/graph"
)

// sample is what Graph sends, with the ids of Microsoft's documentation.
const sample = `{
	"id": "lsgTZMr9KwAAA",
	"subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
	"subscriptionExpirationDateTime": "2026-11-26T11:00:00Z",
	"clientState": "0123456789012345678901234567890123456789-_a",
	"changeType": "created",
	"resource": "print/taskDefinitions/3203656e-6069-4e10-8147-d25290b00a3c/tasks/d036638b-1272-4bba-9227-732463823ed3",
	"tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
	"resourceData": {
		"@odata.type": "#Microsoft.Graph.printTask",
		"@odata.id": "print/taskDefinitions/3203656e/tasks/d036638b",
		"id": "d036638b-1272-4bba-9227-732463823ed3",
		"parentUrl": "https://graph.microsoft.com/v1.0/print/printers/c05f3726-0d4b-4aa1-8fe9-2eb90958fd3e/jobs/46207"
	}
}`

const sampleDefinition = "3203656e-6069-4e10-8147-d25290b00a3c"

// sampleVerifier accepts the sample.
func sampleVerifier() *Verifier {
	b := NewVerifier(VerifierOptions{TenantID: ourTenant, State: newMapState().cell()})
	b.definition.ID = sampleDefinition
	b.subs.Current = &subscription{
		ID: "7f105c7d-2dc5-4530-97cd-4e7ae6534c07", ClientState: "0123456789012345678901234567890123456789-_a",
		Expires: time.Now().Add(time.Hour),
	}
	b.sweep = sweepEntry{newClientState()}
	close(b.ready)
	return b
}

func TestParseAndVerify(t *testing.T) {
	with := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(sample) }
	job := Event{
		Subscription: "7f105c7d-2dc5-4530-97cd-4e7ae6534c07", Definition: sampleDefinition,
		Task: "d036638b-1272-4bba-9227-732463823ed3", Printer: "c05f3726-0d4b-4aa1-8fe9-2eb90958fd3e", Job: "46207",
	}
	noJob := job
	noJob.Printer, noJob.Job = "", ""
	parent := `"https://graph.microsoft.com/v1.0/print/printers/c05f3726-0d4b-4aa1-8fe9-2eb90958fd3e/jobs/46207"`
	for name, c := range map[string]struct {
		item string
		want Event
		err  error
	}{
		"Microsoft's sample":        {sample, job, nil},
		"leading slash, other case": {with(`"print/taskDefinitions`, `"/Print/TASKDEFINITIONS`), job, nil},
		"key form": {with("taskDefinitions/3203656e-6069-4e10-8147-d25290b00a3c/tasks/d036638b-1272-4bba-9227-732463823ed3",
			"taskDefinitions('3203656e-6069-4e10-8147-d25290b00a3c')/tasks('d036638b-1272-4bba-9227-732463823ed3')"), job, nil},
		"ids in another case":         {with("3203656e-6069", "3203656E-6069", "84bd8158", "84BD8158"), job, nil},
		"no parentUrl":                {with(parent, "null"), noJob, nil},
		"parentUrl elsewhere":         {with(parent, `"https://evil.example/steal?x=/print/printers/a/jobs/1"`), noJob, nil},
		"parentUrl with a path trick": {with("/jobs/46207", "/jobs/..%2f46207"), noJob, nil},
		"no resourceData":             {with(`"resourceData": {`, `"other": {`), noJob, nil},
		"resourceData of another":     {with(`"id": "d036638b-1272`, `"id": "e036638b-1272`), Event{}, ErrMalformed},
		"unknown members":             {with(`"changeType"`, `"sequence": [1, {"a": null}], "changeType"`), job, nil},

		"wrong clientState":        {with("456789-_a", "456789-_b"), Event{}, ErrForged},
		"empty clientState":        {with("0123456789012345678901234567890123456789-_a", ""), Event{}, ErrForged},
		"no clientState":           {with(`"clientState"`, `"clientstate"`), Event{}, ErrForged},
		"clientState null":         {with(`"0123456789012345678901234567890123456789-_a"`, "null"), Event{}, ErrForged},
		"another subscription":     {with("7f105c7d", "8f105c7d"), Event{}, ErrUnknownSubscription},
		"as if it were the sweep":  {with("7f105c7d-2dc5-4530-97cd-4e7ae6534c07", sweepID), Event{}, ErrForged},
		"another tenant":           {with("84bd8158", "94bd8158"), Event{}, ErrForeign},
		"another definition":       {with("3203656e-6069", "4203656e-6069"), Event{}, ErrForeign},
		"no tenant":                {with(`"tenantId"`, `"tenant"`), Event{}, ErrMalformed},
		"clientState a number":     {with(`"0123456789012345678901234567890123456789-_a"`, "1"), Event{}, ErrMalformed},
		"resource an array":        {with(`"resource": "print`, `"resource": ["print"], "r": "print`), Event{}, ErrMalformed},
		"resourceData a string":    {with(`"resourceData": {`, `"resourceData": "x", "d": {`), Event{}, ErrMalformed},
		"parentUrl a number":       {with(parent, "7"), Event{}, ErrMalformed},
		"two clientStates":         {with(`"changeType"`, `"clientState": "x", "changeType"`), Event{}, ErrMalformed},
		"two of an unknown member": {with(`"changeType"`, `"a": 1, "a": 2, "changeType"`), Event{}, ErrMalformed},
		"the same, escaped":        {with(`"changeType"`, `"client\u0053tate": "x", "changeType"`), Event{}, ErrMalformed},
		"two parentUrls":           {with(`"parentUrl"`, `"parentUrl": "x", "parentUrl"`), Event{}, ErrMalformed},
		"huge field":               {with("created", strings.Repeat("x", maxItem)), Event{}, ErrMalformed},
		"long clientState":         {with("456789-_a", "456789-_a"+strings.Repeat("x", 128)), Event{}, ErrMalformed},
		"resource with a query":    {with("732463823ed3\",\n\t\"tenant", "732463823ed3?x\",\n\t\"tenant"), Event{}, ErrMalformed},
		"resource elsewhere":       {with("print/taskDefinitions", "users/x/messages"), Event{}, ErrMalformed},
		"trailing":                 {sample + "{}", Event{}, ErrMalformed},
		"array":                    {"[" + sample + "]", Event{}, ErrMalformed},
		"null":                     {"null", Event{}, ErrMalformed},
		"empty":                    {"", Event{}, ErrMalformed},
		"cut":                      {sample[:len(sample)-1], Event{}, ErrMalformed},
		"deep":                     {`{"a":` + strings.Repeat("[", 12000), Event{}, ErrMalformed},
	} {
		n, err := ParseNotification([]byte(c.item))
		var ev Event
		if err == nil {
			ev, err = sampleVerifier().Verify(n)
		}
		if !errors.Is(err, c.err) || ev != c.want {
			t.Errorf("%s: got %+v, %v", name, ev, err)
		}
		if text := fmt.Sprintf("%v %+v %#v %s", n, n, n, n); strings.Contains(text, "0123456789") {
			t.Errorf("%s: printing a notification shows its clientState: %s", name, text)
		}
	}
}

func TestParseLifecycle(t *testing.T) {
	good := `{"lifecycleEvent":"reauthorizationRequired","subscriptionId":"s","clientState":"c","tenantId":"t","resource":"x"}`
	if l, err := ParseLifecycle([]byte(good)); err != nil || l.event != "reauthorizationRequired" ||
		strings.Contains(fmt.Sprintf("%#v%+v", l, l), "reauth") {
		t.Errorf("%#v, %v", l, err)
	}
	for _, bad := range []string{
		`{}`, `[]`, `{"subscriptionId":"s"}`, strings.Replace(good, `"s"`, `"a/b"`, 1), strings.Replace(good, `"t"`, `7`, 1),
		strings.Replace(good, `"t"`, `"a b"`, 1), strings.Replace(good, "resource", "tenantId", 1),
	} {
		if _, err := ParseLifecycle([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Whatever comes in, nothing panics; what is accepted carries the clientState of
// its subscription in a form that another JSON reader sees too, and ids that may
// go into a URL.
func FuzzNotification(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(strings.Replace(sample, "456789-_a", "456789-_b", 1)))
	f.Add([]byte(strings.Replace(sample, "clientState", "client\\u0053tate", 1)))
	f.Add([]byte(strings.Replace(sample, `"changeType"`, `"clientState":"","changeType"`, 1)))
	f.Add([]byte(strings.Replace(sample, "7f105c7d-2dc5-4530-97cd-4e7ae6534c07", sweepID, 1)))
	f.Add([]byte(`{"value":[` + sample + `]}`))
	f.Add([]byte(`{"subscriptionId":"s","clientState":null,"tenantId":"t","resource":"print/taskDefinitions/a/tasks/b","resourceData":null}`))
	f.Add([]byte(` { "value" : [ 1 , -2.5e3 , "a\\"]\u005d" , [ ] , {"b":[{}]} , null ] , "c" : true } `))
	b := sampleVerifier()
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, raw []byte) {
		defer watch.Input(t)()
		_, _ = ParseLifecycle(raw)
		checkItems(t, raw)
		n, err := ParseNotification(raw)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || n.job != (graph.Ref{}) {
				t.Fatalf("%v with %+v", err, n.job)
			}
			return
		}
		ev, err := b.Verify(n)
		if err != nil {
			if Result(err) == "failed" || ev != (Event{}) {
				t.Fatalf("%v with %+v", err, ev)
			}
			return
		}
		var other map[string]any
		if err := json.Unmarshal(raw, &other); err != nil || other["clientState"] != b.subs.Current.ClientState ||
			other["subscriptionId"] != b.subs.Current.ID {
			t.Fatalf("accepted %s", raw)
		}
		for _, id := range []string{ev.Subscription, ev.Definition, ev.Task} {
			if !graph.ValidID(id) {
				t.Fatalf("id %q", id)
			}
		}
		if (ev.Job == "") != (ev.Printer == "") || (ev.Job != "" && !(graph.ValidID(ev.Job) && graph.ValidID(ev.Printer))) {
			t.Fatalf("job %q of printer %q", ev.Job, ev.Printer)
		}
	})
}

// checkItems compares with encoding/json.
func checkItems(t *testing.T, raw []byte) {
	items, err := Items(raw, 3)
	if err != nil {
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooMany) {
			t.Fatal(err)
		}
		return
	}
	var other map[string]json.RawMessage
	var want []json.RawMessage
	if json.Unmarshal(raw, &other) != nil || json.Unmarshal(other["value"], &want) != nil || len(items) != len(want) || len(items) > 3 {
		t.Fatalf("%d items of %s", len(items), raw)
	}
	for i := range items {
		if string(items[i]) != string(want[i]) {
			t.Fatalf("item %s, want %s", items[i], want[i])
		}
	}
}

func TestItems(t *testing.T) {
	for in, want := range map[string]string{
		`{"value":[]}`: "", `{"value":[1]}`: "1", ` {"a":{"value":[9]},"value" : [ {"x":"]\""} , "," ] }`: `{"x":"]\""}|","`,
	} {
		items, err := Items([]byte(in), 2)
		var got []string
		for _, i := range items {
			got = append(got, string(i))
		}
		if err != nil || strings.Join(got, "|") != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{
		``, `[]`, `{}`, `{"value":null}`, `{"value":{}}`, `{"Value":[]}`, `{"value":[],"value":[]}`, `{"value":[1,]}`, `{"value":[1]`,
		`{"value":[]} x`,
	} {
		if _, err := Items([]byte(in), 2); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", in, err)
		}
	}
	if _, err := Items([]byte(`{"value":[1,2,3]}`), 2); !errors.Is(err, ErrTooMany) {
		t.Errorf("three of two: %v", err)
	}
}

func BenchmarkVerify(b *testing.B) {
	verifier, raw := sampleVerifier(), []byte(sample)
	b.ReportAllocs()
	for b.Loop() {
		n, err := ParseNotification(raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := verifier.VerifyLatest(context.Background(), n); err != nil {
			b.Fatal(err)
		}
	}
}

package index

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/printer"
	"pullprint/trigger/graph"
)

// keptRecord is a record with all that is kept, and with some that is not.
func keptRecord(queue string) []byte {
	at := time.Date(2026, 3, 10, 12, 0, 0, 123456789, time.UTC)
	value, err := json.Marshal(job.Record{
		Ref: graph.Ref{Printer: "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1", Job: "17"}, Task: "task", Owner: "owner", Queue: queue,
		State: job.Releasing, Created: at, Seen: at.Add(1), HoldUntil: at.Add(2), Warned: at.Add(3),
		Set: &decision.Settings{}, Intent: &job.Intent{By: `a "host"`, Since: at, Takers: 2},
		Release: &job.Release{Device: "west", Printer: "p", At: at, Job: "3"}, Paper: &job.Paper{State: paper.Failed, At: at},
		Decision: decision.Decision{Reason: "quota.exhausted", Policy: "749759dd72fd", Input: decision.Input{Mode: printer.ModePull}},
		Trail:    []job.Step{{State: job.Held, At: at, By: "x", Note: `}],"state":"\\"`}, {State: job.Releasing, At: at}},
	})
	if err != nil {
		panic(err) // a record can be encoded
	}
	return value
}

// Records as they are stored are read without encoding/json, and with the same result.
func TestScan(t *testing.T) {
	_, held := storedRecord(1)
	for name, value := range map[string][]byte{
		"all": keptRecord("Follow-Me"), "held": held, "beyond ASCII": keptRecord("Straße"),
	} {
		var got, want kept
		if !got.scan(value) {
			t.Errorf("%s: not read: %s", name, value)
		}
		if err := json.Unmarshal(value, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	for _, value := range []string{
		"", "{", "{}", `{"state"`, `{"state":`, `{"state":"held"`, `{"state":"held",}`, `{"state":"held"}}`, `{"state":1}`,
		`{"State":"held"}`, `{"st\u0061te":"held"}`, `{"state":"h\u0065ld"}`, `{"state":"held`, `{"seen":"x"}`, `[]`, `{:}`,
		`{"decision":null}`, `{"decision":{"input":[]}}`, "{\"state\":\"\xff\"}",
	} {
		if new(kept).scan([]byte(value)) {
			t.Errorf("%s is read", value)
		}
	}
}

// Whatever byte of a record changes: what is read is what encoding/json reads, if it is JSON at all.
func TestScanIsUnmarshal(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	bytesOfJSON := []byte("\"\\{}[],:0aA \nu\xc3")
	records := [][]byte{keptRecord("R&D"), keptRecord("Follow-Me")}
	for range 2_000 { // 0.1 s
		value := bytes.Clone(records[dice.IntN(len(records))])
		for range 1 + dice.IntN(3) {
			at := dice.IntN(len(value))
			switch c := bytesOfJSON[dice.IntN(len(bytesOfJSON))]; dice.IntN(3) {
			case 0:
				value[at] = c
			case 1:
				value = append(value[:at], value[at+1:]...)
			default:
				value = append(value[:at], append([]byte{c}, value[at:]...)...)
			}
		}
		var got, want kept
		scanned := got.scan(value)
		err := json.Unmarshal(value, &want)
		if !scanned || !json.Valid(value) {
			continue
		}
		if err != nil || !cmp.Equal(want, got) {
			t.Fatalf("%s: %v (-want +got)\n%s", value, err, cmp.Diff(want, got))
		}
	}
}

// BenchmarkRead tells what the record of a held job costs at a start, beside encoding/json.
func BenchmarkRead(b *testing.B) {
	_, value := storedRecord(1)
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			var k kept
			_ = json.Unmarshal(value, &k)
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			var k kept
			_ = k.read(value)
		}
	})
}

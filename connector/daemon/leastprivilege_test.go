package daemon_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/release"
	"pullprint/trigger/graph/graphtest"
)

var swept = regexp.MustCompile(`(?m)^pullprint_sweep_last_success_timestamp_seconds [1-9]`)

// A daemon with no more rights than deploy/nats gives it does all that it has to
// do, from the first start to the second, and a reader taps by NATS with no more
// than its own.
func TestLeastPrivilege(t *testing.T) {
	nats := bustest.StartDeployed(t, bustest.AsIn("nats-server.conf"))
	o := newOffice(t, graphtest.Calm())
	o = o.replica(metricsAddr, fmt.Sprintf("url: %q, nkey_file: %q, tls: {ca_file: %q, cert_file: %q, key_file: %q}",
		nats.URL, nats.Nkeys["PULLPRINT_NKEY"], nats.TLS.CAFile, nats.TLS.CertFile, nats.TLS.KeyFile))
	core, logs := observer.New(zap.WarnLevel)
	first := o.start(zap.New(core))
	first.register()
	for range 3 {
		for _, spec := range []graphtest.JobSpec{{Printer: pullID}, {Printer: directID}, {Printer: directID, Copies: 99}} {
			o.print(spec)
		}
	}
	first.await("9 jobs decided", 20*time.Second, func() bool { return len(first.all()) == 9 })
	first.enrol(studentID, number)
	first.end()

	second := o.start(zap.New(core))
	defer second.end()
	second.await("the second life is ready", 20*time.Second, func() bool { code, _ := second.get("/readyz"); return code == http.StatusOK })
	header := map[string]string{"Authorization": "Bearer " + readerToken}
	reader := nats.Connect(t, "READER_HQ_2_WEST_NKEY", bustest.Inbox("hq-2-west"))
	answer, err := bustest.Ask(t.Context(), reader, "pullprint.taps.hq-2-west", header, fmt.Sprintf(`{"badge":%q}`, number))
	var out release.Outcome
	if err != nil || json.Unmarshal(answer, &out) != nil || len(out.Released) != 3 {
		t.Errorf("a tap over NATS: %s, %v", answer, err)
	}
	second.await("a sweep", 20*time.Second, func() bool {
		_, page := second.get("/metrics")
		return swept.MatchString(page)
	})
	if denied := logs.FilterMessage("NATS permission missing"); denied.Len() > 0 {
		t.Errorf("missing: %v", denied.All()[0].ContextMap())
	}
}

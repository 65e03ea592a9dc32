package connector_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// fullAudit takes no decisions while it is full.
type fullAudit struct {
	connector.FullAudit
	full *atomic.Bool
}

func (a fullAudit) PublishDecision(ctx context.Context, verdict, msgID string, body []byte) error {
	if a.full.Load() {
		return errors.New("the stream is full")
	}
	return a.FullAudit.PublishDecision(ctx, verdict, msgID, body)
}

// A decision that the audit took later, when the task was delivered again, is counted and
// logged once all the same.
func TestReportedThoughAuditedLater(t *testing.T) {
	racetest.Skip(t, "one job after the other")
	for name, spec := range map[string]graphtest.JobSpec{
		"hold": {Printer: pullID}, "complete": {Printer: directID}, "abort": {Printer: directID, Copies: 60},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bustest.Open(t), graphtest.Calm())
			var full atomic.Bool
			var told []string
			l := w.live("", func(d *connector.Deps) {
				d.Audit = fullAudit{d.Audit, &full}
				d.OnDecision = func(d decision.Decision) { told = append(told, d.Verdict) }
			})
			_, d := w.print(spec)
			full.Store(true)
			l.worker.Handle(l.ctx, d)
			full.Store(false)
			d.Delivered++
			l.worker.Handle(l.ctx, d)
			if len(told) != 1 || told[0] != name {
				t.Errorf("told of %v", told)
			}
			if list := w.audit(t); len(list) != 1 || list[0].Verdict != name {
				t.Errorf("audited %+v", list)
			}
		})
	}
}

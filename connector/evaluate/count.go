package evaluate

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"pullprint/connector/decision"
	"pullprint/policy"
	"pullprint/trigger/pages"
	"pullprint/trigger/series"
)

func newPageCounts(reg prometheus.Registerer) *prometheus.CounterVec {
	c := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "pullprint_page_counts_total",
		Help: "Jobs whose pages were looked for, by result: counted, estimated or unknown.",
	}, []string{"result"})
	series.Begin(c, "counted", "estimated", "unknown")
	return c
}

// countPages counts the pages of the documents; if that fails, they are estimated as the
// policy says.
func (e *Evaluator) countPages(ctx context.Context, p *policy.Policy, eval *Evaluation) *decision.Pages {
	out := &decision.Pages{}
	if e.pages == nil || !p.Counts() {
		out.Unknown = "pages are not counted"
	} else {
		if err := e.openDocuments(ctx, eval, out); err != nil {
			out.Count, out.Unknown = 0, err.Error()
		}
	}
	result := "counted"
	if out.Unknown != "" {
		result = "unknown"
		if n, ok := p.Estimate(eval.Job.Size); ok {
			out.Count, out.Estimated, result = n, true, "estimated"
		}
	}
	e.counts.WithLabelValues(result).Inc()
	return out
}

// openDocuments counts the pages of the documents. Because a document may kill the process,
// the job is noted before.
func (e *Evaluator) openDocuments(ctx context.Context, eval *Evaluation, out *decision.Pages) (err error) {
	if len(eval.job.Documents) == 0 {
		return errors.New("the job has no document")
	}
	ctx, end, err := e.inflight.Begin(ctx, eval.job.Ref)
	if err != nil {
		eval.blocked = err
		return err
	}
	defer func() { end(err == nil) }()
	for _, d := range eval.job.Documents {
		n, err := e.pages(ctx, eval.job.Ref, d)
		if p, ok := errors.AsType[*pages.PanicError](err); ok {
			e.log.Error("page counting panicked: report it with the document, if its owner agrees",
				zap.String("job", eval.job.Ref.Job), zap.String("type", d.ContentType), zap.ByteString("stack", p.Stack))
			return err
		}
		if err != nil {
			e.log.Info("pages not counted", zap.String("job", eval.job.Ref.Job), zap.String("type", d.ContentType),
				zap.Error(err))
			return err
		}
		out.Count += n
	}
	return nil
}

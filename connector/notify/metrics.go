package notify

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pullprint/connector/notice"
)

// What becomes of a notice, as label of pullprint_notices_total.
const (
	resultSent      = "sent"
	resultRetried   = "retried"
	resultDead      = "dead"
	resultNoAddress = "no_address"
	resultOptedOut  = "opted_out"
	resultNext      = "next"    // the next channel is to take it
	resultLimited   = "limited" // the person has had as many messages as they get in a day
)

var results = []string{resultSent, resultRetried, resultDead, resultNoAddress, resultOptedOut, resultNext, resultLimited}

// webhookChannel is the label of all webhooks.
const webhookChannel = "webhook"

type metrics struct{ notices *prometheus.CounterVec }

func newMetrics(reg prometheus.Registerer, channels []Channel, webhooks []Webhook) *metrics {
	m := &metrics{promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "pullprint_notices_total",
		Help: "Notices to people by channel (nats: stored for bridges), kind and result: sent, retried, dead, no_address, opted_out, " +
			"next or limited.",
	}, []string{"channel", "kind", "result"})}
	for _, kind := range notice.Kinds {
		m.notices.WithLabelValues("nats", kind, resultSent)
		if len(webhooks) > 0 {
			for _, result := range []string{resultSent, resultRetried, resultDead} {
				m.notices.WithLabelValues(webhookChannel, kind, result)
			}
		}
		for _, c := range channels {
			for _, result := range results {
				m.notices.WithLabelValues(c.Name(), kind, result)
			}
		}
	}
	return m
}

// count counts a notice. What is stored is not trusted with labels: a kind that this version does not
// know is "other".
func (m *metrics) count(channel, kind, result string) {
	for _, known := range notice.Kinds {
		if kind == known {
			m.notices.WithLabelValues(channel, kind, result).Inc()
			return
		}
	}
	m.notices.WithLabelValues(channel, "other", result).Inc()
}

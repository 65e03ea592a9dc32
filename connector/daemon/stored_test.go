package daemon_test

import (
	"testing"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/arrival"
	"pullprint/connector/decision"
	"pullprint/connector/delegation"
	"pullprint/connector/job"
	"pullprint/connector/notice"
	"pullprint/policy/badge"
	"pullprint/policy/quota"
	"pullprint/policy/quota/quotatest"
)

// storedForms are the exported types that are stored as JSON, by the name of their file. A
// type that moves to another package changes its line here and nothing else.
var storedForms = map[string]func() any{
	"action":       func() any { return new(apiclient.Action) },
	"badge":        func() any { return new(badge.Badge) },
	"dead-letter":  func() any { return new(arrival.DeadLetter) },
	"decision":     func() any { return new(decision.Decision) },
	"delegation":   func() any { return new(delegation.Delegation) },
	"ledger-entry": func() any { return new(quota.Entry) },
	"notice":       func() any { return new(notice.Expiry) },
	"record":       func() any { return new(job.Record) },
}

func TestStoredForms(t *testing.T) {
	t.Parallel()
	quotatest.Stored(t, storedForms)
}

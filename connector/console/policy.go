package console

import (
	"net/http"
	"time"

	"pullprint/policy"
)

// policyPage is the policy in force, with how often its rules have decided, and the settings beside it.
type policyPage struct {
	Hash  string
	Parts []policy.Part
	Hits  map[string]Hit
	Since time.Time
	// Settings are those of the configuration that decide.
	Settings []Setting
}

// Setting is a value of the configuration in force; an empty one is left to the program.
type Setting struct{ Key, Value string }

// policy shows the rules, allowances and settings in force. Their texts are in the decisions.
func (p *Pages) policy(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.Callers.Reader(rw, req)
	if !ok {
		return
	}
	now := p.Policy()
	data := policyPage{Hash: now.Hash(), Parts: now.Parts(), Settings: p.Settings}
	data.Hits, data.Since = p.Recent.Hits()
	shown := p.page(rw, req, c, "Policy")
	shown.Data = data
	p.Site.Show(rw, http.StatusOK, "policy", shown)
}

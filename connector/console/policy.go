package console

import (
	"net/http"
	"time"

	"pullprint/policy"
)

// policyPage is the policy in force, with how often its rules have decided.
type policyPage struct {
	Hash  string
	Parts []policy.Part
	Hits  map[string]Hit
	Since time.Time
}

// policy shows the rules and allowances in force. Their texts are in the decisions.
func (p *Pages) policy(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.Callers.Reader(rw, req)
	if !ok {
		return
	}
	now := p.Policy()
	data := policyPage{Hash: now.Hash(), Parts: now.Parts()}
	data.Hits, data.Since = p.Recent.Hits()
	shown := p.Callers.PageFor(req.Context(), c, "Policy")
	shown.Data = data
	p.Site.Show(rw, http.StatusOK, "policy", shown)
}

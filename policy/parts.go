package policy

// Part is a rule or an allowance, without the words that people read.
type Part struct {
	// Kind is rule or allowance.
	Kind string `json:"kind"`
	Name string `json:"name"`
	At   Point  `json:"at,omitempty"`
	// When is the expression as it is written.
	When    string  `json:"when"`
	Verdict Verdict `json:"verdict,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	// Sets is true for a rule that rewrites settings.
	Sets bool `json:"sets,omitempty"`
}

// Parts returns what the policy is made of, in its order.
func (p *Policy) Parts() []Part {
	list := []Part{}
	for i := range p.rules {
		r := &p.rules[i]
		list = append(list, Part{"rule", r.Name, r.At, r.When, r.Verdict, r.Reason, r.Set != nil})
	}
	for i := range p.allowances {
		a := &p.allowances[i]
		list = append(list, Part{Kind: "allowance", Name: a.Name, When: a.When})
	}
	return list
}

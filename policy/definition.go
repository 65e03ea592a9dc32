package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/cel"

	"pullprint/policy/quota"
)

// Definition is a policy before its expressions are compiled. The zero Definition is
// the policy without a file: pull queues hold, direct queues complete. New expects what
// package policyfile has checked: names that are unique, verdicts that the point has.
type Definition struct {
	// Source is what the policy was read from; Policy.Hash is of it.
	Source []byte
	Rules  []Rule
	// Direct is what a job of a direct queue gets when no rule matches: Hold, or
	// Complete, also when it is empty.
	Direct Verdict
	// Zone is where hours and days are counted; nil is UTC.
	Zone *time.Location
	// Language is that of texts for people whose own they are not in; when it is empty
	// it is the first of the first text.
	Language string
	// Shadow is true for a policy that decides nothing and says what it would.
	Shadow bool

	// MetadataOnly is true when documents are not looked into to count their pages.
	MetadataOnly bool
	// BytesPerPage estimates the pages of documents that were not counted; 0 is not at all.
	BytesPerPage int64

	Allowances []Allowance
	Merge      quota.Merge
	// RefuseUnmatched is true when those no allowance is for can't print.
	RefuseUnmatched bool
	// ReserveAtArrival is true when a job of a pull queue is paid for when it comes.
	ReserveAtArrival bool
	// PagePrice and ColorPrice are what a printed side costs; nil is one unit, or for
	// colour what any side costs.
	PagePrice, ColorPrice *quota.Amount
	// DuplexDiscount is the part of its price, of one unit, that a side costs less when
	// it shares its sheet with another.
	DuplexDiscount quota.Amount
	// Currency is the word for a unit; empty when a unit is a page.
	Currency string
	// Refunds is what is given back; nil is all.
	Refunds *Refunds

	// Unknown says what becomes of a job when a dependency is out of reach; FailHold
	// where it says nothing.
	Unknown map[Dependency]FailMode
}

// Rule is one rule. The first of its point whose expression is true decides.
type Rule struct {
	Name string
	Line int // in the file, for people
	At   Point
	// When is a CEL expression.
	When    string
	Verdict Verdict
	Reason  string
	// Text and Remedy are for the owner, in one language or several; the first is for
	// everybody whose language is not there.
	Text, Remedy []Translation
	// IPP is the keyword for job-state-reasons that comes nearest to the reason.
	IPP string
	// Set, when not nil, is what the rule rewrites; it has no verdict then.
	Set *Settings
}

// Translation is a text in one language; the language is empty when there is no other.
// Between double braces it has expressions.
type Translation struct{ Language, Text string }

// Allowance is what those for whom When is true may print. The account of a person has
// no name: it is that of the owner.
type Allowance struct {
	quota.Allowance
	// When is a CEL expression.
	When string
}

// Fault is what is wrong within a Definition.
type Fault struct {
	// Path names the value as a policy file does: rules[1].when, or rules[1].text.de.
	Path string
	// Text is the value. Line, from 1, and Column, from 0, count its characters; a Line
	// of 0 means the whole value.
	Text         string
	Line, Column int
	// Message is CEL's own or ours. Hint says what to do and may be empty.
	Message, Hint string
}

// rule is a Rule with what is compiled of it.
type rule struct {
	Rule
	when         expression
	text, remedy localized
}

// allowance is an Allowance with its expression.
type allowance struct {
	Allowance
	when expression
}

// New compiles a policy. With faults there is no policy.
func New(def Definition) (*Policy, []Fault) {
	sum := sha256.Sum256(def.Source)
	p := &Policy{def: def, hash: hex.EncodeToString(sum[:hashBytes]), prices: pricesOf(&def)}
	p.def.Zone = cmp.Or(p.def.Zone, time.UTC)
	p.def.Direct = cmp.Or(p.def.Direct, Complete)
	p.def.Merge = cmp.Or(p.def.Merge, quota.First)
	p.def.Refunds = cmp.Or(p.def.Refunds, &Refunds{Aborted: 1000, Canceled: 1000})
	var c compiler
	for i, a := range def.Allowances {
		path := fmt.Sprintf("allowances[%d].when", i)
		x := c.condition(path, a.When)
		if x.uses&accountVariables != 0 {
			c.add(path, "an allowance is what an account has", "an allowance can't depend on the account")
		}
		p.allowances = append(p.allowances, allowance{a, x})
	}
	for i, r := range def.Rules {
		path := fmt.Sprintf("rules[%d].", i)
		x := c.condition(path+"when", r.When)
		p.rules = append(p.rules, rule{r, x, c.localized(path+"text", r.Text), c.localized(path+"remedy", r.Remedy)})
		p.addLanguages(r.Text)
		p.addLanguages(r.Remedy)
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	return p, nil
}

// hashBytes make a hash of 12 digits: enough to tell the policies of one company apart,
// and short enough for a line of a log.
const hashBytes = 6

// addLanguages notes that a text is in several languages, and which is for everybody if
// the definition does not say.
func (p *Policy) addLanguages(texts []Translation) {
	for _, t := range texts {
		p.languages = p.languages || t.Language != anyLanguage
		if p.def.Language == "" {
			p.def.Language = strings.ToLower(t.Language)
		}
	}
}

// compiler compiles the expressions of a Definition and gathers their faults.
type compiler struct{ faults []Fault }

func (c *compiler) add(path, hint, format string, args ...any) {
	c.faults = append(c.faults, Fault{Path: path, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

// within adds faults within the text at a path.
func (c *compiler) within(path, text string, faults []Fault) {
	for _, f := range faults {
		f.Path, f.Text = path, text
		c.faults = append(c.faults, f)
	}
}

// condition compiles an expression that is true or false.
func (c *compiler) condition(path, text string) expression {
	switch {
	case strings.TrimSpace(text) == "":
		c.add(path, "write when: 'true' for always", "there is no when")
		return expression{}
	case utf8.RuneCountInString(text) > maxExpression:
		c.add(path, "shorten it, or make two rules of it", "longer than %d characters", maxExpression)
		return expression{}
	}
	x, faults := compile(text, "true or false", cel.BoolType)
	c.within(path, text, faults)
	return x
}

// localized compiles the texts at a path.
func (c *compiler) localized(path string, texts []Translation) localized {
	l := localized{texts: make(map[string]template, len(texts))}
	for i, t := range texts {
		at, language := path, strings.ToLower(t.Language)
		if t.Language != anyLanguage {
			at += "." + t.Language
		}
		if i == 0 {
			l.first = language
		}
		if utf8.RuneCountInString(t.Text) > maxText {
			c.add(at, "shorten it", "longer than %d characters", maxText)
			continue
		}
		compiled, faults := compileTemplate(t.Text)
		c.within(at, t.Text, faults)
		l.texts[language] = compiled
	}
	return l
}

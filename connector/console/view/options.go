package view

import (
	"net/http"
	"slices"
	"strconv"

	"pullprint/connector/decision"
	"pullprint/connector/release"
	"pullprint/policy"
)

// What people may choose for a job at its release.
const (
	ChooseGrayscale = "grayscale"
	ChooseDuplex    = "duplex"
	ChooseCopies    = "copies"
)

// AllChoices are all of them.
func AllChoices() []string { return []string{ChooseGrayscale, ChooseDuplex, ChooseCopies} }

// Offered are the settings of the choices that people have: each alone, and all together.
func Offered(choices []string) (list []policy.Settings) {
	var all policy.Settings
	for _, s := range []struct {
		name string
		set  policy.Settings
	}{
		{ChooseGrayscale, policy.Settings{ColorMode: "grayscale"}},
		{ChooseDuplex, policy.Settings{DuplexMode: "flipOnLongEdge"}},
		{ChooseCopies, policy.Settings{Copies: 1}},
	} {
		if slices.Contains(choices, s.name) {
			list, all = append(list, s.set), s.set.Over(all)
		}
	}
	return append(list, all)
}

// Option is one way to print the job of a page.
type Option struct {
	release.Choice
	Page Page
	Set  decision.Settings
}

// OptionsOf are the ways to print the job of a page.
func OptionsOf(p Page, choices []release.Choice) (list []Option) {
	for _, c := range choices {
		list = append(list, Option{c, p, decision.Settings(c.Set)})
	}
	return list
}

// Variant is how a form wants a job printed; what is not a variant changes nothing.
func Variant(req *http.Request) policy.Settings {
	s := policy.Settings{ColorMode: req.PostFormValue("colorMode"), DuplexMode: req.PostFormValue("duplexMode")}
	if n, err := strconv.Atoi(req.PostFormValue("copies")); err == nil {
		s.Copies = n
	}
	if !s.Variant(policy.Job{Copies: max(s.Copies, 1)}) {
		return policy.Settings{}
	}
	return s
}

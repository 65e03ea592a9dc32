package connector_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/policy/pin"
)

// given is what is shown and typed at a device in a table.
var given = map[string]tap.Shown{
	"badge":                  {Number: "1001"},
	"badge, right PIN":       {Number: "1001", PIN: rightPIN},
	"badge, wrong PIN":       {Number: "1001", PIN: wrongPIN},
	"unknown badge":          {Number: "9001", PIN: rightPIN},
	"ended badge":            {Number: "1002", PIN: rightPIN},
	"badge of who has none":  {Number: "2001", PIN: rightPIN},
	"name, right PIN":        {User: "student@contoso.com", PIN: rightPIN},
	"name, wrong PIN":        {User: "student@contoso.com", PIN: wrongPIN},
	"employee id, right PIN": {User: " E42 ", PIN: rightPIN},
	"unknown name":           {User: "nobody@contoso.com", PIN: rightPIN},
	"no name":                {User: "*) or (1 eq 1", PIN: rightPIN},
	"name":                   {User: "student@contoso.com"},
	"name, no PIN's form":    {User: "student@contoso.com", PIN: strings.Repeat("1", 60_000)},
}

// Which factors a device asks for, what is given there, and what becomes of it. Whatever is not in the
// list of a device is what outcome says for all the rest.
func TestFactors(t *testing.T) {
	const prints, nothing = "prints", "nothing"
	badgeOnly := map[string]string{
		"badge": prints, "badge, right PIN": prints, "badge, wrong PIN": prints,
		"unknown badge": nothing, "ended badge": nothing, "badge of who has none": nothing,
	}
	withPIN := map[string]string{
		"badge": tap.ErrNeedsPIN.Error(), "badge, right PIN": prints, "badge, wrong PIN": pin.ErrWrong.Error(),
		"unknown badge": pin.ErrWrong.Error(), "ended badge": pin.ErrWrong.Error(), "badge of who has none": pin.ErrWrong.Error(),
	}
	names := map[string]string{
		"name, right PIN": prints, "name, wrong PIN": pin.ErrWrong.Error(), "employee id, right PIN": prints,
		"unknown name": pin.ErrWrong.Error(), "no name": pin.ErrWrong.Error(), "name": tap.ErrNeedsPIN.Error(),
		"name, no PIN's form": pin.ErrWrong.Error(),
	}
	for list, want := range map[string][2]map[string]string{
		"":               {badgeOnly, nil},
		"badge":          {badgeOnly, nil},
		"badge+pin":      {withPIN, nil},
		"pin":            {nil, names},
		"badge, pin":     {badgeOnly, names},
		"pin, badge+pin": {withPIN, names},
	} {
		t.Run(list, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := openKeypads(t, factorsOf(list)...)
				for what, s := range given {
					id := k.hold()
					s.Device = "hq-2-west"
					out, err := k.taps.Tap(t.Context(), s)
					outcome := want[0][what]
					switch {
					case s.User != "" && want[1] != nil:
						outcome = want[1][what]
					case s.User != "":
						outcome = tap.ErrNoNames.Error()
					case want[0] == nil:
						outcome = tap.ErrNoBadges.Error()
					}
					if got := outcomeOf(out, err); got != outcome {
						t.Errorf("%s: %s, want %s", what, got, outcome)
					}
					if out.Empty() {
						if _, err := k.release.Release(t.Context(), order()); err != nil {
							t.Fatal(err)
						}
					} else if d := k.record(id).Decision; d.Asked != askedFor(s) {
						t.Errorf("%s: asked by %s", what, d.Asked)
					}
					time.Sleep(16 * time.Minute) // wrong ones are forgotten
				}
				for _, e := range k.log.All() {
					if text := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(text, rightPIN) || strings.Contains(text, wrongPIN) {
						t.Error("a PIN in the log:", text)
					}
				}
			})
		})
	}
}

func factorsOf(list string) (factors []printer.Factor) {
	for f := range strings.SplitSeq(list, ", ") {
		if f != "" {
			factors = append(factors, printer.Factor(f))
		}
	}
	return factors
}

func askedFor(s tap.Shown) decision.Origin {
	if s.User != "" {
		return decision.AskedByPIN
	}
	return decision.AskedByBadge
}

func outcomeOf(out release.Outcome, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case len(out.Released) > 0:
		return "prints"
	}
	return "nothing"
}

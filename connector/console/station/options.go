package station

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"pullprint/connector/console/view"
	"pullprint/connector/decision"
	"pullprint/connector/release"
	"pullprint/policy"
)

// stationOptions shows the ways to print one job, each with what it costs.
func (p *Pages) stationOptions(rw http.ResponseWriter, req *http.Request) {
	p.once(rw, req, func(ctx context.Context, d *formResult, owner string) (err error) {
		ref, _ := formRef(req)
		d.page.Of, d.page.Choices, err = p.Releaser.Choices(ctx, owner, d.page.Device, ref, p.offered())
		if errors.Is(err, release.ErrNoJob) {
			d.wrong = "That job does not wait any more."
			return nil
		}
		return err
	})
}

// offered are the settings that people may choose from: each alone, and all together.
func (p *Pages) offered() (list []policy.Settings) {
	var all policy.Settings
	for _, s := range []struct {
		name string
		set  policy.Settings
	}{
		{ChooseGrayscale, policy.Settings{ColorMode: "grayscale"}},
		{ChooseDuplex, policy.Settings{DuplexMode: "flipOnLongEdge"}},
		{ChooseCopies, policy.Settings{Copies: 1}},
	} {
		if slices.Contains(p.Config.Choices, s.name) {
			list, all = append(list, s.set), s.set.Over(all)
		}
	}
	return append(list, all)
}

// option is one way to print the job of a page, with its access key.
type option struct {
	release.Choice
	Page view.Page
	Key  string
	Set  decision.Settings
}

// optionKeys are the access keys of ways to print a job, in turn: those of a list of jobs, but
// for b, c and e, which lead back, delete, and print as a list does.
const optionKeys = "fghijklm"

// optionsOf are the ways to print the job of a page.
func optionsOf(p view.Page) (list []option) {
	s, _ := p.Data.(stationPage)
	for i, c := range s.Choices[:min(len(s.Choices), len(optionKeys))] {
		list = append(list, option{c, p, optionKeys[i : i+1], decision.Settings(c.Set)})
	}
	return list
}

// Own reports whether the job of an options page is the person's own.
func (s stationPage) Own() bool {
	return slices.ContainsFunc(s.Jobs, func(q release.Quote) bool { return q.Ref == s.Of.Ref })
}

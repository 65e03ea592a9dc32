package station

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"pullprint/connector/console/view"
	"pullprint/connector/release"
)

// stationOptions shows the ways to print one job, each with what it costs.
func (p *Pages) stationOptions(rw http.ResponseWriter, req *http.Request) {
	p.once(rw, req, func(ctx context.Context, d *formResult, owner string) (err error) {
		ref, _ := formRef(req)
		d.page.Of, d.page.Choices, err = p.Releaser.Choices(ctx, owner, d.page.Device, ref, view.Offered(p.Config.Choices))
		if errors.Is(err, release.ErrNoJob) {
			d.wrong = "That job does not wait any more."
			return nil
		}
		return err
	})
}

// option is one way to print the job of a page, with its access key.
type option struct {
	view.Option
	Key string
}

// optionKeys are the access keys of ways to print a job, in turn: those of a list of jobs, but
// for b, c and e, which lead back, delete, and print as a list does.
const optionKeys = "fghijklm"

// optionsOf are the ways to print the job of a page.
func optionsOf(p view.Page) (list []option) {
	s, _ := p.Data.(stationPage)
	for i, o := range view.OptionsOf(p, s.Choices[:min(len(s.Choices), len(optionKeys))]) {
		list = append(list, option{o, optionKeys[i : i+1]})
	}
	return list
}

// Own reports whether the job of an options page is the person's own.
func (s stationPage) Own() bool {
	return slices.ContainsFunc(s.Jobs, func(q release.Quote) bool { return q.Ref == s.Of.Ref })
}

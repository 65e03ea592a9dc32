package own

import (
	"context"
	"net/http"
	"slices"

	"pullprint/connector/notice"
)

// noticesPath is the page on which a person chooses what they are told.
const noticesPath = "/me/notices"

// Notices are which ones people want; *notice.Choices is one.
type Notices interface {
	Off(ctx context.Context, person string) ([]string, error)
	SetOff(ctx context.Context, person string, off []string) error
}

// noticeChoice is one kind of notice on the page.
type noticeChoice struct {
	Kind, Name string
	On, Always bool
}

type noticesPage struct {
	Kinds []noticeChoice
	// Saved is set when a choice was just stored.
	Saved bool
}

// showNotices shows what a person is told.
func (p *Pages) showNotices(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	off, err := p.Notices.Off(req.Context(), who.Person)
	if err != nil {
		p.failMe(rw, who, err)
		return
	}
	data := noticesPage{Saved: req.URL.Query().Has("saved")}
	for _, kind := range notice.Kinds {
		data.Kinds = append(data.Kinds, noticeChoice{
			kind, who.in.Text(notice.Description(kind)), !slices.Contains(off, kind), notice.Mandatory(kind),
		})
	}
	title := who.in.Text("Which notices you get")
	p.Site.Show(rw, http.StatusOK, "menotices", p.page(req.Context(), who, title, data))
}

// setNotices stores what a person is told: the kinds that the form names.
func (p *Pages) setNotices(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	if err := req.ParseForm(); err != nil { // without its kinds it would switch all of them off
		p.failMe(rw, who, err)
		return
	}
	wanted := req.PostForm["kind"]
	off := slices.DeleteFunc(slices.Clone(notice.Kinds), func(kind string) bool { return slices.Contains(wanted, kind) })
	if err := p.Notices.SetOff(req.Context(), who.Person, off); err != nil {
		p.failMe(rw, who, err)
		return
	}
	http.Redirect(rw, req, noticesPath+"?saved=1", http.StatusSeeOther)
}

// withNotices adds the page, when people are told by mail or in Teams.
func (p *Pages) withNotices(routes map[string]http.HandlerFunc) {
	if p.Notices != nil {
		routes["GET "+noticesPath], routes["POST "+noticesPath] = p.showNotices, p.setNotices
	}
}

package console

import (
	"errors"
	"net/http"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/console/view"
)

// in is how a page speaks to who is signed in: to a person as the directory says, to who has a token as
// their browser wishes.
func (p *Pages) in(rw http.ResponseWriter, req *http.Request, c access.Caller) view.Words {
	return p.Site.WordsFor(req.Context(), rw, c.Person)
}

// page is a page of the console for who is signed in.
func (p *Pages) page(rw http.ResponseWriter, req *http.Request, c access.Caller, title string, args ...any) view.Page {
	in := p.in(rw, req, c)
	shown := p.Callers.PageFor(req.Context(), c, in.Text(title, args...))
	shown.In = in
	return shown
}

// noSuch says that there is nothing at an address.
func (p *Pages) noSuch(rw http.ResponseWriter, req *http.Request, c access.Caller, title, text string) {
	shown := p.page(rw, req, c, title)
	shown.Home, shown.Data = view.Home, shown.In.Text(text)
	p.Site.Show(rw, http.StatusNotFound, "message", shown)
}

// wrong says on a page what an error means to who looks at it; nil is none.
func wrong(shown *view.Page, err error) { shown.Wrong, shown.English = why(shown.In, err) }

// why is what an error means in a language, and what is told of it in English alone.
func why(in view.Words, err error) (told, english string) {
	if err == nil {
		return "", ""
	}
	if refused, ok := errors.AsType[refusedError](err); ok {
		r := another(in, refused.reason.Code, refused.reason.Text, refused.reason.Remedy)
		return in.Text("The job is not held") + ". " + r.Text + " " + r.Remedy + " [" + r.Code + "]", ""
	}
	pr, _ := admin.ProblemOf(err)
	title, detail, english := in.Told(pr)
	if told = title + "."; detail != "" {
		told += " " + detail
	}
	return told, english
}

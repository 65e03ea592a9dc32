// Package at serves the page that the QR code at a device opens on a phone: what waits there for the person
// who is signed in, and Print here. A person releases at the device whose link they have what they would
// release there with a badge. A form names its jobs, so that one which is sent twice prints nothing more.
package at

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/console/signin"
	"pullprint/connector/console/view"
	"pullprint/connector/phone"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/tap"
)

//go:embed pages
var files embed.FS

// Jobs ends jobs as the HTTP API does; *admin.API is one.
type Jobs interface {
	Cancel(ctx context.Context, c release.Cancellation) (release.Refused, error)
}

// Deps are the dependencies of the pages.
type Deps struct {
	Site     *view.Site
	Callers  *signin.Pages
	Phones   *phone.Devices
	Releaser *release.Releaser
	SignedIn *tap.SignedIn
	Jobs     Jobs
	Devices  []printer.Device
	// Choices are what people may choose for a job, as view.ChooseGrayscale.
	Choices []string
	// OthersTitles says how titles of jobs are shown that are not the person's own, Help whom to ask.
	OthersTitles, Help string
	Logger             *zap.Logger
}

// Pages are those of all devices.
type Pages struct {
	Deps
	log *zap.Logger
}

// New adds the pages to the site; it starts nothing.
func New(d Deps) (*Pages, error) {
	return &Pages{d, d.Logger.Named("phone")}, d.Site.Add(view.Templates{
		Files: files, Funcs: template.FuncMap{"part": part, "options": optionsOf}, Pages: []string{"at", "atcode", "atoptions"},
	})
}

// Routes are all pages and forms. Each handler asks by enter for a link and for who is there.
func (p *Pages) Routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /at/{device}":         p.jobs,
		"POST /at/{device}/print":  p.print,
		"GET /at/{device}/options": p.options,
		"POST /at/{device}/cancel": p.cancel,
		"POST /at/{device}/code":   p.code,
		"GET /at/{device}/{form}":  p.again,
		"GET /at/{$}":              p.noDevice,
		"GET /at":                  p.noDevice,
	}
}

// visitor is a person with the link of a device.
type visitor struct {
	device printer.Device
	// link is the address of the device's page, with the k of its link.
	link, k string
	who     access.Caller
	in      view.Words
}

// form is where a form of the page is sent.
func (v *visitor) form(name string) string { return phone.FormPath(v.device.ID, name, v.k) }

// enter is who opens the page of a device, with a link that is valid, signed in, and confirmed. Otherwise it
// has answered.
func (p *Pages) enter(rw http.ResponseWriter, req *http.Request) (v visitor, ok bool) {
	v.in = p.Site.Words(view.Wished(rw))
	device, k := req.PathValue("device"), req.URL.Query().Get("k")
	switch err := p.Phones.Verify(req.Context(), device, k); {
	case errors.Is(err, phone.ErrNoDevice):
		p.stop(rw, http.StatusNotFound, v, v.in.Text("This printer is not used by phone"), v.in.Text(noPhone))
		return v, false
	case errors.Is(err, phone.ErrLink):
		what := oldLink
		if k == "" {
			what = noLink
		}
		p.stop(rw, http.StatusForbidden, v, v.in.Text("This link does not work"), v.in.Text(what))
		return v, false
	case err != nil:
		p.fail(rw, v, err)
		return v, false
	}
	v.device, _ = printer.DeviceByID(p.Devices, device) // Phones has only such as are configured
	v.k, v.link = k, phone.Path(device, k)
	v.who, v.in, ok = p.Callers.Self(rw, req, signin.Asks{Then: v.link, Link: true, Place: v.device.Place(), Help: p.Help})
	return v, ok
}

// What people are told when they can't go on.
const (
	noLink  = "The address is not complete. Scan the code on the sheet at the printer."
	oldLink = "The code was replaced, or the address is not complete. Scan the sheet that hangs at the printer now; if it " +
		"is that one, tell your administrator. Your badge works meanwhile."
	noPhone  = "It may have been removed or set up anew. Show your badge there, or scan the code of another printer."
	tooLarge = "What was sent can't be read. Scan the code on the sheet at the printer."
)

// stop says why somebody can't go on. It leads back to the page of the device if the link is valid.
func (p *Pages) stop(rw http.ResponseWriter, status int, v visitor, title, what string) {
	s := signin.Stopped{What: what, Go: v.link, Help: p.Help}
	if v.link != "" {
		s.Button = v.in.Text("Back")
	}
	p.Callers.Stop(rw, status, view.Page{In: v.in, Title: title}, s)
}

// fail shows what an error means to a person, and leads back.
func (p *Pages) fail(rw http.ResponseWriter, v visitor, err error) {
	pr, logged := admin.ProblemOf(err)
	if logged {
		p.log.Warn("page failed", zap.String("device", v.device.ID), zap.Error(err))
	}
	p.stop(rw, pr.Status, v, v.in.Text("Nothing was done"), v.in.Text(view.TryAgain))
}

// again leads a browser that loads the address of a form, as after a restart, to the page.
func (p *Pages) again(rw http.ResponseWriter, req *http.Request) {
	page := phone.Path(req.PathValue("device"), req.URL.Query().Get("k"))
	http.Redirect(rw, req, page, http.StatusSeeOther) //nolint:gosec // a path of ours
}

func (p *Pages) noDevice(rw http.ResponseWriter, _ *http.Request) {
	v := visitor{in: p.Site.Words(view.Wished(rw))}
	p.stop(rw, http.StatusNotFound, v, v.in.Text("This link does not work"), v.in.Text(noLink))
}

// present reports whether the visitor may act there; otherwise it has asked for the code of the station.
func (p *Pages) present(rw http.ResponseWriter, req *http.Request, v visitor) bool {
	ok, err := p.Phones.Present(req.Context(), v.device.ID, v.who.Person, time.Now())
	switch {
	case err != nil:
		p.fail(rw, v, err)
	case !ok:
		p.showCode(rw, http.StatusOK, v, "")
	}
	return ok && err == nil
}

// codePage asks for the code that the station shows.
type codePage struct {
	Place, Form, Help string
}

func (p *Pages) showCode(rw http.ResponseWriter, status int, v visitor, wrong string) {
	p.Site.Show(rw, status, "atcode", view.Page{
		Title: v.device.Place(), In: v.in, Wrong: v.in.Text(wrong),
		Data: codePage{Place: v.device.Place(), Form: v.form("code"), Help: p.Help},
	})
}

// code takes the code that a person typed, and leads to the page.
func (p *Pages) code(rw http.ResponseWriter, req *http.Request) {
	v, ok := p.enter(rw, req)
	if !ok || !p.readable(rw, req, v) {
		return
	}
	err := p.Phones.Enter(context.WithoutCancel(req.Context()), v.device.ID, v.who.Person, req.PostForm.Get("code"), time.Now())
	switch {
	case errors.Is(err, phone.ErrCode):
		p.showCode(rw, http.StatusUnprocessableEntity, v, "That is not the code that the screen shows now. Type the one that it shows.")
	case errors.Is(err, phone.ErrGuesses):
		p.showCode(rw, http.StatusTooManyRequests, v, "Too many wrong codes. Wait for 15 minutes, or show your badge.")
	case err != nil:
		p.fail(rw, v, err)
	default:
		http.Redirect(rw, req, v.link, http.StatusSeeOther)
	}
}

// readable parses the form of a request, whose size is bounded for all pages; one that can't be read does
// nothing.
func (p *Pages) readable(rw http.ResponseWriter, req *http.Request, v visitor) bool {
	err := req.ParseForm()
	if err == nil {
		return true
	}
	status := http.StatusBadRequest
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		status = http.StatusRequestEntityTooLarge
	}
	p.stop(rw, status, v, v.in.Text("Nothing was done"), v.in.Text(tooLarge))
	return false
}

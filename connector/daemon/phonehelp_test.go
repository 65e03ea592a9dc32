package daemon_test

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/trigger/graph/graphtest"
)

// byPhone is a person with a phone in front of a device.
type byPhone struct {
	*surfer
	link string
	html string // of the page that is shown
}

var (
	phoneForm = regexp.MustCompile(`(?s)<form method="post" action="(/at/[^"]*/print[^"]*)">(.*?)</form>`)
	phoneJob  = regexp.MustCompile(`name="job" value="([^"]*)"`)
)

// allowPhones allows phones at west, and with a code at east, for people who sign in at a URL.
func (o *office) allowPhones(url string) {
	o.t.Helper()
	o.edit("id: hq-2-west, ", `id: hq-2-west, location: "HQ, 2nd floor", phone: true, `)
	o.edit("id: hq-2-east, ", "id: hq-2-east, phone: code, ")
	o.peopleSignIn(url)
}

// officeWithPhones is an office with phones allowed.
func officeWithPhones(t *testing.T) *office {
	t.Helper()
	o := newOffice(t, graphtest.Calm())
	o.allowPhones("http://" + o.admin())
	return o
}

func withPhones(t *testing.T) *shift {
	t.Helper()
	s := officeWithPhones(t).start(zap.NewNop())
	s.register()
	return s
}

// linkOf is the link on the sheet of a device.
func (o *office) linkOf(device string) string {
	o.t.Helper()
	var out apiclient.DeviceLink
	if code := o.ask(adminToken, http.MethodGet, "/v1/devices/"+device+"/link", "", &out); code != http.StatusOK {
		o.t.Fatalf("link of %s: %d", device, code)
	}
	return out.URL
}

// at is a phone that nobody is signed in at, in front of a device.
func (o *office) at(device string) *byPhone {
	return &byPhone{surfer: o.surfer(), link: o.linkOf(device)}
}

// fetch sends a request without redirects followed by another method, and keeps the page.
func (b *byPhone) fetch(method, address string, form url.Values) int {
	b.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = "http://" + b.admin() + address
	}
	req, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.html = string(body)
	return res.StatusCode
}

// scan opens the link.
func (b *byPhone) scan() int { b.t.Helper(); return b.fetch(http.MethodGet, b.link, nil) }

// enter signs somebody in and opens the link.
func (b *byPhone) enter(person string) {
	b.t.Helper()
	b.signIn(person, strings.TrimPrefix(b.link, "http://"+b.admin()))
	b.scan()
}

// form is a form of the page that asks for jobs: the first for one job, or that for all.
func (b *byPhone) form(all bool) (action string, form url.Values) {
	b.t.Helper()
	for _, m := range phoneForm.FindAllStringSubmatch(b.html, -1) {
		form = url.Values{}
		for _, j := range phoneJob.FindAllStringSubmatch(m[2], -1) {
			form.Add("job", j[1])
		}
		if all == strings.Contains(m[2], "big") {
			return strings.ReplaceAll(m[1], "&amp;", "&"), form
		}
	}
	b.t.Fatalf("no such form:\n%s", b.html)
	return "", nil
}

// press prints one job, or all.
func (b *byPhone) press(all bool) int {
	b.t.Helper()
	action, form := b.form(all)
	return b.fetch(http.MethodPost, action, form)
}

func (b *byPhone) sees(words, none []string) {
	b.t.Helper()
	b.says(html.UnescapeString(pageTags.ReplaceAllString(b.html, "")), words, none)
}

// refused scans a link that does not open its page, and must say what to do.
func (b *byPhone) refused(name, link string, status int, words ...string) {
	b.t.Helper()
	b.link = link
	if code := b.scan(); code != status {
		b.t.Errorf("%s: %d, want %d", name, code, status)
	}
	b.sees(words, []string{"Print here"})
}

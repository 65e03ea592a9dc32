package console

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/trigger/graph"
)

// noJobs has no job, and counts how often one was looked for.
type noJobs struct {
	storedActions
	looked int
}

func (n *noJobs) ListPage(context.Context, string, apiclient.JobFilter, string, int) (apiclient.JobList, error) {
	return apiclient.JobList{}, nil
}

func (n *noJobs) List(context.Context, string, apiclient.JobFilter, int) (apiclient.JobList, error) {
	return apiclient.JobList{}, nil
}

func (n *noJobs) Record(context.Context, graph.Ref) (job.Record, error) {
	n.looked++
	return job.Record{}, release.ErrNoJob
}

func (n *noJobs) Job(context.Context, graph.Ref) (apiclient.JobDetail, error) {
	n.looked++
	return apiclient.JobDetail{}, release.ErrNoJob
}

// pageMatrix says who may use each page and form; the stations are that of the device
// west. An empty entry is for everybody. A route that is not here fails the test.
var pageMatrix = map[string]string{
	"GET /{$}":                           "read operate admin",
	"POST /login":                        "", // asks for a token itself: TestForgedForms
	"POST /logout":                       "",
	"GET /jobs/{printer}/{job}":          "read operate admin",
	"POST /jobs/{printer}/{job}/cancel":  "operate admin",
	"POST /jobs/{printer}/{job}/release": "operate admin",
	"POST /jobs/bulk":                    "operate admin",
	"GET /audit":                         "admin",
	"GET /policy":                        "read operate admin",
	"GET /badges":                        "read operate admin",
	"GET /accounts":                      "read operate admin",
	"GET /accounts/{account}":            "read operate admin",
	"POST /accounts/{account}/adjust":    "admin",
	"GET /people":                        "read operate admin",
	"GET /people/{person}":               "read operate admin",
	"POST /people/{person}/code":         "operate admin",
	"POST /people/{person}/revoke":       "operate admin",
	"POST /people/{person}/adjust":       "admin",
	"POST /people/{person}/end-sessions": "admin",
	"GET /station/{device}":              "west operate admin",
	"POST /station/{device}/login":       "", // asks for a token itself: TestStationCookie
	"POST /station/{device}/jobs":        "west operate admin",
	"GET /station/{device}/jobs":         "west operate admin",
	"POST /station/{device}/release":     "west operate admin",
	"POST /station/{device}/cancel":      "west operate admin",
	"POST /station/{device}/options":     "west operate admin",
	"GET /station/{device}/progress":     "west operate admin",
	"POST /station/{device}/leave":       "west operate admin",
	"GET /station/{device}/enrol":        "west operate admin",
	"POST /station/{device}/enrol":       "west operate admin",
	"GET /station/{device}/code":         "west operate admin",
	"POST /station/{device}/code":        "west operate admin",
	"GET /station/{device}/claim":        "west operate admin",
	"GET /station/{device}/pin":          "west operate admin",
	"POST /station/{device}/pin":         "west operate admin",
	"GET /station/{device}/name":         "west operate admin",
	"POST /station/{device}/name":        "west operate admin",
	"GET /station/{device}/{page}":       "", // leads to the station's first page
}

// pathValues replaces the wildcards of paths.
var pathValues = strings.NewReplacer(
	"{$}", "", "{printer}", "p", "{job}", "j", "{device}", "west", "{person}", annaID, "{account}", "center.lab")

// queries are those without which a page leads to another for everybody.
var queries = map[string]string{
	"GET /station/{device}/jobs":  "?visit=guessed",
	"GET /station/{device}/claim": "?visit=guessed",
	"GET /station/{device}/pin":   "?visit=guessed",
}

// Each page and form is for whom the matrix says, and for nobody else.
func TestPageAuthorization(t *testing.T) {
	jobs := &noJobs{}
	p := newPages(t, withJobs(jobs))
	cookies := map[string][]*http.Cookie{"nobody": nil}
	for who, path := range map[string]string{
		"west": "/station/west/login", "east": "/station/east/login",
		"read": "/login", "operate": "/login", "admin": "/login",
	} {
		cookies[who] = send(p, path, "same-origin", url.Values{"token": {testTokens[who]}}).Result().Cookies()
		if len(cookies[who]) != 1 {
			t.Fatalf("%s is not signed in", who)
		}
	}
	if routes := p.routes(); len(routes) != len(pageMatrix) {
		t.Errorf("%d routes, and %d in the matrix", len(routes), len(pageMatrix))
	}
	for pattern := range p.routes() {
		allowed, ok := pageMatrix[pattern]
		if !ok {
			t.Errorf("%s has no entry in the matrix", pattern)
		}
		if allowed == "" {
			continue
		}
		method, path, _ := strings.Cut(pattern, " ")
		path = pathValues.Replace(path) + queries[pattern]
		for who, mine := range cookies {
			jobs.looked = 0
			req := httptest.NewRequest(method, "http://print.example.com"+path, nil)
			req.Header.Set("Sec-Fetch-Site", "same-origin")
			for _, c := range mine {
				req.AddCookie(c)
			}
			rec := httptest.NewRecorder()
			p.ServeHTTP(rec, req)
			refused := rec.Code == http.StatusUnauthorized || rec.Code == http.StatusForbidden
			if want := !strings.Contains(" "+allowed+" ", " "+who+" "); refused != want || refused && jobs.looked > 0 {
				t.Errorf("%s by %s: %d, jobs were looked for %d times", pattern, who, rec.Code, jobs.looked)
			}
		}
	}
}

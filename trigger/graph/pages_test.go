package graph

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

var nextLinks = []string{
	"https://graph.microsoft.com/v1.0/print/taskDefinitions/d/tasks?$skiptoken=abc",
	"https://GRAPH.microsoft.com:443/v1.0/print/taskDefinitions('d')/tasks?$skiptoken=abc%2F",
	"HTTPS://graph.microsoft.com/v1.0/x",
}

var foreignLinks = []string{
	"", "x", "/v1.0/x", "//graph.microsoft.com/v1.0/x", "http://graph.microsoft.com/v1.0/x",
	"https://graph.microsoft.com.evil.example/v1.0/x",
	"https://evil.example/v1.0/x", "https://graph.microsoft.com@evil.example/v1.0/x", "https://u@graph.microsoft.com/v1.0/x",
	"https://graph.microsoft.com:444/v1.0/x", "https://graph.microsoft.com/beta/x", "https://graph.microsoft.com/v1.0",
	"https://graph.microsoft.com/v1.0x/y",
	"https://graph.microsoft.com/v1.0/../beta/x", "https://graph.microsoft.com/v1.0/%2e%2e/beta/x",
	"https://graph.microsoft.com/v1.0/..%2fbeta/x",
	"https://graph.microsoft.com/v1.0/x#y", "https://graph.microsoft.com/v1%2E0/x", "https://graph.microsoft.com/v1.0/a\\..\\b",
	"https:graph.microsoft.com/v1.0/x",
	"https://graph.microsoft.com/v1.0/" + strings.Repeat("x", maxNextLink),
}

func TestNextLink(t *testing.T) {
	o := &fakeServers{graph: okJob}
	c, _ := o.client(t)
	for _, s := range nextLinks {
		if u, ok := c.nextLink(s); !ok || u.Host != "graph.microsoft.com" {
			t.Errorf("%q: %v, %v", s, u, ok)
		}
	}
	for _, s := range foreignLinks {
		if u, ok := c.nextLink(s); ok {
			t.Errorf("%.80q leads to %v", s, u)
		}
	}
}

func TestForeignNextLinkIsNotFollowed(t *testing.T) {
	var visits atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		visits.Add(1)
		fmt.Fprint(w, `{"value":[]}`)
	}))
	defer evil.Close()
	c, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"value":[{"id":"t1"}],"@odata.nextLink":"%s/v1.0/print/taskDefinitions/d/tasks?$skiptoken=1"}`, evil.URL)
	})
	var got []string
	var last error
	for task, err := range c.Tasks(t.Context(), "d") {
		if last = err; err == nil {
			got = append(got, task.ID)
		}
	}
	if !errors.Is(last, errNextLink) || len(got) != 1 || problem(t, last).Unavailable() {
		t.Errorf("tasks %v, then %v", got, last)
	}
	if visits.Load() != 0 {
		t.Error("the token went to another host")
	}
}

func TestTasksAreStreamed(t *testing.T) {
	var pages []string
	c, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		if len(pages) == 1 { // the second page needs a second try
			pages = append(pages, "503")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		p := r.URL.Query().Get("$skiptoken")
		pages = append(pages, p)
		switch p {
		case "":
			fmt.Fprintf(w,
				`{"value":[{"id":"t1","parentUrl":"https://graph.microsoft.com/v1.0/print/printers/p/jobs/1","status":{"state":"processing","description":"x"}}],
				"@odata.nextLink":"http://%s/v1.0/print/taskDefinitions/d/tasks?$skiptoken=a%%2Fb"}`, r.Host)
		case "a/b":
			fmt.Fprintf(w, `{"value":[],"@odata.nextLink":"http://%s/v1.0/print/taskDefinitions/d/tasks?$skiptoken=c"}`, r.Host)
		case "c":
			fmt.Fprint(w,
				`{"value":[{"id":"t2","parentUrl":"https://elsewhere.example/x","status":{"state":"quarantined"}},{"id":"t3","parentUrl":null,"status":null}]}`)
		}
	})
	var got []Task
	for task, err := range c.Tasks(t.Context(), "d") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, task)
	}
	want := []Task{{"t1", TaskProcessing, "x", Ref{"p", "1"}}, {ID: "t2", State: "quarantined"}, {ID: "t3"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if s := strings.Join(pages, " "); s != " 503 a/b c" {
		t.Errorf("pages asked for: %q", s)
	}
	pages = nil
	for _, err := range c.Tasks(t.Context(), "d") {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if len(pages) != 1 {
		t.Errorf("%d pages read after the caller stopped", len(pages))
	}
}

func TestPagesEnd(t *testing.T) {
	var loop bool
	n := 0
	o := &fakeServers{graph: func(int, *http.Request) (*http.Response, error) {
		n++
		link := n
		if loop {
			link = n % 3
		}
		return answer(200,
			fmt.Sprintf(
				`{"value":[{"id":"g"}],"@odata.nextLink":"https://graph.microsoft.com/v1.0/users/u/transitiveMemberOf/microsoft.graph.group?$skiptoken=%d"}`, link)), nil
	}}
	c, _ := o.client(t)
	groups, err := c.Groups(t.Context(), "u")
	if !errors.Is(err, errManyPages) || n != maxPages || len(groups) != maxPages {
		t.Errorf("%d groups of %d pages, then %v", len(groups), n, err)
	}
	loop, n = true, 0
	if _, err = c.Groups(t.Context(), "u"); !errors.Is(err, errPagesLoop) || n != 4 {
		t.Errorf("%d pages, then %v", n, err)
	}
}

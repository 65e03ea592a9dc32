package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// A badge on standard input is one line of UTF-8: what else is piped in is refused, and
// nothing is sent.
func TestBadgeInput(t *testing.T) {
	asked := 0
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked++
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"badges":[]}`)
	}))
	defer api.Close()
	at := []string{"--url", api.URL, "--token-file", file(t, "token", "0123456789abcdef0123456789abcdef")}
	for _, verb := range [][]string{{"badge", "enrol", "--owner", otherApp}, {"badge", "revoke", "--number"}} {
		for in, want := range map[string]string{
			"B1111\nB2222\n":                            "more than one line",
			"B1111\r\n\r\nB2222":                        "more than one line",
			"B1111\n" + strings.Repeat(" ", 90) + "\n2": "more than one line",
			"\nB2222\n":                                 "first line",
			"B\xe9111\n":                                "UTF-8",
			"\n\n":                                      "no badge",
			"":                                          "no badge",
		} {
			asked = 0
			if out, err := runWith(t, in, append(slices.Clone(verb), at...)...); err == nil ||
				!strings.Contains(err.Error(), want) || asked != 0 {
				t.Errorf("%v of %q: %v, asked %d times\n%s", verb, in, err, asked, out)
			}
		}
		for _, in := range []string{"B1111", "B1111\n", "B1111\r\n\n  \n"} {
			asked = 0
			if out, err := runWith(t, in, append(slices.Clone(verb), at...)...); err != nil || asked != 1 {
				t.Errorf("%v of %q: %v, asked %d times\n%s", verb, in, err, asked, out)
			}
		}
	}
}

// runWith runs a verb with what is piped into it.
func runWith(t *testing.T, in string, args ...string) (out string, err error) {
	t.Helper()
	var b bytes.Buffer
	err = run(t.Context(), args, stdio{strings.NewReader(in), &b, &b})
	return b.String(), err
}

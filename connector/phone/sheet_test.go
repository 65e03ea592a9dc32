package phone

import (
	"bytes"
	"html"
	"strconv"
	"strings"
	"testing"

	"rsc.io/qr"

	"pullprint/connector/catalog"
)

// A sheet shows its device in words and as a code whose dots are those of the link, in each language; what
// is configured is no markup.
func TestSheets(t *testing.T) {
	texts, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	d := newDevices(t)
	link, err := d.URL(t.Context(), "west")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range catalog.Languages() {
		var page bytes.Buffer
		err := WriteSheets(&page, texts.Choose(code), "2026-01-05", []Sheet{
			{Device: "west", Location: `HQ <img src=x>`, URL: link}, {Device: "east", URL: link, Code: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		sheets := page.String()
		for _, want := range []string{
			`<html lang="` + code + `">`, "HQ &lt;img src=x&gt;", `<p class="id">west</p>`, "<h1>east</h1>", "https://print.example.com/",
			"2026-01-05", texts.Choose(code).Text("Choose what to print."),
		} {
			if !strings.Contains(sheets, want) {
				t.Errorf("%s: no %q", code, want)
			}
		}
		typed := texts.Choose(code).Text("Type the code that the screen at the printer shows.")
		if n := strings.Count(html.UnescapeString(sheets), typed); n != 1 || strings.Count(sheets, "<section>") != 2 {
			t.Errorf("%s: %d sheets ask for a code", code, n)
		}
	}
}

// The drawing has a dot where the code has one, inside its white margin.
func TestDrawn(t *testing.T) {
	const link = "https://print.example.com/at/hq-2-west?k=abcdefghijklmnopqrstuv"
	svg, err := qrSVG(link)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(link, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	black := map[[2]int]bool{}
	for run := range strings.SplitSeq(string(svg), "M") {
		at, rest, ok := strings.Cut(run, "h")
		x, y, two := strings.Cut(at, " ")
		n, _, _ := strings.Cut(rest, "v1")
		left, err1 := strconv.Atoi(x)
		top, err2 := strconv.Atoi(y)
		long, err3 := strconv.Atoi(n)
		if !ok || !two || err1 != nil || err2 != nil || err3 != nil {
			continue // the beginning, and the white ground
		}
		for i := range long {
			black[[2]int{left + i - quiet, top - quiet}] = true
		}
	}
	for y := range code.Size {
		for x := range code.Size {
			if black[[2]int{x, y}] != code.Black(x, y) {
				t.Fatalf("dot %d, %d", x, y)
			}
		}
	}
	if _, err := qrSVG(strings.Repeat("x", 1<<12)); err == nil {
		t.Error("a link of 4 KiB is drawn")
	}
}

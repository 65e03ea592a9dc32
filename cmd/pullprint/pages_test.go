package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// askPages runs pullprint pages --json.
func askPages(t *testing.T, in string, args ...string) (list []map[string]any, code int) {
	t.Helper()
	var out, complaint bytes.Buffer
	code = execute(t.Context(), append([]string{"pages", "--json"}, args...),
		stdio{strings.NewReader(in), &out, &complaint})
	if err := json.Unmarshal(out.Bytes(), &list); err != nil {
		t.Fatalf("%v: %v: %s %s", args, err, &out, &complaint)
	}
	return list, code
}

// The verb counts what the counter of the daemon counts, by content, whatever a
// file is called.
func TestPagesOfFiles(t *testing.T) {
	f, err := os.Open("../../trigger/pages/testdata/cases.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var paths, right []string
	other := filepath.Join(t.TempDir(), "named.txt")
	for s := bufio.NewScanner(f); s.Scan(); {
		col := strings.Split(s.Text(), "\t")
		if len(col) == 4 && col[0] != "kind" {
			paths, right = append(paths, "../../trigger/pages/testdata/cases/"+col[1]), append(right, col[2])
		}
		if len(col) == 4 && col[1] == "control-3.xps" {
			src, err := os.ReadFile(paths[len(paths)-1])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(other, src, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, code := askPages(t, "", append(paths, other)...)
	right = append(right, "3")
	if code != exitDone || len(list) != len(right) {
		t.Fatalf("exit code %d, %d files of %d", code, len(list), len(right))
	}
	for i, one := range list {
		want, unknown := strings.CutSuffix(right[i], "?")
		n, known := one["pages"].(float64)
		why, _ := one["why"].(string)
		switch {
		case known && why == "" && strconv.Itoa(int(n)) == want:
		case !known && why != "" && (unknown || want == "0"):
		default:
			t.Errorf("%s: %v, %q; want %s", one["file"], one["pages"], why, right[i])
		}
	}
}

// What settings cost is never less than what can print.
func TestPagesWithSettings(t *testing.T) {
	f, err := os.Open("testdata/cost.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	prices := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(prices, []byte("prices: {page: 0.5, color: 2}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(f); s.Scan(); {
		var c struct {
			Name          string
			Pages         int
			Configuration json.RawMessage
			Right         struct {
				Color, Free   *bool
				Sides, Sheets *float64
			}
		}
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		list, code := askPages(t, string(c.Configuration), "--pages", strconv.Itoa(c.Pages), "--settings", "-", "--policy",
			prices)
		if code != exitDone || len(list) != 1 {
			t.Fatalf("%s: exit code %d", c.Name, code)
		}
		got := list[0]
		sides, _ := got["sides"].(float64)
		cost, _ := got["cost"].(float64)
		per := 0.5
		if color, _ := got["color"].(bool); color {
			per = 2
		}
		if got["color"] != *c.Right.Color || sides == 0 || cost != sides*per {
			t.Errorf("%s: %v", c.Name, got)
		}
		if c.Right.Free != nil && !*c.Right.Free && sides < float64(c.Pages) {
			t.Errorf("%s: %v sides of %d pages", c.Name, sides, c.Pages)
		}
		if (c.Right.Sides != nil && sides != *c.Right.Sides) || (c.Right.Sheets != nil && got["sheets"] != *c.Right.Sheets) {
			t.Errorf("%s: %v", c.Name, got)
		}
	}
}

// A key of the settings that is no property is named: what it was meant to say would be left
// out of the price.
func TestMisspeltSettings(t *testing.T) {
	for settings, want := range map[string]string{
		`{"colourMode": "blackAndWhite"}`:             `"colourMode" is no property of it; did you mean "colorMode"?`,
		`{"pageRanges": [{"from": 1, "to": 2}]}`:      `pageRanges: "from" is no property of it; there are start, end`,
		`{"configuration": {"copies": 2}}`:            `"configuration" is no property of it; leave it and its braces out`,
		`{"Copies": 2, "@odata.type": "x", "dpi": 6}`: "",
		`{"margin": {"top": 1}, "scaling": "fit"}`:    "",
		`null`: "",
		`{"pageRanges": null, "feedOrientation": null}`: "",
	} {
		var out, complaint bytes.Buffer
		code := execute(t.Context(), []string{"pages", "--pages", "3", "--settings", "-"},
			stdio{strings.NewReader(settings), &out, &complaint})
		if (code == exitUsage) != (want != "") || !strings.Contains(complaint.String(), want) {
			t.Errorf("%s: exit code %d: %s", settings, code, &complaint)
		}
	}
}

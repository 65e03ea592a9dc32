package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"image/color"
	"image/png"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pullprint/connector/catalog"
	"pullprint/connector/notice"
	"pullprint/connector/notify/teams"
)

var own = settings{
	client: "815F204F-c791-4ee6-9098-614ecdb003f6", url: "https://print.contoso.com/", version: "1.2.0", developer: `Contoso "IT"`,
	terms: "https://contoso.com/terms",
}

// unpacked are the files of a package.
func unpacked(t *testing.T, s settings) map[string][]byte {
	t.Helper()
	s, err := s.checked()
	if err != nil {
		t.Fatal(err)
	}
	content, err := s.zip()
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.zip()
	if err != nil || !bytes.Equal(content, again) {
		t.Errorf("two packages of the same differ, %v", err)
	}
	r, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// written is what of a manifest is looked at.
type written struct {
	ID         string
	Developer  struct{ Name, WebsiteURL, PrivacyURL, TermsOfUseURL string }
	StaticTabs []struct{ EntityID, ContentURL, WebsiteURL string }
	Activities struct {
		ActivityTypes []struct{ Type, Description, TemplateText string }
	}
	LocalizationInfo struct {
		DefaultLanguageTag  string
		AdditionalLanguages []struct{ LanguageTag, File string }
	}
	WebApplicationInfo struct{ ID, Resource string }
	ValidDomains       []string
}

// The manifest is that of this installation, and declares a type for each kind of notice.
func TestManifest(t *testing.T) {
	files := unpacked(t, own)
	var m written
	if err := json.Unmarshal(files["manifest.json"], &m); err != nil {
		t.Fatal(err)
	}
	if rest := strings.ReplaceAll(string(files["manifest.json"]), "{actor}: {subject}", ""); strings.Count(rest, "{locale}") != 1 ||
		strings.Contains(strings.ReplaceAll(rest, "{locale}", ""), `"{`) {
		t.Errorf("a placeholder is left: %s", rest)
	}
	const home = "https://print.contoso.com/me"
	if m.Developer.Name != own.developer || m.Developer.PrivacyURL != home || m.Developer.TermsOfUseURL != own.terms ||
		m.WebApplicationInfo.ID != strings.ToLower(own.client) || m.ID == m.WebApplicationInfo.ID ||
		!slices.Equal(m.ValidDomains, []string{"print.contoso.com"}) {
		t.Errorf("%+v", m)
	}
	if len(m.StaticTabs) != 1 || m.StaticTabs[0].EntityID != teams.Tab || m.StaticTabs[0].WebsiteURL != home ||
		m.StaticTabs[0].ContentURL != "https://print.contoso.com"+teams.Page+"?locale={locale}" {
		t.Errorf("%+v", m.StaticTabs)
	}
	for i, kind := range notice.Kinds {
		if i >= len(m.Activities.ActivityTypes) || m.Activities.ActivityTypes[i].Type != teams.ActivityType(kind) ||
			m.Activities.ActivityTypes[i].Description == "" || m.Activities.ActivityTypes[i].TemplateText != teams.Title {
			t.Errorf("%s: %+v", kind, m.Activities.ActivityTypes)
		}
	}
}

// Each language has all texts, within the limits of Microsoft's schema, and in that language.
func TestLanguages(t *testing.T) {
	files := unpacked(t, own)
	var m written
	if err := json.Unmarshal(files["manifest.json"], &m); err != nil {
		t.Fatal(err)
	}
	words, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{m.LocalizationInfo.DefaultLanguageTag}
	inEnglish := texts(words.Choose(codes[0]))
	for _, l := range m.LocalizationInfo.AdditionalLanguages {
		codes = append(codes, l.LanguageTag)
		var list map[string]string
		if err := json.Unmarshal(files[l.File], &list); err != nil {
			t.Fatalf("%s: %v", l.File, err)
		}
		for at, text := range inEnglish {
			limit := map[string]int{"name.short": 30, "name.full": 100, "description.short": 80, "description.full": 4000}[at]
			if limit == 0 {
				limit = 128
			}
			if own := list[at]; own == "" || own == text && own != teams.Title || len([]rune(own)) > limit || len([]rune(text)) > limit {
				t.Errorf("%s: %s is %q", l.LanguageTag, at, own)
			}
		}
	}
	slices.Sort(codes)
	if !slices.Equal(codes, catalog.Languages()) {
		t.Errorf("languages %v", codes)
	}
}

// The icons have the sizes that Teams takes; the outline is white on nothing.
func TestIcons(t *testing.T) {
	files := unpacked(t, own)
	for name, size := range map[string]int{"color.png": 192, "outline.png": 32} {
		icon, err := png.Decode(bytes.NewReader(files[name]))
		if err != nil || icon.Bounds().Dx() != size || icon.Bounds().Dy() != size {
			t.Fatalf("%s: %v", name, err)
		}
		seen := map[color.NRGBA]int{}
		for y := range size {
			for x := range size {
				c, _ := color.NRGBAModel.Convert(icon.At(x, y)).(color.NRGBA)
				seen[c]++
			}
		}
		white, nothing := color.NRGBA{0xFF, 0xFF, 0xFF, 0xFF}, color.NRGBA{}
		if len(seen) != 2 || seen[white] == 0 || (seen[nothing] > 0) != (name == "outline.png") {
			t.Errorf("%s has the colours %v", name, seen)
		}
	}
}

// A package that Teams would refuse, or that is not of this installation, is not made.
func TestSettings(t *testing.T) {
	for name, change := range map[string]func(*settings){
		"no client":      func(s *settings) { s.client = "" },
		"no GUID":        func(s *settings) { s.app = "jobs" },
		"not https":      func(s *settings) { s.url = "http://print.contoso.com" },
		"no host":        func(s *settings) { s.url = "https:///me" },
		"with a user":    func(s *settings) { s.url = "https://a@print.contoso.com" },
		"quoted":         func(s *settings) { s.url = `https://print.contoso.com","x":"` },
		"version":        func(s *settings) { s.version = "1.0" },
		"developer":      func(s *settings) { s.developer = strings.Repeat("a", 33) },
		"privacy":        func(s *settings) { s.privacy = "privacy.html" },
		"no such folder": func(s *settings) { s.destination = filepath.Join(t.TempDir(), "no", "x.zip") },
	} {
		s := own
		s.destination = filepath.Join(t.TempDir(), "x.zip")
		if change(&s); run(s, nil) == nil {
			t.Errorf("%s: made", name)
		}
	}
	s := own
	s.url = ""
	if err := run(s, nil); err == nil || !strings.HasPrefix(err.Error(), "-url ") {
		t.Errorf("without -url: %v", err)
	}
	s = own
	s.destination, s.privacy = filepath.Join(t.TempDir(), "x.zip"), `https://contoso.com/"a"?b=\`
	if err := run(s, nil); err != nil {
		t.Error(err)
	}
	if run(s, []string{"more"}) == nil {
		t.Error("what is no flag is not noticed")
	}
}

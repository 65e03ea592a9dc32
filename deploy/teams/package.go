package main

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net/url"
	"strings"

	"pullprint/connector/catalog"
	"pullprint/connector/notice"
	"pullprint/connector/notify/teams"
)

//go:embed manifest.json
var template string

// english is the language of the manifest itself.
const english = "en"

// manifest is what of it is made here or read; the rest stays as the template has it.
type manifest map[string]any

// texts are the texts of the app in a language, by the names that Microsoft gives to their places in the
// manifest (https://learn.microsoft.com/microsoftteams/platform/resources/schema/localization-schema).
func texts(in catalog.Language) map[string]string {
	const tells = "Tells you what became of your print jobs."
	list := map[string]string{
		"name.short":         in.Text("Print jobs"),
		"name.full":          in.Text(teams.Topic),
		"description.short":  in.Text(tells),
		"description.full":   in.Text(tells) + " " + in.Text("Your print jobs open in your browser, where you sign in with your account."),
		"staticTabs[0].name": in.Text(teams.Topic),
	}
	for i, kind := range notice.Kinds {
		at := fmt.Sprintf("activities.activityTypes[%d].", i)
		list[at+"description"], list[at+"templateText"] = in.Text(notice.Description(kind)), teams.Title
	}
	return list
}

// manifest is the template with what is the installation's own, the kinds of notices and the languages.
func (s settings) manifest(words *catalog.Catalog) (manifest, error) {
	u, err := url.Parse(s.url)
	if err != nil {
		return nil, err
	}
	var fill []string
	for name, value := range map[string]string{
		"version": s.version, "app": s.app, "client": s.client, "url": s.url, "host": u.Host, "developer": s.developer,
		"privacy": s.privacy, "terms": s.terms,
	} {
		quoted, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fill = append(fill, "{"+name+"}", string(quoted[1:len(quoted)-1]))
	}
	var m manifest
	if err := json.Unmarshal([]byte(strings.NewReplacer(fill...).Replace(template)), &m); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	var types, languages []any
	own := texts(words.Choose(english))
	for i, kind := range notice.Kinds {
		at := fmt.Sprintf("activities.activityTypes[%d].", i)
		types = append(types, map[string]any{
			"type": teams.ActivityType(kind), "description": own[at+"description"], "templateText": own[at+"templateText"],
		})
	}
	for _, code := range catalog.Languages() {
		if code != english {
			languages = append(languages, map[string]any{"languageTag": code, "file": code + ".json"})
		}
	}
	m["activities"] = map[string]any{"activityTypes": types}
	m["localizationInfo"] = map[string]any{"defaultLanguageTag": english, "additionalLanguages": languages}
	return m, nil
}

// zip is the package. It depends on the settings only.
func (s settings) zip() ([]byte, error) {
	words, err := catalog.Load()
	if err != nil {
		return nil, err
	}
	m, err := s.manifest(words)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	if err := addJSON(w, "manifest.json", m); err != nil {
		return nil, err
	}
	for _, code := range catalog.Languages() {
		if code == english {
			continue
		}
		list := map[string]string{
			"$schema": "https://developer.microsoft.com/json-schemas/teams/v1.19/MicrosoftTeams.Localization.schema.json",
		}
		for at, text := range texts(words.Choose(code)) {
			list[at] = text
		}
		if err := addJSON(w, code+".json", list); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(addPNG(w, "color.png", colorIcon()), addPNG(w, "outline.png", outlineIcon())); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func addJSON(w *zip.Writer, name string, v any) error {
	to, err := w.Create(name)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(to)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func addPNG(w *zip.Writer, name string, icon image.Image) error {
	to, err := w.Create(name)
	if err != nil {
		return err
	}
	return png.Encode(to, icon)
}

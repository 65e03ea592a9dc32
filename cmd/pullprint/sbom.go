package main

import (
	"encoding/json"
	"io"
	"net/url"
	"runtime/debug"
	"strings"

	"pullprint/connector/daemon"
)

// The parts of CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/) that a build knows
// the content of.
type (
	bom struct {
		Schema       string          `json:"$schema"`
		Format       string          `json:"bomFormat"`
		Spec         string          `json:"specVersion"`
		Version      int             `json:"version"`
		Metadata     bomMetadata     `json:"metadata"`
		Components   []bomComponent  `json:"components"`
		Dependencies []bomDependency `json:"dependencies"`
	}
	bomMetadata struct {
		Timestamp string       `json:"timestamp,omitempty"`
		Component bomComponent `json:"component"`
	}
	bomComponent struct {
		Ref        string        `json:"bom-ref"`
		Type       string        `json:"type"`
		Name       string        `json:"name"`
		Version    string        `json:"version"`
		Licenses   []bomLicense  `json:"licenses,omitempty"`
		PURL       string        `json:"purl"`
		Properties []bomProperty `json:"properties,omitempty"`
	}
	bomLicense struct {
		License struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	bomProperty struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	bomDependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn"`
	}
)

// writeBOM writes what this program is made of, as the linker recorded it: each module
// that is in it, with the sum that go.sum has, and the standard library. Which of them
// needs which is not recorded, so all are what the program depends on.
func writeBOM(w io.Writer, b daemon.Build, info *debug.BuildInfo) error {
	app := bomOf("application", info.Main.Path, b.Version)
	app.Licenses = make([]bomLicense, 1)
	app.Licenses[0].License.ID = "Apache-2.0"
	app.Properties = []bomProperty{{"pullprint:revision", b.Revision}}
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS", "CGO_ENABLED", "-trimpath":
			app.Properties = append(app.Properties, bomProperty{"golang:" + strings.TrimPrefix(s.Key, "-"), s.Value})
		}
	}
	out := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata: bomMetadata{Component: app},
	}
	if b.Time != unknown {
		out.Metadata.Timestamp = b.Time
	}
	std := bomOf("library", "std", strings.TrimPrefix(b.Go, "go"))
	out.Components = []bomComponent{std}
	needs := []string{std.Ref}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		c := bomOf("library", d.Path, d.Version)
		if d.Sum != "" {
			c.Properties = []bomProperty{{"golang:sum", d.Sum}}
		}
		out.Components = append(out.Components, c)
		needs = append(needs, c.Ref)
	}
	out.Dependencies = []bomDependency{{Ref: app.Ref, DependsOn: needs}}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// unknown is what daemon.Build says of what it does not know.
const unknown = "unknown"

func bomOf(kind, name, version string) bomComponent {
	purl := "pkg:golang/" + name + "@" + url.QueryEscape(version)
	return bomComponent{Ref: purl, Type: kind, Name: name, Version: version, PURL: purl}
}

package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Effective is the configuration as it is in force, in YAML: with its defaults, and
// with what the environment gave. It has no secrets, but names: of files, queues,
// devices and hosts.
func (c *Config) Effective() ([]byte, error) {
	text, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return text, nil
}

// Setting is one value of the configuration in force, for people.
type Setting struct {
	// Key is where it stands, as devices[hq-2-west].queues.
	Key string
	// Value is empty where the configuration leaves it to the program.
	Value string
}

// sections are those whose settings decide what becomes of jobs, who is let in and told, and for how long
// what is kept. The others say where files and servers are.
var sections = []string{
	"queues", "devices", "release", "policy", "documents", "badges", "station", "retention", "notices", "selftest", "sign_in",
}

// notSettings are keys in these sections that name a file or a host; the path or the address may be a secret
// itself, as that of a webhook. What an entry of a list is called stands in its key.
var notSettings = regexp.MustCompile(`^(?:id|name)$|(?:^|_)(?:file|dir|key|secret|password|token|url|smtp|templates)$`)

// zeros are the parts of a duration that say nothing, as those of 24h0m0s.
var zeros = regexp.MustCompile(`([hm])0[ms](?:0s)?$`)

// Settings are the settings that decide, without names of files and addresses, in the order of the
// configuration. A list of values is one setting.
func (c *Config) Settings() ([]Setting, error) {
	text, err := c.Effective()
	if err != nil {
		return nil, err
	}
	var doc yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(text, &doc, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("read configuration in force: %w", err)
	}
	var list []Setting
	for _, section := range doc {
		if name := fmt.Sprint(section.Key); slices.Contains(sections, name) {
			list = appendSettings(list, name, section.Value)
		}
	}
	return list, nil
}

// appendSettings adds what stands at a key.
func appendSettings(list []Setting, key string, value any) []Setting {
	switch value := value.(type) {
	case yaml.MapSlice:
		for _, item := range value {
			if name := fmt.Sprint(item.Key); !notSettings.MatchString(name) {
				list = appendSettings(list, key+"."+name, item.Value)
			}
		}
		return list
	case []any:
		if len(value) == 0 {
			return append(list, Setting{Key: key})
		}
		if _, ok := value[0].(yaml.MapSlice); !ok {
			return append(list, Setting{key, joined(value)})
		}
		for i, item := range value {
			list = appendSettings(list, fmt.Sprintf("%s[%s]", key, nameIn(item, i)), item)
		}
		return list
	}
	text := fmt.Sprint(value)
	if _, err := time.ParseDuration(text); err == nil {
		text = zeros.ReplaceAllString(text, "$1")
	}
	if text == "0" || text == "0s" { // what is left to the program
		text = ""
	}
	return append(list, Setting{key, text})
}

func joined(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprint(v)
	}
	return strings.Join(texts, ", ")
}

// nameIn is what an entry of a list is called: by its id or name, else by its place.
func nameIn(entry any, at int) string {
	fields, _ := entry.(yaml.MapSlice)
	for _, f := range fields {
		if f.Key == "id" || f.Key == "name" {
			return fmt.Sprint(f.Value)
		}
	}
	return fmt.Sprint(at)
}

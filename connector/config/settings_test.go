package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// plant puts a text into every string of a configuration, and one entry into every list.
func plant(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		plant(v.Elem(), text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		plant(v.Index(0), text)
	case reflect.Struct:
		for i := range v.NumField() {
			plant(v.Field(i), text)
		}
	}
}

// No setting that is shown names a file, whatever the configuration says: every path that Load resolves
// is left out.
func TestSettingsNameNoFile(t *testing.T) {
	var c Config
	plant(reflect.ValueOf(&c).Elem(), "planted")
	c.resolve("/etc/of-a-secret")
	c.Notices.Webhooks[0].URL = "https://hooks.example.com/of-a-secret"
	list, err := c.Settings()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if strings.Contains(s.Key+s.Value, "of-a-secret") || !strings.Contains(s.Key, ".") {
			t.Errorf("%+v", s)
		}
	}
}

// Settings are found by their keys, with the names of queues and devices in them; what is left to the
// program is empty.
func TestSettings(t *testing.T) {
	c, err := Load("../../config.example.yaml")
	if c == nil {
		t.Fatal(err)
	}
	c.Retention.Audit = 400 * 24 * time.Hour
	list, err := c.Settings()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, s := range list {
		if _, twice := found[s.Key]; twice {
			t.Errorf("%s is there twice", s.Key)
		}
		found[s.Key] = s.Value
	}
	for key, want := range map[string]string{
		"release.remote": "false", "queues[Poster].mode": "direct", "queues[Follow-Me].hold_for": "24h",
		"devices[hq-2-west].queues": "Follow-Me", "devices[hq-2-west].unknown_state": "release", "devices[hq-2-west].phone": "",
		"station.choices": "grayscale, duplex, copies", "badges.self_enrol": "false", "retention.audit": "9600h",
		"retention.jobs": "", "sign_in.roles.admin": "", "notices.webhooks": "", "policy.group_ttl": "15m",
	} {
		if got, ok := found[key]; !ok || got != want {
			t.Errorf("%s is %q, %v; want %q", key, got, ok, want)
		}
	}
}

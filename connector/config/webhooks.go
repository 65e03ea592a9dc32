package config

import (
	"fmt"
	"strings"

	"pullprint/connector/notice"
	"pullprint/connector/notify/webhook"
)

// maxWebhooks is how many there may be: each reads all notices by itself.
const maxWebhooks = 16

// webhooks checks the systems that are told of notices. No message has a URL: there may be a secret in
// its path.
func (k *checker) webhooks(list []Webhook) {
	k.refuse(len(list) > maxWebhooks, "notices.webhooks", "let one of them pass the notices on, or use the stream of NATS",
		"notices.webhooks has %d entries, more than %d", len(list), maxWebhooks)
	seen := map[string]string{}
	for i, w := range list {
		at := fmt.Sprintf("notices.webhooks[%d]", i)
		if k.need(at+".url", w.URL, "write the https URL that notices are posted to") {
			k.webhookURL(at+".url", w)
			k.unique(at+".url", w.URL, seen, "the entry of line %d has it", "the same URL twice in notices.webhooks")
		}
		if k.need(at+".secret_file", w.SecretFile, webhookSecret) {
			if text, ok := k.secretText(at+".secret_file", w.SecretFile, webhookSecret); ok {
				_, err := webhook.ReadSecrets(text)
				k.refuse(err != nil, at+".secret_file", webhookSecret, "%s can't be used: %v", at+".secret_file", err)
			}
		}
		for j, kind := range w.Events {
			k.oneOf(fmt.Sprintf("%s.events[%d]", at, j), kind, notice.Kinds...)
		}
	}
}

// webhookSecret is how to make one.
const webhookSecret = "write a secret into the file and give it to the receiver: `echo whsec_$(openssl rand -base64 32)`"

func (k *checker) webhookURL(at string, w Webhook) {
	u, ok := parseURL(w.URL, "https", "http")
	switch {
	case !ok:
		k.add(at, "for example https://hooks.example.com/printing", "%s is not an https URL", at)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		k.add(at, "use https; http is for this machine", "%s is http, and not on this machine", at)
	case u.User != nil || strings.Contains(w.URL, "#"):
		k.add(at, "leave user, password and fragment out: what is posted is signed", "%s has a user or a fragment", at)
	default:
		err := webhook.CheckURL(u, w.Private)
		k.refuse(err != nil, at, "no connection is made to it as it is configured", "%s %v", at, err)
	}
}

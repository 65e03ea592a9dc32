package admin

import (
	"pullprint/connector/access"
	"pullprint/connector/printer"
	"pullprint/trigger/webhook"
)

// Config is the admin section of the configuration: the HTTP API, the console
// and the release stations.
type Config struct {
	// Listen is the address; empty means that there is no API.
	Listen string `yaml:"listen"`
	// TokenFile holds the administrator's bearer token.
	TokenFile string `yaml:"token_file"`
	// Tokens are further ones, with a role each.
	Tokens []Token `yaml:"tokens"`
	// DocsURL is where the pages of deploy/docs are read, for links of the console; empty shows none.
	DocsURL string `yaml:"docs_url"`
	// TLS is the certificate; without one the API speaks plain http.
	TLS webhook.TLS `yaml:"tls"`
}

// Token is a bearer token of the API.
type Token struct {
	// Name is what the audit calls whoever uses it.
	Name string `yaml:"name"`
	// Role is read, operate or admin: see access.Role.
	Role access.Role `yaml:"role"`
	// File holds the token.
	File string `yaml:"file"`
}

// TokenSources are the files of the API's tokens and of the devices' readers.
func (c Config) TokenSources(devices []printer.Device) (list []access.Source) {
	add := func(file string, who access.Caller) {
		if file != "" {
			list = append(list, access.Source{File: file, Caller: who})
		}
	}
	add(c.TokenFile, access.Caller{Name: access.AdminName, Role: access.RoleAdmin})
	for _, t := range c.Tokens {
		add(t.File, access.Caller{Name: t.Name, Role: t.Role})
	}
	for _, d := range devices {
		add(d.TokenFile, access.Caller{Name: d.ID, Device: d.ID})
	}
	return list
}

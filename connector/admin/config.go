package admin

import "pullprint/trigger/webhook"

// Config is the admin section of the configuration: the HTTP API, the console
// and the release stations.
type Config struct {
	// Listen is the address; empty means that there is no API.
	Listen string `yaml:"listen"`
	// TokenFile holds the administrator's bearer token.
	TokenFile string `yaml:"token_file"`
	// Tokens are further ones, with a role each.
	Tokens []Token `yaml:"tokens"`
	// TLS is the certificate; without one the API speaks plain http.
	TLS webhook.TLS `yaml:"tls"`
}

// Token is a bearer token of the API.
type Token struct {
	// Name is what the audit calls whoever uses it.
	Name string `yaml:"name"`
	// Role is read, operate or admin: see Role.
	Role Role `yaml:"role"`
	// File holds the token.
	File string `yaml:"file"`
}

// Role says what a token may do. Each role may do all that the one before may.
type Role string

// The roles.
const (
	// RoleRead sees jobs, decisions and badges.
	RoleRead Role = "read"
	// RoleOperate releases and cancels jobs, taps at any device, and enrols and
	// revokes badges.
	RoleOperate Role = "operate"
	// RoleAdmin may do everything.
	RoleAdmin Role = "admin"
)

// AdminName is what the audit calls the holder of the token of TokenFile.
const AdminName = "admin"

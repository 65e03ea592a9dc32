// Package auth obtains the tokens for calls to Microsoft Graph: those of the app, with a
// client secret, a certificate, a federated token or a managed identity, and those of a
// person who signed in with a device code.
//
// Secrets stay in files and in memory. Files with credentials are read again for every
// token, so that a new one takes effect without a restart; if a file can't be read, the
// credential read before stays in use. A refresh token of a person is stored only on request,
// encrypted, in a StoredSignIn. No error repeats a sentence of the authority, or a secret.
package auth

// Config says how the app authenticates, with exactly one kind of credential.
type Config struct {
	// ClientID is the application (client) id of the app registration.
	ClientID string `yaml:"client_id"`
	// ClientSecretFile holds the secret's value. It is read again for every
	// token, so that a new secret takes effect without a restart.
	ClientSecretFile string `yaml:"client_secret_file"`
	// CertificateFile and PrivateKeyFile hold a certificate and its key, in PEM; or
	// CertificateFile, named .pfx or .p12, holds both as PKCS #12, under the password
	// in CertificatePasswordFile if it has one. They are read again for every token.
	CertificateFile         string `yaml:"certificate_file"`
	PrivateKeyFile          string `yaml:"private_key_file"`
	CertificatePasswordFile string `yaml:"certificate_password_file"`
	// AssertionAlg is how the key of the certificate signs: PS256 (the default) or,
	// for a key that can't, RS256.
	AssertionAlg string `yaml:"assertion_alg"`
	// FederatedTokenFile holds a token that the app registration trusts, as that of a
	// Kubernetes service account.
	FederatedTokenFile string `yaml:"federated_token_file"`
	// ManagedIdentity is true on a machine in Azure that has an identity.
	ManagedIdentity bool `yaml:"managed_identity"`
}

// Kinds returns the keys of the kinds of credentials that are configured.
func (c Config) Kinds() (kinds []string) {
	for _, k := range []struct {
		key string
		set bool
	}{
		{"client_secret_file", c.ClientSecretFile != ""},
		{"certificate_file", c.CertificateFile != "" || c.PrivateKeyFile != ""},
		{"federated_token_file", c.FederatedTokenFile != ""},
		{"managed_identity", c.ManagedIdentity},
	} {
		if k.set {
			kinds = append(kinds, k.key)
		}
	}
	return kinds
}

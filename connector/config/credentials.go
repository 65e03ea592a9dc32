package config

import (
	"os"
	"slices"
	"strings"
	"time"

	"pullprint/connector/printer"
	"pullprint/connector/selftest"
	"pullprint/trigger/graph/auth"
)

func (k *checker) tenant() {
	k.guid("tenant_id", k.c.TenantID,
		"write the directory (tenant) id; it is on the overview page of the Entra admin center",
		"it looks like 84bd8158-6d4d-4958-8b9f-9d6445542f95; a domain name won't do")
	switch strings.ToLower(k.c.Cloud) {
	case "china", "21vianet", "cn", "azurechina":
		k.add("cloud", "there is no way around it: use a tenant of another cloud",
			"Microsoft Graph in China has no print API")
	default:
		k.oneOf("cloud", k.c.Cloud, "global", "us-l4", "us-l5")
	}
	k.url("endpoints.graph", k.c.Endpoints.Graph, "https://graph.microsoft.com/v1.0")
	k.url("endpoints.authority", k.c.Endpoints.Authority, "https://login.microsoftonline.com")
	k.authority("endpoints.ca_file", k.c.Endpoints.CAFile)
}

// guid checks an id of Entra, which has to be there.
func (k *checker) guid(path, value, missing, hint string) {
	k.refuse(k.need(path, value, missing) && !guid.MatchString(value), path, hint, "%s is not a GUID", path)
}

func (k *checker) auth() {
	k.guid("auth.client_id", k.c.Auth.ClientID, "write the application (client) id of the app registration",
		"copy the application (client) id, not the name")
	a := &k.c.Auth
	switch {
	case a.AssertionAlg == "":
	case a.CertificateFile == "" && a.PrivateKeyFile == "":
		k.add("auth.assertion_alg", "leave it out, or set certificate_file", "auth.assertion_alg without a certificate")
	default:
		k.oneOf("auth.assertion_alg", a.AssertionAlg, auth.AssertionAlgs...)
	}
	switch kinds := a.Kinds(); len(kinds) {
	case 0:
		k.add("auth.client_secret_file", "name the file that holds the client secret's value, or set certificate_file and "+
			"private_key_file, federated_token_file, or managed_identity", "auth has no credential")
	case 1:
		k.credential(a)
	default:
		k.add("auth."+kinds[1], "leave one of them", "auth has several kinds of credentials: %s", strings.Join(kinds, ", "))
	}
}

// credential checks the files of the one that is configured.
func (k *checker) credential(a *auth.Config) {
	switch {
	case a.ClientSecretFile != "":
		k.secret("auth.client_secret_file", a.ClientSecretFile)
	case a.FederatedTokenFile != "":
		k.secret("auth.federated_token_file", a.FederatedTokenFile)
	case a.ManagedIdentity:
	case a.PFX():
		k.pfx(a)
	case a.CertificatePasswordFile != "":
		k.add("auth.certificate_password_file", "leave it out, or name a .pfx in certificate_file; a key in PEM has to be "+
			"without a password", "a password for a certificate that is no PFX")
	case a.CertificateFile == "":
		k.add("auth.certificate_file", "name the file with the certificate, in PEM", "a private key without its certificate")
	case a.PrivateKeyFile == "":
		k.add("auth.private_key_file", "name the file with the key, in PEM; a PFX has to be named .pfx or .p12",
			"a certificate without its private key")
	default:
		if _, ok := k.stat("auth.certificate_file", a.CertificateFile, "put the certificate there, in PEM"); ok {
			k.text("auth.certificate_file", a.CertificateFile)
		}
		k.secret("auth.private_key_file", a.PrivateKeyFile)
	}
}

// pfx checks a certificate with its key in one file.
func (k *checker) pfx(a *auth.Config) {
	k.refuse(a.PrivateKeyFile != "", "auth.private_key_file", "leave it out: a PFX has the key in it",
		"a PFX and a private key")
	if st, ok := k.stat("auth.certificate_file", a.CertificateFile, "put the PFX there"); ok {
		k.guarded("auth.certificate_file", a.CertificateFile, st)
	}
	if a.CertificatePasswordFile != "" {
		k.secret("auth.certificate_password_file", a.CertificatePasswordFile)
	}
}

// administrator checks where a sign-in is kept. There may be none yet.
func (k *checker) administrator() {
	keep := k.c.Administrator
	switch {
	case keep == (auth.StoredSignIn{}):
		return
	case keep.SignInFile == "":
		k.add("administrator.sign_in_file", "name the file that the sign-in is to be kept in; `pullprint register plan "+
			"--keep` makes it", "administrator has a key and nothing to encrypt")
	case keep.KeyFile == "":
		k.add("administrator.key_file", "name the file that holds the key; make one with `openssl rand -base64 32`",
			"administrator.key_file is missing")
	}
	k.inFolder("administrator.sign_in_file", keep.SignInFile)
	if keep.KeyFile == "" {
		return
	}
	k.secret("administrator.key_file", keep.KeyFile)
	src, err := os.ReadFile(keep.KeyFile)
	k.refuse(err == nil && strings.TrimSpace(string(src)) != "" && keep.Check() != nil, "administrator.key_file",
		"make one with `openssl rand -base64 32`", "administrator.key_file holds no key of 32 bytes in base64")
}

const (
	minSelfTest = 5 * time.Minute
	maxSelfTest = 31 * 24 * time.Hour
)

// selfTest checks who prints what where.
func (k *checker) selfTest() {
	t := k.c.SelfTest
	if t == (selftest.Config{}) {
		return
	}
	k.refuse(k.need("selftest.queue", t.Queue, "write the name of one of the queues") &&
		!slices.ContainsFunc(k.c.Queues, func(q printer.Queue) bool { return q.Name == t.Queue }), "selftest.queue",
		"write the name of one of the queues", "selftest.queue does not name one of the queues")
	k.guid("selftest.user", t.User, "write the Entra object id of the person whose sign-in is kept",
		"write the Entra object id of the person, not the name")
	k.refuse(!k.c.Administrator.Configured(), "selftest",
		"set administrator.sign_in_file and administrator.key_file: only a person can print", "a self-test without a kept sign-in")
	if t.Queue != "" {
		k.between("selftest.every", t.Every, minSelfTest, maxSelfTest, "write 5m to 31d")
	}
}

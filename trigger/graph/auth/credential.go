package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"pullprint/trigger/graph/transport"
	"pullprint/trigger/wait"
)

// clientCredential is what authenticates the app. Its files are read again for each token, so
// that a new one takes effect without a restart.
type clientCredential interface {
	// read reads the files; after an error, what was read before stays in use.
	read(now time.Time) error
	// parameters returns what is added to the request for a token.
	parameters(now time.Time) (secret string, more url.Values, err error)
}

// assertionType is the type of a client_assertion
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// newClientCredential returns the credential of the one kind that is configured.
func newClientCredential(c Config, tokenURL string) (clientCredential, error) {
	switch kinds := c.Kinds(); {
	case len(kinds) > 1:
		return nil, fmt.Errorf("auth has %d kinds of credentials, %v: keep one", len(kinds), kinds)
	case c.CertificateFile != "" || c.PrivateKeyFile != "":
		return &certificate{config: c, audience: tokenURL}, nil
	case c.FederatedTokenFile != "":
		return &fileCredential{
			what: "the federated token", setting: "auth.federated_token_file", file: c.FederatedTokenFile, most: maxToken,
			assertion: true,
		}, nil
	}
	return &fileCredential{
		what: "the client secret", setting: "auth.client_secret_file", file: c.ClientSecretFile, most: maxSecret,
	}, nil
}

// fileCredential is a client secret in a file, or a token that another party signs, as Kubernetes
// does for a service account
// (https://learn.microsoft.com/entra/workload-id/workload-identity-federation).
type fileCredential struct {
	what, setting, file string
	most                int  // bytes
	assertion           bool // whether it is such a token

	value string
}

func (c *fileCredential) read(time.Time) error {
	value, err := readSecret(c.what, c.setting, c.file, c.most)
	if err == nil {
		c.value = value
	}
	return err
}

func (c *fileCredential) parameters(time.Time) (string, url.Values, error) {
	if c.assertion {
		return "", url.Values{"client_assertion_type": {assertionType}, "client_assertion": {c.value}}, nil
	}
	return c.value, nil, nil
}

// tokenFetcher fetches one token of the app.
type tokenFetcher interface {
	// check reads the files of the configuration before a token is fetched.
	check(now time.Time) error
	fetch(ctx context.Context, now time.Time) (*oauth2.Token, error)
}

// clientCredentials is the client credentials flow.
type clientCredentials struct {
	conf        clientcredentials.Config // without a secret
	credential  clientCredential
	client      *http.Client
	onReadError func(error) // called when the files can't be read again
}

func (c *clientCredentials) check(now time.Time) error { return c.credential.read(now) }

func (c *clientCredentials) fetch(ctx context.Context, now time.Time) (*oauth2.Token, error) {
	if err := c.credential.read(now); err != nil {
		c.onReadError(err)
	}
	conf := c.conf
	var err error
	if conf.ClientSecret, conf.EndpointParams, err = c.credential.parameters(now); err != nil {
		return nil, &Error{Err: err}
	}
	return conf.Token(context.WithValue(ctx, oauth2.HTTPClient, c.client))
}

// The metadata service of Azure's machines issues tokens of their managed identity
// (https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token).
// The environment variable replaces its host, as it does for Azure's own libraries.
const (
	metadataHost     = "http://169.254.169.254"
	metadataVariable = "AZURE_POD_IDENTITY_AUTHORITY_HOST"
	metadataPath     = "/metadata/identity/oauth2/token"
	metadataVersion  = "2018-02-01"
)

// managedIdentity fetches tokens from the metadata service. It uses no proxy.
type managedIdentity struct {
	client *http.Client
	url    string
}

func newManagedIdentity(c Config, resource string) (*managedIdentity, error) {
	host := os.Getenv(metadataVariable)
	if host == "" {
		host = metadataHost
	}
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("%s must be an address as %s", metadataVariable, metadataHost)
	}
	q := url.Values{"api-version": {metadataVersion}, "resource": {resource}}
	if c.ClientID != "" {
		q.Set("client_id", c.ClientID)
	}
	u.Path, u.RawQuery = metadataPath, q.Encode()
	return &managedIdentity{
		url:    u.String(),
		client: transport.Client(&http.Transport{Proxy: nil, DisableKeepAlives: true}),
	}, nil
}

func (*managedIdentity) check(time.Time) error { return nil }

// fetch retries while the service answers that it is busy or being updated: with 404, 410, 429
// or 5xx
// (https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#retry-guidance).
func (i *managedIdentity) fetch(ctx context.Context, now time.Time) (*oauth2.Token, error) {
	for n := 0; ; n++ {
		token, err := i.once(ctx, now)
		var e *Error
		if !errors.As(err, &e) || !metadataBusy(e.Status) {
			return token, err
		}
		if pause := transport.Backoff(n, e.RetryAfter); !transport.Fits(ctx, pause) || wait.Sleep(ctx, pause) != nil {
			return nil, err
		}
	}
}

// metadataBusy reports whether the metadata service may answer a retry.
func metadataBusy(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusGone, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

func (i *managedIdentity) once(ctx context.Context, now time.Time) (*oauth2.Token, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.url, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", metadataVariable, err)
	}
	req.Header.Set("Metadata", "true")
	res, err := i.client.Do(req)
	if err != nil {
		return nil, &Error{
			Err: transport.Error{Cause: err},
			Hint: "the metadata service of Azure does not answer: auth.managed_identity works on a machine in Azure that has " +
				"an identity",
		}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxToken))
	if err != nil {
		return nil, &Error{Err: transport.Error{Cause: err}}
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   string `json:"expires_in"`
		Error       string `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || res.StatusCode != http.StatusOK {
		e := &Error{Status: res.StatusCode, RetryAfter: transport.RetryAfter(res.Header, now)}
		switch {
		case metadataBusy(res.StatusCode):
			e.Hint = "the metadata service of Azure is busy or being updated: retrying"
		case res.StatusCode == http.StatusBadRequest:
			e.Hint = "the machine has no such managed identity: assign it, or correct auth.client_id"
		}
		if oauthWord.MatchString(answer.Error) && !metadataBusy(res.StatusCode) {
			e.Code = answer.Error
		}
		return nil, e
	}
	life, err := strconv.Atoi(answer.ExpiresIn)
	if err != nil || life <= 0 {
		return nil, transport.ErrNotJSON
	}
	return &oauth2.Token{
		AccessToken: answer.AccessToken, TokenType: "Bearer", Expiry: now.Add(time.Duration(life) * time.Second),
	}, nil
}

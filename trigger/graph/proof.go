package graph

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
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"pullprint/trigger/graph/transport"
)

// proof is how the app proves who it is. Its files are read again for each token,
// so that a new one takes effect without a restart.
type proof interface {
	// read takes what is in the files; an error leaves what was read before.
	read(now time.Time) error
	// form is what goes into the request for a token.
	form(now time.Time) (secret string, more url.Values, err error)
}

// assertionType is of a client_assertion
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// newProof is that of the one kind that is configured.
func newProof(a Auth, tokenURL string) (proof, error) {
	switch kinds := a.Kinds(); {
	case len(kinds) > 1:
		return nil, fmt.Errorf("auth has %d kinds of credentials, %v: leave one", len(kinds), kinds)
	case a.CertificateFile != "" || a.PrivateKeyFile != "":
		return &certificate{auth: a, audience: tokenURL}, nil
	case a.FederatedTokenFile != "":
		return &federated{file: a.FederatedTokenFile}, nil
	}
	return &secret{file: a.ClientSecretFile}, nil
}

// secret is a client secret in a file.
type secret struct {
	file, value string
}

func (s *secret) read(time.Time) error {
	value, err := readSecret("the client secret", "auth.client_secret_file", s.file, maxSecret)
	if err == nil {
		s.value = value
	}
	return err
}

func (s *secret) form(time.Time) (string, url.Values, error) { return s.value, nil, nil }

// federated is a token that somebody else signs, as Kubernetes does for a service
// account (https://learn.microsoft.com/entra/workload-id/workload-identity-federation).
type federated struct {
	file, token string
}

func (f *federated) read(time.Time) error {
	token, err := readSecret("the federated token", "auth.federated_token_file", f.file, maxToken)
	if err == nil {
		f.token = token
	}
	return err
}

func (f *federated) form(time.Time) (string, url.Values, error) {
	return "", url.Values{"client_assertion_type": {assertionType}, "client_assertion": {f.token}}, nil
}

// readSecret takes the one line out of a file. Errors name the file only.
func readSecret(what, key, name string, most int) (string, error) {
	if name == "" {
		return "", errors.New(key + " is not set")
	}
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	defer f.Close()
	raw := make([]byte, most+1)
	n, err := io.ReadFull(f, raw)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	text, wrong := SecretText(raw[:n])
	switch {
	case wrong != nil:
		return "", fmt.Errorf("read %s: %s: %w", what, name, wrong)
	case text == "":
		return "", fmt.Errorf("read %s: %s is empty or can't be read", what, name)
	case n > most || strings.ContainsAny(text, "\n\r") || err != nil:
		return "", fmt.Errorf("read %s: %s must hold its value and nothing else", what, name)
	}
	return text, nil
}

// maxSecret is more than a secret has, and maxToken more than a token, in bytes.
const (
	maxSecret = 4096
	maxToken  = 16 << 10
)

// asker fetches a token of the app, once.
type asker interface {
	// check looks at the configuration before anything is asked for.
	check(now time.Time) error
	ask(ctx context.Context, now time.Time) (*oauth2.Token, error)
}

// credentials asks by the client credentials flow.
type credentials struct {
	conf   clientcredentials.Config // without a secret
	proof  proof
	client *http.Client
	stale  func(error) // told when the files can't be read again
}

func (c *credentials) check(now time.Time) error { return c.proof.read(now) }

func (c *credentials) ask(ctx context.Context, now time.Time) (*oauth2.Token, error) {
	if err := c.proof.read(now); err != nil {
		c.stale(err)
	}
	conf := c.conf
	var err error
	if conf.ClientSecret, conf.EndpointParams, err = c.proof.form(now); err != nil {
		return nil, &AuthError{Err: err}
	}
	return conf.Token(context.WithValue(ctx, oauth2.HTTPClient, c.client))
}

// The metadata service of Azure's machines gives tokens of their managed identity
// (https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token).
// The variable moves it, as it does for Azure's own libraries.
const (
	metadataHost     = "http://169.254.169.254"
	metadataVariable = "AZURE_POD_IDENTITY_AUTHORITY_HOST"
	metadataPath     = "/metadata/identity/oauth2/token"
	metadataVersion  = "2018-02-01"
)

// identity asks the metadata service. It goes through no proxy.
type identity struct {
	client *http.Client
	url    string
}

func newIdentity(a Auth, resource string) (*identity, error) {
	host := os.Getenv(metadataVariable)
	if host == "" {
		host = metadataHost
	}
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("%s must be an address as %s", metadataVariable, metadataHost)
	}
	q := url.Values{"api-version": {metadataVersion}, "resource": {resource}}
	if a.ClientID != "" {
		q.Set("client_id", a.ClientID)
	}
	u.Path, u.RawQuery = metadataPath, q.Encode()
	return &identity{
		url:    u.String(),
		client: transport.Client(&http.Transport{Proxy: nil, DisableKeepAlives: true}),
	}, nil
}

func (*identity) check(time.Time) error { return nil }

// ask asks again while the service says that it is busy or being updated: 404, 410,
// 429 and 5xx
// (https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#retry-guidance).
func (i *identity) ask(ctx context.Context, now time.Time) (*oauth2.Token, error) {
	for n := 0; ; n++ {
		token, err := i.once(ctx, now)
		var e *AuthError
		if !errors.As(err, &e) || !metadataBusy(e.Status) {
			return token, err
		}
		if wait := transport.Backoff(n, e.RetryAfter); !transport.Fits(ctx, wait) || !transport.Sleep(ctx, wait) {
			return nil, err
		}
	}
}

// metadataBusy reports whether the metadata service will answer if it is asked again.
func metadataBusy(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusGone, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

func (i *identity) once(ctx context.Context, now time.Time) (*oauth2.Token, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.url, nil)
	if err != nil {
		return nil, errInvalid
	}
	req.Header.Set("Metadata", "true")
	res, err := i.client.Do(req)
	if err != nil {
		return nil, &AuthError{Err: transport.Error{Cause: err}, Hint: "the metadata service of Azure does not answer: auth.managed_identity works on a machine in Azure that has an identity"}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxToken))
	if err != nil {
		return nil, &AuthError{Err: transport.Error{Cause: err}}
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   string `json:"expires_in"`
		Error       string `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || res.StatusCode != http.StatusOK {
		e := &AuthError{Status: res.StatusCode, RetryAfter: transport.RetryAfter(res.Header, now)}
		switch {
		case metadataBusy(res.StatusCode):
			e.Hint = "the metadata service of Azure is busy or being updated: it is asked again"
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
	return &oauth2.Token{AccessToken: answer.AccessToken, TokenType: "Bearer", Expiry: now.Add(time.Duration(life) * time.Second)}, nil
}

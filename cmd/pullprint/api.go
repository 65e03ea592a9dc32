package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/admin/apiclient"
	"pullprint/trigger/listen"
	"pullprint/trigger/secretfile"
)

// apiFlags say where the API is when it is not that of the configuration.
type apiFlags struct {
	url, tokenFile string
	json           bool
}

func (f *apiFlags) add(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&f.url, "url", "",
		"`ADDRESS` of the API, as http://127.0.0.1:8080; that of the configuration when not given")
	cmd.PersistentFlags().StringVar(&f.tokenFile, "token-file", "",
		"`FILE` with a bearer token; that of the configuration when not given")
	cmd.PersistentFlags().BoolVar(&f.json, "json", false, "print JSON")
}

// client talks to the daemon that the configuration describes.
func (f *apiFlags) client(cmd *cobra.Command) (*apiclient.Client, error) {
	base, file := f.url, f.tokenFile
	if base != "" {
		if err := checkAddress(base, "http://127.0.0.1:8080"); err != nil {
			return nil, err
		}
	}
	if base == "" || file == "" {
		cfg, err := loadConfig(cmd, ", or give --url and --token-file")
		if err != nil {
			return nil, err
		}
		if base == "" {
			if base, err = addressOf(cfg.Admin); err != nil {
				return nil, err
			}
		}
		if file == "" {
			file = cfg.Admin.TokenFile
		}
	}
	if file == "" {
		return nil, usageError{errors.New("the configuration has no admin.token_file; give --token-file")}
	}
	token, err := tokenIn(file)
	if err != nil {
		return nil, usageError{fmt.Errorf("%w; --token-file names another file", err)}
	}
	return apiclient.New(base, token), nil
}

// checkAddress checks what --url was given.
func checkAddress(base, example string) error {
	u, err := url.Parse(base)
	if err == nil && u.Hostname() != "" && slices.Contains([]string{"http", "https"}, u.Scheme) {
		return nil
	}
	if host, port, err := net.SplitHostPort(base); err == nil && host != "" && port != "" && !strings.Contains(base, "/") {
		example = "http://" + base
	}
	return usageError{fmt.Errorf("--url %q is not an address: write it as %s", base, example)}
}

// tokenIn is the token in a file that this machine uses itself.
func tokenIn(file string) (string, error) {
	text, err := readNamed("the token", file)
	if err != nil {
		return "", err
	}
	if _, err := secretfile.Text(text); err != nil {
		return "", fmt.Errorf("the token in %s: %w", file, err)
	}
	token := cmp.Or(access.TokensIn(string(text))...)
	if token == "" {
		return "", fmt.Errorf("%s holds no token: write one into it, as `openssl rand -hex 32` makes it", file)
	}
	return token, nil
}

// addressOf is where this machine reaches the API that listens there.
func addressOf(c admin.Config) (string, error) {
	if c.Listen == "" {
		return "", usageError{
			errors.New("the configuration has no admin.listen, so the daemon has no API; set it, or give --url"),
		}
	}
	address, err := listen.Reachable(c.Listen)
	if err != nil {
		return "", usageError{fmt.Errorf("admin.listen: %w", err)}
	}
	if c.TLS.CertFile != "" {
		return "https://" + address, nil
	}
	return "http://" + address, nil
}

// output prints v as JSON when --json is given, and otherwise what text prints.
func (f *apiFlags) output(cmd *cobra.Command, v any, text func(w io.Writer) error) error {
	if f.json {
		return printJSON(cmd.OutOrStdout(), v)
	}
	return text(cmd.OutOrStdout())
}

// printAnswer prints what a call of the API gave, as output does.
func printAnswer[T any](f *apiFlags, cmd *cobra.Command, text func(io.Writer, T) error) func(T, error) error {
	return func(v T, err error) error {
		if err != nil {
			return err
		}
		return f.output(cmd, v, func(w io.Writer) error { return text(w, v) })
	}
}

// printJSON is for pipes. A list that has nothing in it is an empty list, and not null.
func printJSON(w io.Writer, v any) error {
	if list := reflect.ValueOf(v); list.Kind() == reflect.Slice && list.IsNil() {
		v = []struct{}{}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

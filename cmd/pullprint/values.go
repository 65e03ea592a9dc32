package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"pullprint/policy/strictyaml"
	"pullprint/trigger/graph"
)

// duration is the value of a flag that takes what the configuration takes: 90s, 30m,
// 24h or 7d.
type duration time.Duration

// durationVar adds such a flag.
func durationVar(f *pflag.FlagSet, to *time.Duration, name string, usual time.Duration, usage string) {
	*to = usual
	f.Var((*duration)(to), name, usage)
}

// Set implements pflag.Value.
func (d *duration) Set(text string) error {
	v, err := strictyaml.ParseDuration(text)
	if err != nil || v < 0 {
		return errors.New("write a duration as 90s, 30m, 24h or 7d")
	}
	*d = duration(v)
	return nil
}

// String implements pflag.Value.
func (d *duration) String() string {
	if *d == 0 {
		return "" // help then tells of no default
	}
	return time.Duration(*d).String()
}

// Type implements pflag.Value.
func (d *duration) Type() string { return "duration" }

// personIn is how the API is told of a person that a flag or argument names: an object
// id as Entra writes it, or a user name, which the daemon looks up.
func personIn(what, text string) (string, error) {
	text = strings.TrimSpace(text)
	if id, ok := graph.CanonicalGUID(text); ok {
		return id, nil
	}
	if graph.ValidUserName(text) {
		return text, nil
	}
	return "", usageError{fmt.Errorf("%s must be an Entra object ID (a GUID) or a user name like anna@contoso.com", what)}
}

// personFlag reads a flag that may be missing.
func personFlag(name string, to *string) (err error) {
	if *to != "" {
		*to, err = personIn("--"+name, *to)
	}
	return err
}

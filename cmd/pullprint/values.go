package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"pullprint/connector/admin"
	"pullprint/connector/job"
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

// ownerFlag reads --owner, which has to be there.
func ownerFlag(to *string) error {
	if *to == "" {
		return usageError{errors.New("--owner is missing: the Entra object id or user name of the person")}
	}
	return personFlag("owner", to)
}

// sinceFlag is the time that --since stands for, as 7d for a week ago.
func sinceFlag(since string) (time.Time, error) {
	back, err := strictyaml.ParseDuration(since)
	if err != nil || back < 0 {
		return time.Time{}, usageError{fmt.Errorf("--since %s is not a valid duration; write it as 24h or 7d", since)}
	}
	return time.Now().Add(-back), nil
}

// refuseEmptyFlags refuses a flag that is given an empty text, as of a variable that a shell
// does not know: as a filter it would take all.
func refuseEmptyFlags(f *pflag.FlagSet) (err error) {
	f.Visit(func(given *pflag.Flag) {
		if given.Value.Type() == "string" && given.Value.String() == "" && err == nil {
			err = usageError{fmt.Errorf("--%s is empty: give it a value, or leave it out", given.Name)}
		}
	})
	return err
}

// without refuses flags that say nothing where the flag or verb in why is given: they
// would be ignored.
func without(f *pflag.FlagSet, why string, names ...string) error {
	for _, name := range names {
		if f.Changed(name) {
			return usageError{fmt.Errorf("--%s has no meaning with %s: leave one of them out", name, why)}
		}
	}
	return nil
}

// stateFlag checks --state; all is any.
func stateFlag(state *string) error {
	if *state == "all" {
		*state = ""
	}
	if *state == "" || slices.Contains(admin.States, job.State(*state)) {
		return nil
	}
	names := make([]string, len(admin.States))
	for i, s := range admin.States {
		names[i] = string(s)
	}
	if near := strictyaml.Nearest(*state, append(names, "all")); near != "" {
		return usageError{fmt.Errorf("--state: %q is not a state of a job; did you mean %q?", *state, near)}
	}
	return usageError{fmt.Errorf("--state: %q is not a state of a job; the states are %s, and all", *state,
		strings.Join(names, ", "))}
}

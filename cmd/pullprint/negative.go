package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// takesNegative marks verbs whose last argument may be a number below zero.
var takesNegative = map[string]string{"negative": "true"}

var negative = regexp.MustCompile(`^-[0-9.][0-9.,]*$`)

// withNegative puts a number below zero behind "--", where it is no flag.
func withNegative(root *cobra.Command, args []string) []string {
	cmd, _, err := root.Find(args)
	if err != nil || cmd.Annotations["negative"] == "" || slices.Contains(args, "--") {
		return args
	}
	for i, a := range args {
		if negative.MatchString(a) && (i == 0 || !awaitsValue(cmd, args[i-1])) {
			return append(slices.Delete(slices.Clone(args), i, i+1), "--", a)
		}
	}
	return args
}

// awaitsValue reports whether the argument after this one is the value of a flag.
func awaitsValue(cmd *cobra.Command, arg string) bool {
	name, long := strings.CutPrefix(arg, "--")
	if !long || strings.Contains(name, "=") {
		return false // no flag of these verbs has a short form that takes a value
	}
	f := cmd.Flag(name)
	return f != nil && f.NoOptDefVal == ""
}

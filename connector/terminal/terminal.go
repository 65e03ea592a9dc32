// Package terminal has what the texts that people read on a terminal have in common.
package terminal

import (
	"fmt"
	"os"
	"os/user"
	"strings"
)

// Printable is text from outside as a terminal may show it.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) {
			return '?'
		}
		return r
	}, s)
}

// Counted is a number of things in words.
func Counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// User is who runs this process, as messages say it: user NAME.
func User() string {
	if u, err := user.Current(); err == nil {
		return "user " + u.Username
	}
	return fmt.Sprint("user ", os.Getuid())
}

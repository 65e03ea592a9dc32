// Package terminal has what texts for a terminal have in common. What comes from outside
// can't control the terminal that it is printed on.
package terminal

import (
	"fmt"
	"os"
	"os/user"
	"strings"
)

// Printable is text from outside with a ? for each control character.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) {
			return '?'
		}
		return r
	}, s)
}

// Counted is a number of things, as 1 job and 2 jobs.
func Counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// User is who runs this process, as messages write it: user NAME.
func User() string {
	if u, err := user.Current(); err == nil {
		return "user " + u.Username
	}
	return fmt.Sprint("user ", os.Getuid())
}

package bus

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Path    string // of the key, as nats.replicas
	Message string
	Hint    string // what to do next
}

// Problems are all that is wrong with a configuration.
type Problems []Problem

// Error is a line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Path + ": " + p.Message
	}
	return strings.Join(lines, "\n")
}

func (ps *Problems) add(path, hint, format string, args ...any) {
	*ps = append(*ps, Problem{path, fmt.Sprintf(format, args...), hint})
}

// err is nil when there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

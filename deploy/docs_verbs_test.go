package deploy

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// verbs is what the program can do, learned from its own --help.
type verbs struct {
	program string
	mu      sync.Mutex
	known   map[string]*verb // by path, as "policy test"
}

// verb is one of them.
type verb struct {
	children []string
	flags    map[string]bool // with dashes; true for those that take a value
	takes    bool            // arguments of its own
}

var (
	helpChild = regexp.MustCompile(`^  ([a-z][a-z0-9-]*) `)
	helpFlag  = regexp.MustCompile(`^ +(?:(-\w), )?(--[a-z0-9.-]+)( \S+)?(?:   |$)`)
)

// learn asks the program for the help of a verb; nil when it knows none so called.
func (v *verbs) learn(names ...string) (*verb, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := strings.Join(names, " ")
	if known, ok := v.known[key]; ok {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, v.program, append(slices.Clone(names), "--help")...).Output()
	if err != nil {
		return nil, fmt.Errorf("pullprint %s --help: %w", key, err)
	}
	v.known[key] = parseHelp(string(out), strings.TrimSpace("pullprint "+key))
	return v.known[key], nil
}

// parseHelp reads what cobra prints; nil when it is the help of something else.
func parseHelp(text, path string) *verb {
	_, usage, ok := strings.Cut(text, "Usage:\n")
	if !ok || !strings.HasPrefix(strings.TrimSpace(usage)+" ", path+" ") {
		return nil
	}
	found := &verb{flags: map[string]bool{}}
	own, _, _ := strings.Cut(strings.TrimSpace(usage), "\n")
	found.takes = strings.TrimSuffix(strings.TrimPrefix(own, path), " [flags]") != ""
	section := ""
	for line := range strings.Lines(usage) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, " ") {
			section = line
			continue
		}
		if m := helpChild.FindStringSubmatch(line); m != nil && section == "Available Commands:" {
			found.children = append(found.children, m[1])
		}
		if m := helpFlag.FindStringSubmatch(line); m != nil && strings.HasSuffix(section, "Flags:") {
			found.flags[m[2]] = m[3] != ""
			if m[1] != "" {
				found.flags[m[1]] = m[3] != ""
			}
		}
	}
	return found
}

// filler is a word that stands for what is written there: an argument in capitals
// or dots.
var filler = regexp.MustCompile(`^(…|\.\.\.|\[.*|<.*|[A-Z][A-Z0-9_/-]*)$`)

// check says what of a call the program does not know; empty when all is well.
func (v *verbs) check(args []string) (string, error) {
	at, err := v.learn()
	if err != nil {
		return "", err
	}
	var names []string
	descend := true
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if strings.HasPrefix(arg, "-") && len(arg) > 1 {
			name, _, given := strings.Cut(arg, "=")
			value, known := at.flags[name]
			if !known {
				return fmt.Sprintf("pullprint %s has no flag %s", strings.Join(names, " "), name), nil
			}
			if value && !given {
				i++
			}
			continue
		}
		if !descend || filler.MatchString(arg) {
			descend = false
			continue
		}
		if len(at.children) == 0 {
			descend = false
			if !at.takes {
				return fmt.Sprintf("pullprint %s takes no argument %q", strings.Join(names, " "), arg), nil
			}
			continue
		}
		names = append(names, arg)
		if at, err = v.learn(names...); err != nil {
			return "", err
		}
		if at == nil {
			return fmt.Sprintf("pullprint %s is no verb", strings.Join(names, " ")), nil
		}
	}
	return "", nil
}

// checkVerbs looks at each call of pullprint in code spans and in fences of
// commands.
func (c *checker) checkVerbs(p *page) (wrong []string) {
	calls := slices.Clone(p.spans)
	for _, f := range p.fences {
		if slices.Contains(shells, f.lang) {
			calls = append(calls, placed{f.line + 1, f.body})
		}
	}
	for _, text := range calls {
		for _, call := range commandsIn(text.text) {
			complaint, err := c.verbs.check(call.args)
			if err != nil {
				complaint = err.Error()
			}
			if complaint != "" {
				wrong = append(wrong, p.at(text.line+call.line, "%s", complaint))
			}
		}
	}
	return wrong
}

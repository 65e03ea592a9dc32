package deploy

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// shells are the languages of fences that hold commands.
var shells = []string{"sh", "bash", "shell", "console"}

// command is a call of pullprint in a text: what follows its name.
type command struct {
	line int // within the text, from 0
	args []string
}

var (
	heredoc    = regexp.MustCompile(`<<-?\s*['"]?(\w+)['"]?`)
	assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
)

// commandsIn finds the calls of pullprint in a shell text: where a command may
// begin, not where pullprint is an argument, as in `systemctl status pullprint`.
func commandsIn(text string) (found []command) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line, at := lines[i], i
		for strings.HasSuffix(line, `\`) && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, `\`) + " " + lines[i]
		}
		for _, simple := range simpleCommands(strings.TrimPrefix(line, "$ ")) {
			if args, ok := callOf(simple); ok {
				found = append(found, command{at, args})
			}
		}
		if m := heredoc.FindStringSubmatch(line); m != nil {
			for i++; i < len(lines) && strings.TrimSpace(lines[i]) != m[1]; i++ {
			}
		}
	}
	return found
}

// simpleCommands cuts a line into its commands, and those into words, as far as
// documentation needs it: quotes, comments, pipes, lists and groups.
func simpleCommands(line string) (all [][]string) {
	var words []string
	var word strings.Builder
	inWord := false
	endWord := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	endCommand := func() {
		endWord()
		if len(words) > 0 {
			all = append(all, words)
		}
		words = nil
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'' || c == '"':
			end := strings.IndexByte(line[i+1:], c)
			if end < 0 {
				end = len(line) - i - 1
			}
			word.WriteString(line[i+1 : i+1+end])
			inWord, i = true, i+1+end
		case c == '#' && !inWord:
			endCommand()
			return all
		case c == ' ' || c == '\t':
			endWord()
		case c == '>' || c == '<': // and the number before it is no word
			if strings.Trim(word.String(), "0123456789") == "" {
				word.Reset()
				inWord = false
			}
			endCommand()
		case strings.IndexByte("|;&()`", c) >= 0:
			endCommand()
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	endCommand()
	return all
}

// callOf are the arguments of pullprint if a command calls it.
func callOf(words []string) ([]string, bool) {
	if i := slices.Index(words, "--"); i >= 0 && i+1 < len(words) && path.Base(words[i+1]) == "pullprint" {
		return words[i+2:], true // of kubectl exec, docker run and their like
	}
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case slices.Contains([]string{"exec", "nohup", "env", "time", "if", "!", "then", "do"}, w), assignment.MatchString(w):
		case w == "sudo":
			for i+1 < len(words) && strings.HasPrefix(words[i+1], "-") {
				i++
				if words[i] == "-u" || words[i] == "-g" {
					i++
				}
			}
		case w == "timeout":
			i++
		case w == "go" && i+2 < len(words) && words[i+1] == "run":
			i++
		default:
			return words[i+1:], path.Base(w) == "pullprint"
		}
	}
	return nil, false
}

// checkFences holds fences of commands to the convention: each is run here, or says
// what keeps it honest.
func (c *checker) checkFences(p *page) (wrong []string) {
	for _, f := range p.fences {
		if !slices.Contains(shells, f.lang) {
			continue
		}
		by, isBy := f.word("by")
		_, isRun := f.runs()
		n := 0
		for _, is := range []bool{isRun, isBy, slices.Contains(f.words, "tenant")} {
			if is {
				n++
			}
		}
		switch {
		case n != 1:
			wrong = append(wrong,
				p.at(f.line, "the block has to say one of run, tenant and by=STEP or by=TestName after %s", f.lang))
		case isBy && !c.steps[by] && !c.tests[by]:
			wrong = append(wrong, p.at(f.line, "by=%s is no step of .ci/run and no test", by))
		}
	}
	return wrong
}

// runs says whether a fence is to be run, and which exit code it must have.
func (f fence) runs() (code string, ok bool) {
	if code, ok := f.word("run"); ok {
		return code, true
	}
	return "0", slices.Contains(f.words, "run")
}

var testName = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z]\w*$`)

// checkNames looks for each test that a page names.
func (c *checker) checkNames(p *page) (wrong []string) {
	for _, s := range p.spans {
		if name, _, _ := strings.Cut(s.text, "/"); testName.MatchString(name) && !c.tests[name] {
			wrong = append(wrong, p.at(s.line, "there is no %s", name))
		}
	}
	return wrong
}

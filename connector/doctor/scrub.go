package doctor

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// words are those that the program and its libraries could have said: in a text
// that leaves the house, any other may be a name. TestWords makes the file.
//
//go:embed words.txt
var wordList string

// scrubber takes names and secrets out of texts. What is not known to be harmless
// goes: a word stays only if the program could have said it. The same word becomes
// the same in one bundle, and another in the next.
type scrubber struct {
	key   []byte
	words map[string]bool
	whole *strings.Replacer // of secrets, and of names of several words
}

const secretOut = "(secret)"

// newScrubber takes secrets out as a whole, replaces names even where they are
// ordinary words, and lets further words stay.
func newScrubber(secrets, names, stay []string) *scrubber {
	s := &scrubber{key: make([]byte, 32), words: map[string]bool{}}
	_, _ = rand.Read(s.key) // it never fails
	for _, w := range slices.Concat(strings.Fields(wordList), piece.FindAllString(strings.Join(stay, " "), -1)) {
		s.words[w] = true
	}
	replace := map[string]string{}
	for _, name := range names {
		s.words[name] = false
		if strings.ContainsAny(name, " -") && len(name) >= 4 {
			replace[name] = s.as("name", name)
		}
	}
	for _, secret := range secrets {
		if _, ordinary := s.words[secret]; len(secret) >= 4 && !ordinary {
			replace[secret] = secretOut
		}
	}
	var pairs []string
	for _, from := range slices.SortedFunc(maps.Keys(replace), func(a, b string) int { return len(b) - len(a) }) {
		pairs = append(pairs, from, replace[from])
	}
	s.whole = strings.NewReplacer(pairs...)
	return s
}

// piece is what a text is made of, the first that fits.
var piece = regexp.MustCompile(strings.Join([]string{
	`\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})`,     // a time
	`(?:request-id|trace id) [0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}`,    // for Microsoft to look up
	`\+\d{1,3}(?:[ ./()-]{0,2}\d){6,14}|\b\d{2,5}(?: \d{2,5}){2,}`,           // a number to call
	`[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`,                // an address of mail, as names of users are
	`[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}`,                   // a GUID
	`(?:[0-9A-Fa-f]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4})`, // IPv6, or a time of day
	`[\p{L}\p{M}\p{N}_]+(?:[.~+=-][\p{L}\p{M}\p{N}_]+)*`,                     // a word, or several that belong together
}, "|"))

var (
	instant  = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T`)
	lookUp   = regexp.MustCompile(`^(?:request-id|trace id) `)
	guids    = regexp.MustCompile(`^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$`)
	clockly  = regexp.MustCompile(`^\d{1,2}(?::\d{2}){1,2}$`)
	quantity = regexp.MustCompile(
		`^\d{1,5}(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d|B|kB|MB|GB|KiB|MiB|GiB|TiB)?$|` +
			`^(?:\d{1,5}(?:\.\d+)?(?:h|m|s))+$|^\d{4}-\d{2}-\d{2}$`)
	released = regexp.MustCompile(`^v?\d{1,3}(?:\.\d{1,4}){1,2}$`)
	replaced = regexp.MustCompile(`^(?:name|user|id|ip|number|rule)-[0-9a-f]{10}$`)
	entra    = regexp.MustCompile(`^AADSTS\d+$`)
)

// text is a text without names.
func (s *scrubber) text(in string) string {
	return piece.ReplaceAllStringFunc(s.whole.Replace(in), s.piece)
}

func (s *scrubber) piece(p string) string {
	switch {
	case instant.MatchString(p), lookUp.MatchString(p), clockly.MatchString(p):
		return p
	case strings.Contains(p, "@"):
		return s.as("user", p)
	case guids.MatchString(p):
		return s.as("id", p)
	case strings.Contains(p, ":"):
		return s.address(p)
	}
	if _, err := netip.ParseAddr(p); err == nil {
		return s.address(p)
	}
	if s.stays(p) {
		return p
	}
	return s.as("name", p)
}

// address hides an IP address that is not this machine's own.
func (s *scrubber) address(p string) string {
	ip, err := netip.ParseAddr(p)
	switch {
	case err == nil && (ip.IsLoopback() || ip.IsUnspecified()):
		return p
	case err != nil && strings.Trim(p, ":") == "":
		return p
	}
	return s.as("ip", p)
}

// stays reports whether a word, or several joined, can be nobody's.
func (s *scrubber) stays(p string) bool {
	known := []*regexp.Regexp{quantity, released, entra, replaced}
	if s.words[p] || slices.ContainsFunc(known, func(re *regexp.Regexp) bool { return re.MatchString(p) }) {
		return true
	}
	if strings.ContainsAny(p, ".~+") { // names of hosts and files, codes: as a whole or not at all
		return false
	}
	parts := strings.FieldsFunc(p, func(r rune) bool { return r == '-' || r == '=' })
	return len(parts) > 1 && !slices.ContainsFunc(parts, func(w string) bool {
		return !s.words[w] && !quantity.MatchString(w)
	})
}

// as is what stands for a name.
func (s *scrubber) as(kind, name string) string {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(strings.ToLower(name)))
	return kind + "-" + hex.EncodeToString(h.Sum(nil)[:5])
}

// line is a line of the log without names: its form stays.
func (s *scrubber) line(in string) string {
	var fields map[string]any
	d := json.NewDecoder(strings.NewReader(in))
	d.UseNumber()
	if d.Decode(&fields) != nil {
		return s.text(in)
	}
	out, err := json.Marshal(s.value(fields))
	if err != nil {
		return s.text(in)
	}
	return string(out)
}

// value is a value of JSON without names.
func (s *scrubber) value(v any) any {
	switch v := v.(type) {
	case string:
		return s.text(v)
	case json.Number:
		if quantity.MatchString(v.String()) {
			return v
		}
		return s.as("number", v.String())
	case []any:
		for i := range v {
			v[i] = s.value(v[i])
		}
		return v
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if stack, ok := x.(string); ok && k == "stack" {
				out[k] = codeOnly(stack)
				continue
			}
			out[s.text(k)] = s.value(x)
		}
		return out
	}
	return v
}

// folders are those of whoever built the program.
var folders = regexp.MustCompile(`/(?:[^/\s:]+/)*([^/\s:]+\.(?:go|s):\d+)`)

// codeOnly is a listing of goroutines, which has functions and places alone, without
// the folders of the machine it was built on.
func codeOnly(stacks string) string { return folders.ReplaceAllString(stacks, "$1") }

// label is a value of a label of a metric.
var label = regexp.MustCompile(`="((?:[^"\\]|\\.)*)"`)

// metrics is what /metrics says, with the names in labels taken out. The names of
// metrics and what they are for are the program's own.
func (s *scrubber) metrics(in string) string {
	var b strings.Builder
	for line := range strings.Lines(in) {
		if !strings.HasPrefix(line, "#") {
			line = label.ReplaceAllStringFunc(line, func(l string) string {
				return `="` + s.text(l[2:len(l)-1]) + `"`
			})
		}
		b.WriteString(line)
	}
	return s.whole.Replace(b.String())
}

// dotted are the dots between the words of an expression.
var dotted = regexp.MustCompile(`[\p{L}\p{M}\p{N}_]+`)

// expression is one of a policy: its words one by one.
func (s *scrubber) expression(in string) string {
	return dotted.ReplaceAllStringFunc(s.whole.Replace(in), s.piece)
}

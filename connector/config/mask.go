package config

import (
	"path/filepath"
	"regexp"
	"strings"
)

// A problem shows its line, and an error ends up in logs and tickets. So what
// someone put into the file although it belongs into one of its own is hidden.
var (
	// inline is a key that sounds like a secret, and what follows in its line.
	inline = regexp.MustCompile(
		`(?i)([\w-]*(?:secret|passw|token|credential|private_key|api_?key|key_file)[\w-]*)(["']?\s*:\s*)(\S.*)$`)
	// userinfo is a name or password in a URL.
	userinfo = regexp.MustCompile(`(://)[^/\s"']*@`)
)

const hidden = "(not shown)"

func mask(line string) string {
	line = userinfo.ReplaceAllString(line, "${1}"+hidden+"@")
	m := inline.FindStringSubmatchIndex(line)
	if m == nil {
		return line
	}
	if key := line[m[2]:m[3]]; strings.HasSuffix(strings.ToLower(key), "_file") && !secretLike(line[m[6]:m[7]]) {
		return line
	}
	return line[:m[6]] + hidden
}

// random is what openssl rand makes, in base64 or hexadecimal, or the seed of an
// nkey; a slash in it makes no folder.
var random = regexp.MustCompile(`^(?:[A-Za-z0-9+/]{38,}={1,2}|[0-9a-fA-F]{48,}|S[A-Z][A-Z2-7]{54,})$`)

// secretLike reports whether what should be the name of a file looks like the
// secret itself: one long word without a folder or an extension that mixes
// small and capital letters and digits, as Entra's secrets do, or random bytes.
// In a list or a mapping of one line other values may follow it.
func secretLike(value string) bool {
	value = strings.TrimLeft(value, `"' `)
	if end := strings.IndexAny(value, `"',}] `); end >= 0 {
		value = value[:end]
	}
	word := filepath.Base(value)
	return random.MatchString(value) || len(word) >= 20 && !strings.Contains(value, "/") &&
		strings.ContainsAny(word, "0123456789") && strings.ToLower(word) != word && strings.ToUpper(word) != word
}

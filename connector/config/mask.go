package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A problem shows its line, and an error ends up in logs and tickets. So what
// someone put into the file although it belongs into one of its own is hidden.
var (
	// inline is a key that sounds like a secret, or names a file, as admin.tokens[].file does.
	inline = regexp.MustCompile(
		`(?i)([\w-]*(?:secret|passw|token|credential|private_key|api_?key|key_file)[\w-]*|\bfile)["']?\s*:\s*`)
	// secretFile is the path of a key that names a file with a secret.
	secretFile = regexp.MustCompile(`(?i)(?:secret|passw|token|credential|private_key|key)\w*(?:\[\d+\]\.|_)file$`)
	// userinfo is a name or password in a URL.
	userinfo = regexp.MustCompile(`(://)[^/\s"']*@`)
)

const hidden = "(not shown)"

// mask hides secrets in a line. bare says that the line is the value of a secretFile, whose key is
// in another line. Relative paths start at dir.
func mask(line, dir string, bare bool) string {
	line = userinfo.ReplaceAllString(line, "${1}"+hidden+"@")
	keys := inline.FindAllStringSubmatchIndex(line, -1)
	for _, m := range keys {
		key, value := strings.ToLower(line[m[2]:m[3]]), line[m[1]:]
		if value != "" && (!strings.HasSuffix(key, "file") || secretLike(scalar(value), dir)) {
			return line[:m[1]] + hidden
		}
	}
	if value := strings.TrimLeft(line, " \t"); bare && len(keys) == 0 && secretLike(scalar(value), dir) {
		return strings.TrimSuffix(line, value) + hidden
	}
	return line
}

// scalar is the first value in what follows a key, without quotes and variables: in a list or a
// mapping of one line others may follow it.
func scalar(text string) string {
	quote := text[:min(1, len(text))]
	if quote == `"` || quote == "'" {
		text, _, _ = strings.Cut(text[1:], quote)
	} else {
		text, _, _ = strings.Cut(text, " #")
		text = text[:strings.IndexAny(text+",", ",}]")]
	}
	return variable.ReplaceAllString(strings.TrimSpace(text), "")
}

// random is what openssl rand makes, in base64 or hexadecimal, or the seed of an
// nkey; a slash in it makes no folder.
var random = regexp.MustCompile(`^(?:[A-Za-z0-9+/]{38,}={1,2}|[0-9a-fA-F]{48,}|S[A-Z][A-Z2-7]{54,})$`)

// extensions are those of files with secrets.
var extensions = []string{
	".cer", ".creds", ".crt", ".json", ".jwt", ".key", ".nk", ".p12", ".pem", ".pfx", ".secret", ".token", ".txt",
	".yaml", ".yml",
}

// exampleNames are the names of files with secrets in config.example.yaml that have neither folder nor
// extension: everybody can read them there.
var exampleNames = []string{"admin-token", "administrator-key", "app.pfx-password", "badge-key", "client-secret"}

// secretLike reports whether what should be the name of a file may be the secret
// itself: there is no such file, and it is not plainly a path.
func secretLike(value, dir string) bool {
	file := value
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	if _, err := os.Stat(file); err == nil {
		return false
	}
	return random.MatchString(value) || !pathLike(value)
}

// fromFolder is how a path begins that says where from.
var fromFolder = regexp.MustCompile(`^(?:/|\./|\.\./)`)

// pathLike reports whether a value is plainly a path: one from the root or a folder, ordinary
// characters with a folder or a known extension, or a name of config.example.yaml. A password seldom is.
func pathLike(value string) bool {
	if slices.Contains(exampleNames, value) || fromFolder.MatchString(value) {
		return true
	}
	return plainPath.MatchString(value) &&
		(strings.Contains(value, "/") || slices.Contains(extensions, filepath.Ext(value)))
}

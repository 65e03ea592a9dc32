package graph

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Ref names a print job: job ids count per printer. Records, decisions and the
// API write it under these JSON names.
type Ref struct {
	Printer string `json:"printer,omitempty"`
	Job     string `json:"job,omitempty"`
}

// Name is the job in one word, printer/job, as ledgers and decision ids write it.
func (r Ref) Name() string { return r.Printer + "/" + r.Job }

// RefOf is the inverse of Name. A name without a slash becomes a reference without a job.
func RefOf(name string) Ref {
	printer, job, _ := strings.Cut(name, "/")
	return Ref{printer, job}
}

// ValidID reports whether s has the form of an id: [A-Za-z0-9_-]{1,64}. Every id from outside
// is checked before it is put into a URL.
func ValidID(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if !idRune(rune(s[i])) {
			return false
		}
	}
	return true
}

// CanonicalGUID returns a GUID in lower case, as Entra writes the ids of users; ok is false if
// s is none.
func CanonicalGUID(s string) (guid string, ok bool) {
	if len(s) != 36 {
		return "", false
	}
	s = strings.ToLower(s)
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && !('0' <= s[i] && s[i] <= '9' || 'a' <= s[i] && s[i] <= 'f') {
			return "", false
		}
	}
	return s, true
}

// Canonical returns an id in the form in which it is stored and compared: a GUID in lower case,
// anything else unchanged. Graph and people write GUIDs in any case.
func Canonical(id string) string {
	if guid, ok := CanonicalGUID(id); ok {
		return guid
	}
	return id
}

// maxUserName is the longest user principal name in Entra, in bytes
// (https://learn.microsoft.com/graph/api/resources/user).
const maxUserName = 113

// sameID reports whether an answer is about the object that was asked for. One without an id,
// or with another, comes from a proxy in between or from a defect, and must not be used: a job
// would have no owner, a printer no state, and a person would not exist.
func sameID(got, asked string) bool { return ValidID(got) && Canonical(got) == Canonical(asked) }

// ValidUserName reports whether s has the form of a user principal name, as anna@contoso.com,
// with the characters that Entra allows and letters of any script.
func ValidUserName(s string) bool {
	name, domain, ok := strings.Cut(s, "@")
	if !ok || name == "" || domain == "" || len(s) > maxUserName {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return !nameRune(r) &&
			!strings.ContainsRune("'!#^~+&%", r)
	}) &&
		!strings.ContainsFunc(domain, func(r rune) bool { return !nameRune(r) })
}

// nameRune is a character of both sides of a user principal name.
func nameRune(r rune) bool {
	return r == '.' || r != unicode.ReplacementChar && (idRune(r) || r >= utf8.RuneSelf &&
		(unicode.IsLetter(r) || unicode.IsDigit(r)))
}

func idRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}

var errNotJob = errors.New("not the URL of a print job")

// ParseJobURL returns the ids in the address of a print job, as parentUrl and redirectedTo have
// it (https://learn.microsoft.com/graph/api/resources/printtask). It accepts
// http(s)://HOST/VERSION/print/printers/{id}/jobs/{id} with any host, any v1.0 or beta,
// literals in any case and the key form printers('id')/jobs('id'), and no user, query,
// fragment, escape or trailing slash. The ids are ValidID. The host is ignored and must never
// be called.
func ParseJobURL(s string) (Ref, error) {
	rest, ok := cutFold(s, "https://")
	if !ok {
		if rest, ok = cutFold(s, "http://"); !ok {
			return Ref{}, errNotJob
		}
	}
	host, rest, ok := strings.Cut(rest, "/")
	if !ok || !validHost(host) {
		return Ref{}, errNotJob
	}
	version, rest, ok := strings.Cut(rest, "/")
	if !ok || !validVersion(version) {
		return Ref{}, errNotJob
	}
	var ref Ref
	if rest, ok = cutFold(rest, "print/printers"); !ok {
		return Ref{}, errNotJob
	}
	if ref.Printer, rest, ok = cutKey(rest); !ok {
		return Ref{}, errNotJob
	}
	if rest, ok = cutFold(rest, "/jobs"); !ok {
		return Ref{}, errNotJob
	}
	if ref.Job, rest, ok = cutKey(rest); !ok || rest != "" {
		return Ref{}, errNotJob
	}
	return Ref{Printer: Canonical(ref.Printer), Job: Canonical(ref.Job)}, nil
}

func validHost(s string) bool {
	return s != "" && len(s) <= 255 && strings.IndexFunc(s, func(r rune) bool {
		return !idRune(r) && r != '.' && r != ':' && r != '[' && r != ']'
	}) < 0
}

// validVersion accepts beta and v1.0, v2.13 and so on.
func validVersion(s string) bool {
	if strings.EqualFold(s, "beta") {
		return true
	}
	number, ok := cutFold(s, "v")
	major, minor, dot := strings.Cut(number, ".")
	return ok && dot && digits(major) && digits(minor)
}

func digits(s string) bool {
	return s != "" && len(s) <= 3 && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// ParseTaskResource returns the ids in print/taskDefinitions/{id}/tasks/{id}. Literals may be
// in any case; a leading slash and the OData key form taskDefinitions('id')/tasks('id') are
// accepted, and nothing else.
func ParseTaskResource(s string) (definition, task string, ok bool) {
	s, ok = cutFold(strings.TrimPrefix(s, "/"), "print/taskDefinitions")
	if !ok {
		return "", "", false
	}
	if definition, s, ok = cutKey(s); !ok {
		return "", "", false
	}
	if s, ok = cutFold(s, "/tasks"); !ok {
		return "", "", false
	}
	if task, s, ok = cutKey(s); !ok || s != "" {
		return "", "", false
	}
	return definition, task, true
}

// cutFold cuts an ASCII literal, in any case, from the front of s.
func cutFold(s, literal string) (rest string, ok bool) {
	if len(s) < len(literal) {
		return "", false
	}
	for i := range len(literal) {
		if lower(s[i]) != lower(literal[i]) {
			return "", false
		}
	}
	return s[len(literal):], true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// cutKey cuts /id or ('id') from the front of s.
func cutKey(s string) (id, rest string, ok bool) {
	switch {
	case strings.HasPrefix(s, "('"):
		id, rest, ok = strings.Cut(s[2:], "')")
	case strings.HasPrefix(s, "/"):
		id, ok = s[1:], true
		if i := strings.IndexByte(id, '/'); i >= 0 {
			id, rest = id[:i], id[i:]
		}
	}
	return id, rest, ok && ValidID(id)
}

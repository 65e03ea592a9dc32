package privacy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"pullprint/connector/directory"
	"pullprint/connector/store"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// ErrUnknownPerson says that the person could not be identified.
var ErrUnknownPerson = errors.New("nobody is known here by that name")

// identity is a person: the object id in lower case, and the user names that are theirs
// beyond doubt.
type identity struct {
	id    string
	names []string
	words []*regexp.Regexp // the names in texts; the id is the first
}

func newIdentity(id string, names ...string) identity {
	w := identity{id: id, names: names}
	for _, word := range append([]string{id}, names...) {
		w.words = append(w.words, regexp.MustCompile("(?i)"+regexp.QuoteMeta(word)))
	}
	return w
}

// is reports whether the value of a field is the person.
func (w identity) is(value string) bool {
	return strings.EqualFold(value, w.id) ||
		slices.ContainsFunc(w.names, func(n string) bool { return strings.EqualFold(n, value) })
}

// within reports whether the bytes of a record may tell of the person: what is not
// is not read any further. An escape may hide a letter.
func (w identity) within(raw []byte) bool {
	return slices.ContainsFunc(w.words, func(r *regexp.Regexp) bool { return r.Match(raw) }) ||
		strings.Contains(string(raw), `\u`)
}

// hide puts quota.Erased in a text wherever the id or a name of the person stands
// as a word of its own.
func (w identity) hide(text string) string {
	for i, word := range w.words {
		var out strings.Builder
		from := 0
		for _, at := range word.FindAllStringIndex(text, -1) {
			if partOfWord(text[:at[0]], text[at[1]:], i > 0) {
				continue
			}
			out.WriteString(text[from:at[0]] + quota.Erased)
			from = at[1]
		}
		if from > 0 {
			text = out.String() + text[from:]
		}
	}
	return text
}

// partOfWord reports whether what stands between before and after is part of a
// longer id or user name: anna@contoso.com is not joanna@contoso.com, and not
// anna@contoso.com.au.
func partOfWord(before, after string, name bool) bool {
	if name {
		if short := strings.TrimRight(before, ".'!#^~"); endsInWord(short) {
			return true
		}
		if rest, ok := strings.CutPrefix(after, "."); ok && beginsWithWord(rest) {
			return true
		}
	}
	return endsInWord(before) || beginsWithWord(after)
}

func endsInWord(s string) bool { return s != "" && inWord(s[len(s)-1]) }

func beginsWithWord(s string) bool { return s != "" && inWord(s[0]) }

func inWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= utf8.RuneSelf ||
		strings.IndexByte("_%+-@", c) >= 0
}

// enrolled are the user names on the badges of every person, in lower case, and on
// whose badges each stands.
type enrolled map[string]map[string]bool

func (p *People) enrolled(ctx context.Context) (enrolled, error) {
	out := enrolled{}
	err := each(ctx, p.Badges, func(_ string, value []byte, _ uint64) {
		var b struct {
			Owner string `json:"owner"`
			Name  string `json:"user_principal_name"`
		}
		if json.Unmarshal(value, &b) != nil || !graph.ValidUserName(b.Name) {
			return
		}
		name := strings.ToLower(b.Name)
		if out[name] == nil {
			out[name] = map[string]bool{}
		}
		out[name][strings.ToLower(b.Owner)] = true
	})
	return out, err
}

// otherNames reports whether the badges of an owner have another name than this one.
func (e enrolled) otherNames(owner, name string) bool {
	for other, owners := range e {
		if owners[owner] && !strings.EqualFold(other, name) {
			return true
		}
	}
	return false
}

// Resolve is the object id, in lower case, of the person that an object id or a user
// name stands for.
func (p *People) Resolve(ctx context.Context, user string) (string, error) {
	badges, err := p.enrolled(ctx)
	if err != nil {
		return "", err
	}
	return p.resolve(ctx, user, badges)
}

func (p *People) resolve(ctx context.Context, user string, badges enrolled) (string, error) {
	if id, ok := graph.CanonicalGUID(user); ok {
		return id, nil
	}
	if !graph.ValidUserName(user) {
		return "", fmt.Errorf("%w: write an Entra object ID (a GUID) or a user name like anna@contoso.com", ErrUnknownPerson)
	}
	owners := slices.Sorted(maps.Keys(badges[strings.ToLower(user)]))
	if p.Users == nil && len(owners) == 1 && badges.otherNames(owners[0], user) {
		return "", fmt.Errorf("%w: it stands on a badge of %s, whose badges have another name, too, and without the running "+
			"daemon Entra can't be asked whose it is; give the Entra object ID", ErrUnknownPerson, owners[0])
	}
	return p.named(ctx, user, owners)
}

// find is who an object id or a user name stands for.
func (p *People) find(ctx context.Context, user string) (identity, error) {
	badges, err := p.enrolled(ctx)
	if err != nil {
		return identity{}, err
	}
	id, err := p.resolve(ctx, user, badges)
	if err != nil {
		return identity{}, err
	}
	if err := p.isThing(ctx, id); err != nil {
		return identity{}, err
	}
	names, err := p.namesOf(ctx, id, badges)
	if err != nil {
		return identity{}, err
	}
	return newIdentity(id, names...), nil
}

// isAway reports whether Entra could not be asked, by a fault that will be mended. It is false
// when it refuses to tell: this service may have no right to read users, and then never knows
// more.
func isAway(err error) bool {
	ge, ok := errors.AsType[*graph.Error](err)
	return err != nil && (!ok || ge.Status != http.StatusForbidden)
}

// unasked is the error of a person whom Entra was to be asked for.
func unasked(err error) error {
	if isAway(err) {
		return fmt.Errorf("%w: %w; nothing was done: try again when Entra answers, or stop the daemon and use the verb without it",
			directory.ErrDirectory, err)
	}
	return fmt.Errorf("%w: %w; give the Entra object ID", directory.ErrDirectory, err)
}

// named is the object id of a user name; owners have it on their badges. Who enrols
// a badge writes any name on it, so a badge alone proves nothing while Entra can be
// asked: it counts when Entra knows neither the name nor the owner, who has been
// deleted there.
func (p *People) named(ctx context.Context, name string, owners []string) (string, error) {
	found, ok, err := p.user(ctx, name)
	switch {
	case err != nil:
		return "", unasked(err)
	case ok:
		return found.ID, nil
	case len(owners) > 1:
		return "", fmt.Errorf("%w: badges of several people have it: %s; give the Entra object ID", ErrUnknownPerson,
			firstOf(owners))
	case len(owners) == 0 && p.Users != nil:
		return "", fmt.Errorf("%w: Entra knows no user of that name, and no badge has it; if the account was deleted, "+
			"give its Entra object ID", ErrUnknownPerson)
	case len(owners) == 0:
		return "", fmt.Errorf("%w: no badge has it, and Entra is asked only by the running daemon; give the Entra object ID",
			ErrUnknownPerson)
	}
	id, ok := graph.CanonicalGUID(owners[0])
	if !ok {
		return "", fmt.Errorf("%w: the badge that has it belongs to no Entra object ID; revoke that badge by its --id",
			ErrUnknownPerson)
	}
	switch _, lives, err := p.user(ctx, id); {
	case err != nil:
		return "", unasked(err)
	case lives:
		return "", fmt.Errorf("%w: Entra knows no user of that name, and the owner of the badge that has it is a user of "+
			"another name; give the Entra object ID", ErrUnknownPerson)
	}
	return id, nil
}

// user looks a person up in Entra, which knows nobody where it can't be asked.
func (p *People) user(ctx context.Context, user string) (found graph.User, ok bool, err error) {
	if p.Users == nil {
		return graph.User{}, false, nil
	}
	return p.Users.User(ctx, user)
}

// firstOf lists ids, at most store.MaxNamed.
func firstOf(ids []string) string {
	text := strings.Join(ids[:min(len(ids), store.MaxNamed)], ", ")
	if more := len(ids) - store.MaxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// namesOf are the names that are a person's beyond doubt: the one that Entra tells,
// and those that stand on their badges and are nobody else's there or in Entra. It is an
// error when Entra could not be asked at the moment: what has a name that is not known would
// be left, and with the badges nothing tells later whose it is. When Entra refuses to tell,
// the badges alone do.
func (p *People) namesOf(ctx context.Context, id string, badges enrolled) ([]string, error) {
	names := []string{}
	switch u, ok, err := p.user(ctx, id); {
	case isAway(err):
		return nil, unasked(err)
	case err == nil && ok && graph.ValidUserName(u.UserPrincipalName):
		names = append(names, u.UserPrincipalName)
	}
	for _, name := range slices.Sorted(maps.Keys(badges)) {
		known := slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
		if known || !badges[name][id] || len(badges[name]) > 1 {
			continue
		}
		switch u, ok, err := p.user(ctx, name); {
		case isAway(err):
			return nil, unasked(err)
		case err == nil && ok && u.ID != id:
			continue
		}
		names = append(names, name)
	}
	return names, nil
}

package quota

import (
	"errors"
	"regexp"
	"strings"
)

// Kind is whose account it is.
type Kind string

// The kinds.
const (
	// User is a person's own.
	User Kind = "user"
	// Group is shared by a group of people.
	Group Kind = "group"
	// Center is a cost centre.
	Center Kind = "center"
)

// Account names an account: that of a person by their Entra object id.
type Account struct {
	Kind Kind
	Name string
}

var (
	accountName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	errAccount  = errors.New("not a valid account; write an Entra object id, group.NAME or center.NAME")
)

// Key is the account in one word, and its key in the store.
func (a Account) Key() string {
	if a.Kind == User {
		return a.Name
	}
	return string(a.Kind) + "." + a.Name
}

// ParseAccount reads a key.
func ParseAccount(key string) (Account, error) {
	a := Account{User, key}
	if kind, name, ok := strings.Cut(key, "."); ok {
		a = Account{Kind(kind), name}
		if a.Kind != Group && a.Kind != Center {
			return Account{}, errAccount
		}
	}
	if !accountName.MatchString(a.Name) {
		return Account{}, errAccount
	}
	return a, nil
}

// MarshalText writes the key.
func (a Account) MarshalText() ([]byte, error) { return []byte(a.Key()), nil }

// UnmarshalText reads a key.
func (a *Account) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAccount(string(text))
	return err
}

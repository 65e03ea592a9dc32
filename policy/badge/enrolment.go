package badge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The least that a number has to be, after the chain, to be enrolled: shorter ones are
// guessed, or are what is left of a misread card, and some readers tell of a card that
// they can't read as of zeros alone.
const minNumber = 4

// enrollable refuses a number that can't tell one card from all others.
func enrollable(canonical string) error {
	switch {
	case len(canonical) < minNumber:
		return fmt.Errorf("%w: fewer than %d characters are left of it; show the card again, or, where cards have such "+
			"short numbers, set a step as pad:10 or prefix in badges.normalise", ErrNumber, minNumber)
	case strings.Trim(canonical, "0") == "" || strings.Trim(canonical, "fF") == "":
		return fmt.Errorf("%w: it is all zeros or all F, which readers tell of a card that they can't read; show the card "+
			"again", ErrNumber)
	}
	return nil
}

// Enrolment says whose badge it shall be.
type Enrolment struct {
	Owner             string
	UserPrincipalName string
	Expires           time.Time
	By                string
	// Replace takes the badge away from whoever has it now.
	Replace bool
	// AsIs takes the numbers of a CSV file that look as if a spreadsheet had changed
	// them, where that can't be told for sure.
	AsIs bool
	// Begin, when set, is told how many badges a CSV file holds when its rows have been
	// read, before anything is done with them; an error of it ends the import.
	Begin func(badges int) error
	// KeepRevoked leaves a revoked badge revoked, unless Replace is set: the error is
	// ErrRevoked. An import does so: a list that is enrolled each night would bring every
	// lost card back.
	KeepRevoked bool
	// SkipInvalid has an import leave out the rows that are wrong and enrol the others.
	// Left, when set, is told after an import of the rows that were not enrolled, how many
	// of which are wrong, and how many are of revoked badges.
	SkipInvalid bool
	Left        func(rows []*RowError, skipped, revoked int)
	// Warned, when set, is told after an import of the rows whose numbers are odd, as
	// Badge.Warning tells of one badge.
	Warned func(rows []*RowError)
	// Zone is where the day of a date alone ends that a CSV file gives as the end of a
	// badge; nil is UTC. Dated, when set, is told that an import has such a date.
	Zone  *time.Location
	Dated func()
	// Code is what a code of IssueCode is for.
	Code Purpose
	Now  time.Time
}

// mistakes is how many mistakes of a file are looked for: each, where the others are stored.
func (e Enrolment) mistakes() int {
	if e.SkipInvalid {
		return maxRows
	}
	return maxMistakes
}

func (e Enrolment) check() error {
	_, err := e.wrong()
	return err
}

// wrong also names the column of a CSV file that the mistake stands in.
func (e Enrolment) wrong() (column string, err error) {
	switch {
	case !guid.MatchString(canonicalOwner(e.Owner)):
		return "owner", fmt.Errorf("%w: the owner is an Entra object id, as 11111111-2222-4333-8444-555555555555, or a "+
			"user name like anna@contoso.com", ErrEnrolment)
	case !e.Expires.IsZero() && !e.Expires.After(e.Now):
		return "expires", fmt.Errorf("%w: it would have expired already", ErrEnrolment)
	case len(e.UserPrincipalName) > 256 || !utf8.ValidString(e.UserPrincipalName) ||
		strings.ContainsFunc(e.UserPrincipalName, unicode.IsControl):
		return "user_principal_name",
			fmt.Errorf("%w: the user principal name is too long or has characters that can't be in one", ErrEnrolment)
	case e.UserPrincipalName != "" && (strings.Count(e.UserPrincipalName, "@") != 1 ||
		strings.ContainsFunc(e.UserPrincipalName, unicode.IsSpace)):
		return "user_principal_name", fmt.Errorf("%w: the user principal name is none like anna@contoso.com", ErrEnrolment)
	}
	return "", nil
}

// Enrol makes a badge its owner's. Doing it again changes nothing but its end;
// taking it from somebody else needs e.Replace, or is ErrTaken; what the directory gives
// to somebody else is ErrAssigned.
func (reg *Registry) Enrol(ctx context.Context, number string, e Enrolment) (Badge, error) {
	if err := e.check(); err != nil {
		return Badge{}, err
	}
	e.Owner = canonicalOwner(e.Owner)
	canonical, err := reg.chain.Apply(number)
	if err != nil {
		return Badge{}, err
	}
	if err := enrollable(canonical); err != nil {
		return Badge{}, err
	}
	if err := reg.checkAssigned(ctx, canonical, e.Owner); err != nil {
		return Badge{}, err
	}
	return reg.enrol(ctx, number, canonical, e)
}

// enrol is Enrol when everything about the enrolment has been checked but what is stored.
func (reg *Registry) enrol(ctx context.Context, number, canonical string, e Enrolment) (Badge, error) {
	to := storeKey(reg.keys.list[0], canonical)
	for range maxConflicts {
		old, copies, err := reg.findNumber(ctx, number, canonical)
		damaged := errors.Is(err, ErrDamaged) // whose it was can't be told: it is enrolled anew
		if err != nil && !damaged && !errors.Is(err, ErrUnknown) {
			return Badge{}, err
		}
		there := len(copies) > 0 && !damaged
		if err := e.mayReplace(old, there); err != nil {
			return Badge{}, err
		}
		fresh := e.badge(idOf(to), old, there)
		if ok, err := reg.consolidate(ctx, to, fresh, copies); err != nil || ok {
			fresh.Warning = Odd(canonical)
			return fresh, err
		}
	}
	return Badge{}, ErrConflict
}

// mayReplace reports with an error that an enrolment takes away what is stored of the badge, if
// anything is there.
func (e Enrolment) mayReplace(old Badge, there bool) error {
	switch {
	case e.Replace || !there:
	case old.valid(e.Now) == nil && old.Owner != e.Owner:
		return ErrTaken
	case e.KeepRevoked && !old.Revoked.IsZero():
		return ErrRevoked
	}
	return nil
}

// badge is what is stored of an enrolment: an old badge, if one is there, keeps its id, and one
// of the same owner that is valid when and by whom it was enrolled.
func (e Enrolment) badge(id string, old Badge, there bool) Badge {
	fresh := Badge{
		ID: id, Owner: e.Owner, UserPrincipalName: e.UserPrincipalName, Enrolled: e.Now.UTC().Round(0), By: e.By,
		Expires: e.Expires,
	}
	if there {
		fresh.ID = old.ID
	}
	if there && old.Owner == e.Owner && old.valid(e.Now) == nil {
		fresh.Enrolled, fresh.By = old.Enrolled, old.By
	}
	return fresh
}

package admin

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/policy/badge"
	"pullprint/policy/strictyaml"
)

// defaultCode is how long a one-time code is valid when nothing is said.
const defaultCode = 24 * time.Hour

// maxWholeList is how many badges are listed to a client that asks for no page, as those of
// an earlier version do: some megabytes. If there are more, the request is refused, so that
// no client takes a part for the whole list.
const maxWholeList = 10_000

func (a *API) listBadges(r *request) (any, error) {
	if a.Badges == nil {
		return nil, ErrNoBadges
	}
	q, err := Query(r.URL.Query(), "owner", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	limit, err := pageSize(q.Get("limit"))
	if err != nil {
		return nil, err
	}
	after, err := badgeCursor(q.Get("cursor"))
	if err != nil {
		return nil, err
	}
	owner, err := a.owner(r.Context(), "owner", q.Get("owner"))
	if err != nil {
		return nil, err
	}
	out := apiclient.BadgeList{Badges: []badge.Badge{}}
	if q.Get("limit") != "" || after > 0 {
		page, next, err := a.Badges.Page(r.Context(), owner, after, limit)
		out.Badges = append(out.Badges, page...)
		if next > 0 {
			out.Next = strconv.FormatUint(next, 10)
		}
		return out, err
	}
	err = a.Badges.List(r.Context(), owner, func(b badge.Badge) error {
		if len(out.Badges) == maxWholeList {
			return badRequest("there are more than %d badges: ask for them page by page, with limit and cursor", maxWholeList)
		}
		out.Badges = append(out.Badges, b)
		return nil
	})
	slices.SortFunc(out.Badges, func(x, y badge.Badge) int { return y.Enrolled.Compare(x.Enrolled) })
	return out, err
}

// badgeCursor is the revision that an earlier page ended at.
func badgeCursor(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	after, err := strconv.ParseUint(text, 10, 64)
	if err != nil || after == 0 {
		return 0, badCursor()
	}
	return after, nil
}

func (a *API) enrolBadge(r *request) (any, error) {
	var in apiclient.EnrolBody
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if a.Badges == nil {
		return nil, ErrNoBadges
	}
	if in.Badge == "" || in.Owner == "" {
		return nil, badRequest("badge and owner are needed")
	}
	owner, warning, err := a.newOwner(r.Context(), "owner", in.Owner)
	if err != nil {
		return nil, err
	}
	name, unchecked, err := a.newOwnerName(r.Context(), in.Owner, in.UserPrincipalName)
	if err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), apiclient.Action{Owner: owner}); err != nil {
		return nil, err
	}
	done, err := a.Badges.Enrol(r.Context(), in.Badge, badge.Enrolment{
		Owner: owner, UserPrincipalName: name, Expires: in.Expires, Replace: in.Replace, By: r.caller.Name,
		Now: time.Now(),
	})
	done.Warning = cmp.Or(done.Warning, warning, unchecked)
	return done, err
}

func (a *API) revokeBadges(r *request) (any, error) {
	var in apiclient.RevokeBody
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if a.Badges == nil {
		return nil, ErrNoBadges
	}
	given := slices.DeleteFunc([]string{in.Badge, in.ID, in.Owner, in.KeyID}, func(s string) bool { return s == "" })
	if len(given) != 1 && (len(given) != 2 || in.ID == "" || in.Owner == "") {
		return nil, badRequest("exactly one of badge, id, owner and key_id is needed; owner may stand beside id")
	}
	err := checkLine("note", in.Note)
	if err != nil {
		return nil, err
	}
	if in.Owner, err = a.owner(r.Context(), "owner", in.Owner); err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), apiclient.Action{Owner: in.Owner, Badge: in.ID, Note: in.Note}); err != nil {
		return nil, err
	}
	done, err := a.Badges.Revoke(r.Context(), badge.Which{Number: in.Badge, ID: in.ID, Owner: in.Owner, KeyID: in.KeyID},
		r.caller.Name, time.Now())
	if errors.Is(err, badge.ErrUnknown) {
		return nil, noSuchBadge(&in)
	}
	if done == nil {
		done = []badge.Badge{}
	}
	return apiclient.BadgeList{Badges: done}, err
}

// noSuchBadge says what no badge has that is to be revoked.
func noSuchBadge(in *apiclient.RevokeBody) *apiclient.Problem {
	detail := "Nobody has enrolled it."
	switch {
	case in.ID != "" && in.Owner != "":
		detail = "This person has none of this id."
	case in.ID != "":
		detail = "Nobody has enrolled it under this id; write the id as `pullprint badge list` shows it."
	case in.Owner != "":
		detail = "This person has none."
	case in.KeyID != "":
		detail = "No badge was enrolled under this key; `pullprint health` names the keys that badges lack."
	}
	return failure(http.StatusNotFound, "no-such-badge", "There is no such badge", detail)
}

func (a *API) importBadges(r *request) (any, error) {
	if a.Badges == nil {
		return nil, ErrNoBadges
	}
	q, err := Query(r.URL.Query(), "replace", "as_is", "skip_invalid")
	if err != nil {
		return nil, err
	}
	select {
	case a.imports <- struct{}{}:
		defer func() { <-a.imports }()
	default:
		return nil, busy()
	}
	var out apiclient.Imported
	zone := a.Zone()
	replace, asIs, skip := q.Get("replace") == "true", q.Get("as_is") == "true", q.Get("skip_invalid") == "true"
	out.Enrolled, err = a.Badges.Import(r.Context(), r.Body, badge.Enrolment{
		By: r.caller.Name, Now: time.Now(), Replace: replace, AsIs: asIs, SkipInvalid: skip,
		Left: func(rows []*badge.RowError, skipped, revoked int) {
			out.Left, out.Skipped, out.Revoked = rows, skipped, revoked
		},
		Begin: func(badges int) error {
			return r.audit(r.Context(), apiclient.Action{Count: badges, Replace: replace, AsIs: asIs, SkipInvalid: skip})
		},
		Warned: func(rows []*badge.RowError) { out.Warnings = rows },
		Zone:   zone,
		Dated:  func() { out.DatesIn = zoneName(zone, time.Now()) },
	})
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, failure(http.StatusRequestEntityTooLarge, "too-large", "The file is too large",
			fmt.Sprintf("At most %d bytes; split it.", tooLarge.Limit))
	}
	return out, err
}

func (a *API) issueCode(r *request) (any, error) {
	var in apiclient.CodeBody
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if a.Badges == nil {
		return nil, ErrNoBadges
	}
	purpose, ok := badge.PurposeOf(in.For)
	if !ok {
		return nil, badRequest("for must be badge, visit or pin")
	}
	life := defaultCode
	if in.ValidFor != "" {
		var err error
		if life, err = strictyaml.ParseDuration(in.ValidFor); err != nil {
			return nil, badRequest("valid_for must be a duration, as 24h or 7d")
		}
	}
	owner, _, err := a.newOwner(r.Context(), "owner", in.Owner)
	if err != nil {
		return nil, err
	}
	if owner == "" {
		return nil, badRequest("owner is needed")
	}
	name, _, err := a.newOwnerName(r.Context(), in.Owner, in.UserPrincipalName)
	if err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), apiclient.Action{Owner: owner, For: string(purpose)}); err != nil {
		return nil, err
	}
	now := time.Now()
	code, err := a.Badges.IssueCode(r.Context(), badge.Enrolment{
		Owner: owner, UserPrincipalName: name, By: r.caller.Name, Code: purpose, Now: now,
	}, life, rand.Reader)
	if err != nil {
		return nil, err
	}
	return apiclient.CodeIssued{Code: code, Expires: now.Add(life)}, nil
}

// Zone is the one in which the policy counts, or else that of this machine.
func (a *API) Zone() *time.Location {
	zone := time.UTC
	if a.Evaluator != nil {
		zone = a.Evaluator.Policy().Zone()
	}
	if zone == time.UTC { // also when the policy says nothing
		return time.Local
	}
	return zone
}

// zoneName names a zone to people; that of the machine by what its clock shows.
func zoneName(zone *time.Location, now time.Time) string {
	if zone == time.Local {
		return now.In(zone).Format("MST (-07:00), the zone of the machine")
	}
	return zone.String()
}

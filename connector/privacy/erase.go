package privacy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pullprint/connector/delegation"
	"pullprint/connector/directory"
	"pullprint/connector/job"
	"pullprint/connector/notice"
	"pullprint/connector/store"
	"pullprint/connector/terminal"
	"pullprint/policy/pin"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
)

// Erase erases a person, by Entra object id or user name: their records are removed, and in
// records of others they are replaced by quota.Erased. It fails while the person has jobs that
// have not ended or are still being paid for. Records with too many concurrent updates are
// left, and so are accounts that can't be read and may be about the person; then the error is
// an ErrLeft, after the rest was erased.
//
// Crash safety: badges are removed last, because only they tell whose a name is. If the process
// dies here, Erase is called again and finds the rest.
func (p *People) Erase(ctx context.Context, user string, how Erasure) (Erased, error) {
	var done Erased
	w, err := p.find(ctx, user)
	if err != nil {
		return done, err
	}
	done.Owner = w.id
	if done.Canceled, err = p.finish(ctx, w, how); err != nil {
		return done, err
	}
	accounts, damaged, err := p.eraseAccounts(ctx, w, how, &done)
	if err != nil {
		return done, err
	}
	if err := p.eraseStored(ctx, w, &done); err != nil {
		return done, err
	}
	if p.Offline {
		if err := p.forget(ctx, w, how); err != nil {
			return done, err
		}
	}
	done.Removed += accounts
	if damaged != nil {
		return done, fmt.Errorf("%w: %w; restore the store from a backup, or give them up by `pullprint accept-loss`, and "+
			"do it again", ErrLeft, damaged)
	}
	if done.None() {
		return done, p.nobody(ctx, w.id)
	}
	return done, nil
}

// eraseAccounts removes a person's accounts and takes the person out of those of others; damaged is not
// nil when some can't be read.
func (p *People) eraseAccounts(
	ctx context.Context, w identity, how Erasure, done *Erased,
) (accounts int, damaged *ledger.Damaged, err error) {
	accounts, err = p.Ledger.Erase(ctx, w.id, how.ForgetBudget, time.Now())
	switch {
	case errors.As(err, &damaged):
	case errors.Is(err, quota.ErrOpen):
		return 0, nil, fmt.Errorf("%w: %w; try again in a few minutes", ErrUnfinished, err)
	case err != nil:
		return 0, nil, err
	}
	if done.Rewritten, err = p.Ledger.Redact(ctx, w.hide, time.Now()); err != nil {
		return 0, nil, fmt.Errorf("%w: %w; do it again, it goes on from there", ErrLeft, err)
	}
	return accounts, damaged, nil
}

// eraseStored removes a person's records, and takes the person out of those of others.
func (p *People) eraseStored(ctx context.Context, w identity, done *Erased) error {
	eraseKeys := func(of ...holding) error {
		for _, h := range of {
			if err := p.eraseKeys(ctx, h, w, done); err != nil {
				return err
			}
		}
		return nil
	}
	// Delegations end before what was done by them is looked for: nothing is added to it then.
	if err := eraseKeys(p.state(), p.jobs()); err != nil {
		return err
	}
	for _, r := range records {
		if err := p.eraseRecords(ctx, r, w, done); err != nil {
			return err
		}
	}
	return eraseKeys(p.state(), p.badges())
}

// nobody refuses, where Entra can be asked, an object id that it does not know and of which
// nothing is stored: it is mistyped. Offline it is not known whether there is such a person.
func (p *People) nobody(ctx context.Context, id string) error {
	if p.Users == nil {
		return nil
	}
	switch _, ok, err := p.Users.User(ctx, id); {
	case err != nil:
		return fmt.Errorf("%w: %w; nothing is stored about %s: 0 records", directory.ErrDirectory, err, id)
	case !ok:
		return fmt.Errorf("%w: nothing is stored about %s: 0 records, and Entra knows no user with that object ID; look for "+
			"a typing error", ErrUnknownPerson, id)
	}
	return nil
}

// forget removes the traces of keys that were removed. An earlier version may have
// stored ids as they were typed: lower case or capitals.
func (p *People) forget(ctx context.Context, w identity, how Erasure) error {
	for _, id := range []string{w.id, strings.ToUpper(w.id)} {
		if err := p.Jobs.Forget(ctx, id+".>"); err != nil {
			return err
		}
		for _, filter := range []string{
			delegation.Prefix + id + ".>", delegation.Prefix + "*." + id, "notices.person." + id, notice.ChoicePrefix + id,
		} {
			if err := p.State.Forget(ctx, filter); err != nil {
				return err
			}
		}
		for _, key := range pin.Keys(id) {
			if err := p.Badges.Forget(ctx, key); err != nil {
				return err
			}
		}
		if !how.ForgetBudget {
			continue
		}
		if err := p.Quota.Forget(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// waitingJob is a job that has not come to its end.
type waitingJob struct {
	key string
	job string
}

// finish refuses a person with jobs that have not come to their end, or aborts
// those that are held. Jobs of others that the person pays for, or that are acted on by what
// the person did, are in the way, too: whoever acts on them stores what they have in hand.
func (p *People) finish(ctx context.Context, w identity, how Erasure) (canceled int, err error) {
	waiting, paid, acted, err := p.openJobs(ctx, w)
	switch {
	case err != nil:
		return 0, fmt.Errorf("look for the person's jobs: %w", err)
	case paid > 0:
		return 0, fmt.Errorf("%w: %s of others to be paid from the person's account; let them be released or "+
			"cancel them", ErrUnfinished, terminal.Counted(paid, "job"))
	case acted > 0:
		return 0, fmt.Errorf("%w: the person is releasing or canceling %s of others; try again in a few minutes",
			ErrUnfinished, terminal.Counted(acted, "job"))
	case len(waiting) == 0:
		return 0, nil
	case !how.CancelHeld, p.Cancel == nil:
		return 0, fmt.Errorf("%w: %d; let them be released, or have those that are held aborted with --cancel-held while "+
			"the daemon runs", ErrUnfinished, len(waiting))
	}
	for _, o := range waiting {
		if err := p.Cancel(ctx, o.key, how.Actor); err != nil {
			return canceled, fmt.Errorf("%w: job %s: %w", ErrUnfinished, o.job, err)
		}
		canceled++
	}
	return canceled, nil
}

// openJobs finds the jobs that have not come to their end: those of a person, and how many of others
// the person pays for, or acts on.
func (p *People) openJobs(ctx context.Context, w identity) (waiting []waitingJob, paid, acted int, err error) {
	jobs := p.jobs()
	err = p.Jobs.Each(ctx, ">", func(key string, value []byte, _ uint64) error {
		if !w.within(value) && !w.within([]byte(key)) {
			return nil
		}
		var rec job.Record
		if json.Unmarshal(value, &rec) != nil || rec.State.Final() {
			return nil // nobody can go on with what can't be read
		}
		switch {
		case jobs.own(w, key, value):
			waiting = append(waiting, waitingJob{key, rec.Job})
		case paidBy(w, &rec):
			paid++
		case rec.State.Intent() && jobs.fields(key).concerns(w, value):
			acted++
		}
		return nil
	})
	return waiting, paid, acted, err
}

// paidBy reports whether a person's account pays for a job, or does again when a newer
// charge comes to nothing or an earlier try is found to have been made.
func paidBy(w identity, rec *job.Record) bool {
	charges := []*job.Charge{rec.Charge}
	for i := range rec.Tries {
		charges = append(charges, rec.Tries[i].Charge)
	}
	for _, c := range charges {
		for ; c != nil; c = c.Before {
			if slices.ContainsFunc(c.Accounts(), func(a quota.Account) bool { return w.is(a.Key()) }) {
				return true
			}
		}
	}
	return false
}

// told is a key that tells of a person.
type told struct {
	key   string
	value []byte
	rev   uint64
}

// eraseKeys removes the keys of a bucket that are a person's, and takes them out of
// those of others. It goes through all, then says how many are left.
func (p *People) eraseKeys(ctx context.Context, h holding, w identity, done *Erased) error {
	var list []told
	err := each(ctx, h.kv, func(key string, value []byte, rev uint64) {
		if h.own(w, key, value) || h.fields(key).concerns(w, value) {
			list = append(list, told{key, bytes.Clone(value), rev})
		}
	})
	if err != nil {
		return err
	}
	busy := 0
	for _, f := range list {
		ok, err := p.eraseKey(ctx, h, w, f, done)
		if err != nil {
			return err
		}
		if !ok {
			busy++
		}
	}
	if busy > 0 {
		return fmt.Errorf("%w: %s of the bucket for %s, which others change all the while; do it again, it goes "+
			"on from there", ErrLeft, terminal.Counted(busy, "record"), h.name)
	}
	return nil
}

// eraseKey erases a key, or what is in it of a person, as it is by now. ok is false
// when others change it all the while.
func (p *People) eraseKey(ctx context.Context, h holding, w identity, f told, done *Erased) (ok bool, err error) {
	for range store.MaxConflicts {
		own := h.own(w, f.key, f.value)
		switch {
		case own && h.name == "jobs" && !stateOf(f.value).Final():
			return false, fmt.Errorf("%w: a job came meanwhile; do it again", ErrUnfinished)
		case own:
			ok, err = h.kv.Delete(ctx, f.key, f.rev)
		default:
			text, changed := h.fields(f.key).without(w, f.value)
			if !changed {
				return true, nil
			}
			if h.name == "jobs" && stateOf(f.value).Intent() {
				return false, fmt.Errorf("%w: a job is released or canceled by the person meanwhile; do it again in a few minutes",
					ErrUnfinished)
			}
			_, ok, err = h.kv.CompareAndSet(ctx, f.key, text, f.rev, h.life(f.value))
		}
		switch {
		case err != nil:
			return false, fmt.Errorf("erase the person: %w", err)
		case ok && own:
			done.Removed++
			return true, nil
		case ok:
			done.Rewritten++
			return true, nil
		}
		if f.value, f.rev, err = h.kv.Get(ctx, f.key); err != nil {
			return false, fmt.Errorf("erase the person: %w", err)
		}
		if f.rev == 0 {
			return true, nil
		}
	}
	return false, nil
}

// stateOf is the state of a job record. One that can't be read is gone: nothing becomes of it.
func stateOf(value []byte) job.State {
	var rec job.Record
	if json.Unmarshal(value, &rec) != nil {
		return job.Gone
	}
	return rec.State
}

// eraseRecords removes the records of a stream that are a person's own. One that
// only tells of them is stored again without, at the end, before it is removed.
func (p *People) eraseRecords(ctx context.Context, r record, w identity, done *Erased) error {
	var remove []uint64
	var rewrite []store.Record
	err := p.scan(ctx, r.kind, func(rec store.Record) {
		own := r.own(w, rec.Body)
		body, changed := rec.Body, false
		if !own && w.within(rec.Body) {
			body, changed = r.fields.without(w, rec.Body)
		}
		if own || changed {
			remove = append(remove, rec.Sequence)
		}
		if changed {
			rec.Body = bytes.Clone(body)
			if r.moved != nil {
				rec.Body = r.moved(rec.Body, rec.Sequence)
			}
			rewrite = append(rewrite, rec)
		}
	})
	if err != nil {
		return err
	}
	for _, rec := range rewrite {
		if err := p.Records.Rewrite(ctx, r.kind, rec, fmt.Sprintf("erased:%d", rec.Sequence)); err != nil {
			return err
		}
		done.Rewritten++
	}
	if err := p.Records.Remove(ctx, r.kind, remove); err != nil {
		return err
	}
	done.Removed += len(remove) - len(rewrite)
	return nil
}

package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/notice"
	"pullprint/connector/recovery"
)

// attempt is a message that was tried, and what became of that.
type attempt struct {
	b       *loaded
	channel string
	err     error
}

// sendDue sends the messages whose time has come, one of each person, until none is left or the
// channel does not work.
func (p *delivery) sendDue(ctx context.Context) error {
	for ctx.Err() == nil {
		now := time.Now()
		if now.Before(p.until) {
			return nil
		}
		tries, err := p.begin(ctx, now)
		if err != nil || len(tries) == 0 {
			return err
		}
		var g errgroup.Group
		for i := range tries {
			g.Go(func() error {
				if err := recovery.Catch(func() error { p.send(ctx, &tries[i]); return nil }); err != nil {
					tries[i].err = err
				}
				return nil
			})
		}
		_ = g.Wait() // send returns no error
		if ctx.Err() != nil {
			return ctx.Err() // whatever it says, the end of this process is the cause
		}
		var down *Down
		for i := range tries {
			if err := p.end(ctx, &tries[i]); err != nil {
				return err
			}
			if server, is := errors.AsType[*Down](tries[i].err); is {
				down = server
			}
		}
		p.noteDown(down)
	}
	return ctx.Err()
}

// noteDown notes whether the channel works: while it does not, one message is tried now and then.
func (p *delivery) noteDown(down *Down) {
	if down == nil {
		p.failures = 0
		return
	}
	p.failures++
	p.until = time.Now().Add(max(downFor.Pause(p.failures), down.After))
}

// begin chooses messages that are due and notes that they are tried. While the channel does not work
// it is one.
func (p *delivery) begin(ctx context.Context, now time.Time) ([]attempt, error) {
	most := sendAtOnce
	if p.failures > 0 {
		most = 1
	}
	var due []*loaded
	for _, b := range p.boxes {
		if !b.next(now).After(now) {
			if due = append(due, b); len(due) == most {
				break
			}
		}
	}
	var tries []attempt
	for _, b := range due {
		b.try(now)
		ok, err := p.store(ctx, b)
		if err != nil {
			return nil, err
		}
		if ok {
			tries = append(tries, attempt{b: b, channel: p.o.Channels[0].Name()})
		}
	}
	return tries, nil
}

// send tries the channels in order until one knows an address of the person.
func (p *delivery) send(ctx context.Context, a *attempt) {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	w := &a.b.Waiting[0]
	if n := &w.Notice; n.Kind == notice.HoldEnding && !n.HoldUntil.After(time.Now()) {
		a.err = &Refused{Why: "the hold had ended before it could be sent"}
		return
	}
	if a.err = p.wanted(ctx, a.b.Owner, w.Notice.Kind); a.err != nil {
		return
	}
	text, err := p.o.Texts.render(ctx, &w.Notice, w.Count)
	if err != nil {
		a.err = &Refused{Why: "the template could not be carried out", Err: err}
		return
	}
	text.ID, text.Owner = digest(w.Notice.ID)+"."+w.Notice.Kind, a.b.Owner
	for _, c := range p.o.Channels {
		a.channel = c.Name()
		a.err = c.Send(ctx, text)
		if !errors.Is(a.err, ErrNoAddress) {
			return
		}
	}
}

// wanted reports with errOptedOut that a person does not want a kind of notice.
func (p *delivery) wanted(ctx context.Context, owner, kind string) error {
	if p.o.Choices == nil || notice.Mandatory(kind) {
		return nil
	}
	off, err := p.o.Choices.Off(ctx, owner)
	if err == nil && slices.Contains(off, kind) {
		return errOptedOut
	}
	return err
}

// end stores what became of a message.
func (p *delivery) end(ctx context.Context, a *attempt) error {
	w, now := a.b.Waiting[0], time.Now()
	refused, final := errors.AsType[*Refused](a.err)
	result := resultRetried
	switch {
	case a.err == nil:
		result = resultSent
	case errors.Is(a.err, ErrNoAddress):
		result = resultNoAddress
	case errors.Is(a.err, errOptedOut):
		result = resultOptedOut
	case final || a.b.tired(now):
		result = resultDead
	}
	fields := []zap.Field{
		zap.String("channel", a.channel), zap.String("kind", w.Notice.Kind), zap.String("notice", w.Notice.ID), zap.Int("tries", w.Tries),
	}
	if result == resultRetried {
		p.metrics.count(a.channel, w.Notice.Kind, result)
		p.log.Warn("notice not sent, tried again", append(fields, zap.Error(a.err))...)
		return nil
	}
	if result == resultDead {
		why := triedForADay + a.err.Error()
		if final {
			why = refused.Error()
		}
		d := DeadLetter{
			At: now, ID: w.Notice.ID, Kind: w.Notice.Kind, Owner: a.b.Owner, Channel: a.channel, Error: why, Tries: w.Tries, Count: w.Count,
		}
		if err := p.storeDead(ctx, w.Notice.ID+":dead", &d); err != nil {
			return err
		}
		p.log.Error("notice given up", append(fields, zap.String("cause", why))...)
	}
	a.b.done(result == resultSent, now)
	ok, err := p.store(ctx, a.b)
	if err != nil {
		return err
	}
	if !ok {
		return nil // the person was erased meanwhile, or another instance has the box: store has read it again
	}
	p.metrics.count(a.channel, w.Notice.Kind, result)
	switch result {
	case resultSent:
		p.log.Info("notice sent", fields...)
	case resultNoAddress:
		p.log.Info("notice not sent: the person has no address", fields...)
	case resultOptedOut:
		p.log.Debug("notice not sent: the person does not want this kind", fields...)
	}
	return nil
}

// DeadLetter is a record of PULLPRINT_DEAD about a notice that was given up, and why.
type DeadLetter struct {
	At      time.Time `json:"at"`
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Owner   string    `json:"owner"`
	Channel string    `json:"channel"`
	// Webhook is the host of the one that did not take it.
	Webhook string `json:"webhook,omitempty"`
	Error   string `json:"error"`
	Tries   int    `json:"tries"`
	Count   int    `json:"count"`
}

// triedForADay is before the last error of what was given up for its age.
const triedForADay = "tried for a day: "

// storeDead stores a dead letter. A repeat after a crash changes nothing.
func (n *Notifier) storeDead(ctx context.Context, msgID string, d *DeadLetter) error {
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode dead letter: %w", err)
	}
	if err := n.o.Dead.PublishDeadNotice(ctx, msgID, body); err != nil {
		return fmt.Errorf("store dead letter: %w", err)
	}
	return nil
}

package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/notice"
	"pullprint/connector/recovery"
)

// attempt is a message that was tried, and what became of that.
type attempt struct {
	b *loaded
	// channel is the index of the one that was tried last, and err what it said.
	channel int
	err     error
	// passed are those before it, which will not take the message.
	passed []pass
	// answers are what channels said of themselves, by index.
	answers map[int]error
}

// sendDue sends the messages whose time has come, one of each person, until none is left or no channel
// works.
func (p *delivery) sendDue(ctx context.Context) error {
	for ctx.Err() == nil {
		tries, err := p.begin(ctx, time.Now())
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
		for i := range tries {
			if err := p.end(ctx, &tries[i]); err != nil {
				return err
			}
		}
		p.noteOutages(tries)
	}
	return ctx.Err()
}

// begin chooses messages that are due and notes that they are tried. While a channel does not work it
// is one for that.
func (p *delivery) begin(ctx context.Context, now time.Time) ([]attempt, error) {
	var due []attempt
	probed := map[int]bool{}
	for _, b := range p.boxes {
		channel, at := p.choose(&b.Waiting[0], now)
		if b.next(now).After(now) || at.After(now) || probed[channel] {
			continue
		}
		probed[channel] = !at.IsZero()
		if due = append(due, attempt{b: b, channel: channel}); len(due) == sendAtOnce {
			break
		}
	}
	var tries []attempt
	for _, a := range due {
		a.b.try(now)
		ok, err := p.store(ctx, a.b)
		if err != nil {
			return nil, err
		}
		if ok {
			tries = append(tries, a)
		}
	}
	return tries, nil
}

// send tries the channels in order until one takes the message, or may take it later.
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
	a.answers = map[int]error{}
	for {
		a.err = p.o.Channels[a.channel].Send(ctx, text)
		a.answers[a.channel] = a.err
		next, left := p.after(w, a.channel)
		if ctx.Err() != nil || !left || !p.passesOn(a.channel, a.err) {
			return
		}
		a.passed = append(a.passed, p.passed(a.channel, a.err, ""))
		a.channel = next
		if o := &p.outages[next]; o.until.After(time.Now()) {
			a.err = o.down
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

// resultOf says what becomes of a message now.
func (p *delivery) resultOf(a *attempt, now time.Time) string {
	w := &a.b.Waiting[0]
	_, left := p.after(w, a.channel)
	left = left && a.answers != nil // else it is about the message, not about a channel
	switch {
	case a.err == nil:
		return resultSent
	case errors.Is(a.err, errOptedOut):
		return resultOptedOut
	case left && (final(a.err) || a.b.slow(now)):
		return resultNext
	case errors.Is(a.err, ErrNoAddress) && !w.refused():
		return resultNoAddress
	case final(a.err), a.b.tired(now):
		return resultDead
	}
	return resultRetried
}

// end stores what became of a message.
func (p *delivery) end(ctx context.Context, a *attempt) error {
	now := time.Now()
	for _, by := range a.passed {
		p.passOn(a.b, by)
	}
	result, by := p.resultOf(a, now), p.passed(a.channel, a.err, triedForADay)
	switch result {
	case resultRetried:
		w := &a.b.Waiting[0]
		p.metrics.count(by.Channel, w.Notice.Kind, result)
		p.log.Warn("notice not sent, tried again", append(w.fields(by.Channel), zap.Error(a.err))...)
		if len(a.passed) == 0 {
			return nil // begin has stored it
		}
		_, err := p.store(ctx, a.b)
		return err
	case resultNext:
		p.passOn(a.b, p.passed(a.channel, a.err, triedForAnHour))
		a.b.Waiting[0].Next = now
		_, err := p.store(ctx, a.b)
		return err
	case resultDead:
		if err := p.giveUp(ctx, a.b, by); err != nil {
			return err
		}
	}
	w := a.b.Waiting[0]
	a.b.done(result == resultSent, now)
	ok, err := p.store(ctx, a.b)
	if err != nil || !ok {
		return err // not ok: the person was erased meanwhile, or another instance has the box: store has read it again
	}
	p.metrics.count(by.Channel, w.Notice.Kind, result)
	switch result {
	case resultSent:
		p.log.Info("notice sent", w.fields(by.Channel)...)
	case resultNoAddress:
		p.log.Info("notice not sent: the person has no address", append(w.fields(by.Channel), zap.String("cause", by.Why))...)
	case resultOptedOut:
		p.log.Debug("notice not sent: the person does not want this kind", w.fields(by.Channel)...)
	}
	return nil
}

// giveUp makes a dead letter of the first message of a box, of which last is the channel that was tried
// last.
func (p *delivery) giveUp(ctx context.Context, b *loaded, last pass) error {
	w, why := &b.Waiting[0], last.Why
	if len(w.Passed) > 0 {
		var list []string
		for _, by := range append(slices.Clone(w.Passed), last) {
			list = append(list, by.Channel+": "+by.Why)
		}
		why = strings.Join(list, "; ")
	}
	err := p.storeDead(ctx, w.Notice.ID+":dead", &DeadLetter{
		At: time.Now(), ID: w.Notice.ID, Kind: w.Notice.Kind, Owner: b.Owner, Channel: last.Channel, Error: why, Tries: w.Tries,
		Count: w.Count,
	})
	if err != nil {
		return err
	}
	p.log.Error("notice given up", append(w.fields(last.Channel), zap.String("cause", why))...)
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

// What is before the last error of what was given up for its age, and of what went by another channel.
const (
	triedForADay   = "tried for a day: "
	triedForAnHour = "tried for an hour: "
)

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

package notify

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
)

const (
	// passAfter is how long a message is tried by a channel that has one after it: mail servers that put
	// strangers off take them within the hour. passTries is how often besides, as for minTries: the
	// waits between so many tries are a quarter of an hour at least.
	passAfter = time.Hour
	passTries = 4
	// offAfter is how many failures in a row a channel is off at, and messages go by the next: about an
	// hour at the waits of downFor. It is counted, as a clock may jump.
	offAfter = 17
)

// pass is a channel that a message did not go by, and why.
type pass struct {
	Channel string `json:"channel"`
	Why     string `json:"why"`
	// NoAddress says that the channel can't reach the person, and refused nothing.
	NoAddress bool `json:"no_address,omitempty"`
}

// outage is of a channel that works for nobody at the moment; the zero value is of one that works.
type outage struct {
	failures int // in a row
	down     error
	until    time.Time // when it is tried again
}

// final reports whether a channel will never take a message.
func final(err error) bool {
	_, refused := errors.AsType[*Refused](err)
	return refused || errors.Is(err, ErrNoAddress)
}

// passed is a channel whose error ended the tries; tried is before an error that does not mean that.
func (p *delivery) passed(channel int, err error, tried string) pass {
	if final(err) {
		tried = ""
	}
	return pass{p.o.Channels[channel].Name(), fmt.Sprint(tried, err), errors.Is(err, ErrNoAddress)}
}

// refused reports whether a channel did not take the message although it knows an address.
func (w *message) refused() bool {
	return slices.ContainsFunc(w.Passed, func(by pass) bool { return !by.NoAddress })
}

// fields are what the log has of a message.
func (w *message) fields(channel string) []zap.Field {
	return []zap.Field{
		zap.String("channel", channel), zap.String("kind", w.Notice.Kind), zap.String("notice", w.Notice.ID), zap.Int("tries", w.Tries),
	}
}

// choose is the channel that a message is to be tried by, and when: the zero time when the channel
// works. While it does not the message waits, until the channel is off and there is another. When no
// channel is left, as the last was taken out of the configuration, the first is tried once more.
func (p *delivery) choose(w *message, now time.Time) (channel int, at time.Time) {
	chosen := false
	for i, left := p.after(w, -1); left; i, left = p.after(w, i) {
		o := &p.outages[i]
		if !chosen || o.until.Before(at) {
			channel, at, chosen = i, o.until, true
		}
		if o.failures < offAfter || !o.until.After(now) {
			break
		}
	}
	return channel, at
}

// after is the next channel that may take a message.
func (p *delivery) after(w *message, channel int) (next int, left bool) {
	for i := channel + 1; i < len(p.o.Channels); i++ {
		name := p.o.Channels[i].Name()
		if !slices.ContainsFunc(w.Passed, func(by pass) bool { return by.Channel == name }) {
			return i, true
		}
	}
	return 0, false
}

// passesOn reports whether the next channel is tried at once after an error.
func (p *delivery) passesOn(channel int, err error) bool {
	_, down := errors.AsType[*Down](err)
	return final(err) || down && p.outages[channel].failures+1 >= offAfter
}

// passOn notes that the first message of a box does not go by a channel; the caller stores it.
func (p *delivery) passOn(b *loaded, by pass) {
	b.pass(by)
	w, result := &b.Waiting[0], resultNext
	if by.NoAddress {
		result = resultNoAddress
	}
	p.metrics.count(by.Channel, w.Notice.Kind, result)
	p.log.Info("notice goes by the next channel", append(w.fields(by.Channel), zap.String("cause", by.Why))...)
}

// noteOutages notes which channels work: by one that does not, one message is tried now and then. That
// a person has no address says nothing about a server.
func (p *delivery) noteOutages(tries []attempt) {
	for i := range p.outages {
		var down *Down
		works := false
		for _, a := range tries {
			err, asked := a.answers[i]
			server, is := errors.AsType[*Down](err)
			down = cmp.Or(server, down)
			works = works || asked && !is && !errors.Is(err, ErrNoAddress)
		}
		o := &p.outages[i]
		switch {
		case down != nil:
			o.failures++
			o.down, o.until = down, time.Now().Add(max(downFor.Pause(o.failures), down.After))
		case works:
			*o = outage{}
		}
	}
}

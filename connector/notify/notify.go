// Package notify tells people what package notice says they are to be told: it stores the notices that
// decisions cause, gathers those of one person, and sends them by the channels that are configured.
//
// A notice is delivered at least once, and in order for a person. What a server is sent a second time
// after a crash has the same message id. A message is tried for 24 hours, and then is a dead letter
// that says why.
package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/notice"
	"pullprint/connector/recovery"
	"pullprint/connector/store"
	"pullprint/trigger/wait"
)

// Channel is a way to people.
type Channel interface {
	// Name is the label of the channel in the metrics.
	Name() string
	// Send sends a message, within the deadline of ctx. The error is ErrNoAddress when the person
	// can't be reached this way, a *Refused when trying again makes no sense, a *Down when nobody can
	// be reached at the moment; after any other the message is tried again. No error has an address
	// of a person in its text.
	Send(ctx context.Context, m Message) error
}

// Message is a text to a person.
type Message struct {
	// ID is the same whenever the message is sent again. It is made of letters, digits and -_.
	ID string
	// Owner is the Entra object id of the person.
	Owner string
	// Kind is that of the notice, and Language the code of the one that the texts are in.
	Kind, Language string
	// Subject is one line.
	Subject, Text string
}

// ErrNoAddress says that a person can't be reached by a channel.
var ErrNoAddress = errors.New("the person has no address")

// Refused says that a message will never be taken.
type Refused struct {
	Why string
	Err error // may be nil
}

// Error implements error.
func (e *Refused) Error() string { return withCause(e.Why, e.Err) }

func (e *Refused) Unwrap() error { return e.Err }

// Down says that a channel does not work for anybody.
type Down struct {
	Why string
	Err error // may be nil
	// After is how long the server asks to be left alone; 0 when it does not.
	After time.Duration
}

// Error implements error.
func (e *Down) Error() string { return withCause(e.Why, e.Err) }

func (e *Down) Unwrap() error { return e.Err }

func withCause(why string, err error) string {
	if err == nil {
		return why
	}
	return fmt.Sprintf("%s: %v", why, err)
}

// errOptedOut says that a person does not want a kind of notice.
var errOptedOut = errors.New("the person does not want notices of this kind")

// Choices are which kinds of notices people don't want; *notice.Choices is one.
type Choices interface {
	Off(ctx context.Context, person string) ([]string, error)
}

// DeadLetters stores what was given up; *bus.Bus is one.
type DeadLetters interface {
	PublishDeadNotice(ctx context.Context, msgID string, body []byte) error
}

// Options are what a Notifier is made of. All are required except Registerer.
type Options struct {
	Records Records
	State   State
	Stream  notice.Stream
	Dead    DeadLetters
	// Channels to people, in the order in which they are tried. There may be none: then notices are
	// only in their stream.
	Channels []Channel
	// Webhooks are told of each notice. There may be none.
	Webhooks []Webhook
	Texts    *Texts
	// Choices are which notices people don't want; nil is none.
	Choices Choices
	// BudgetLow is of how many percent of a budget people are told; 0 is notice.DefaultLow.
	BudgetLow  int
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// Notifier stores and delivers notices. Of all instances on one store one may run at a time; a second
// one does no harm, but ends one of the two.
type Notifier struct {
	o       Options
	metrics *metrics
	log     *zap.Logger
}

// New returns a Notifier; Run does the work.
func New(o Options) *Notifier {
	return &Notifier{o: o, metrics: newMetrics(o.Registerer, o.Channels, o.Webhooks), log: o.Logger.Named("notify")}
}

// tryAgain are the waits after the store did not answer.
var tryAgain = wait.Backoff{First: time.Second, Max: 30 * time.Second}

// Run works until ctx ends. What fails is begun again from what is stored.
func (n *Notifier) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return n.forever(ctx, "decisions are not looked through for notices", func(ctx context.Context) error {
			return n.follow(ctx, store.Decisions, "decisions", n.collecting(n.ofDecision))
		})
	})
	g.Go(func() error {
		return n.forever(ctx, "badges are not looked through for notices", func(ctx context.Context) error {
			return n.follow(ctx, store.Badges, "badges", n.collecting(n.ofBadge))
		})
	})
	g.Go(func() error {
		return n.forever(ctx, "notices are not delivered", func(ctx context.Context) error {
			return n.follow(ctx, store.Notices, "notices", n.deliver)
		})
	})
	for _, to := range n.o.Webhooks {
		g.Go(func() error {
			return n.forever(ctx, "notices are not posted to a webhook", func(ctx context.Context) error {
				return n.follow(ctx, store.Notices, webhookChannel+"."+to.Key(), n.postTo(to))
			})
		})
	}
	return g.Wait()
}

// forever runs part again whenever it ends, until ctx does.
func (n *Notifier) forever(ctx context.Context, what string, part func(context.Context) error) error {
	for failures := 1; ; failures++ {
		began := time.Now()
		err := recovery.Catch(func() error { return part(ctx) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > tryAgain.Max {
			failures = 1
		}
		n.log.Warn(what+", tried again", zap.Error(err))
		if err := wait.Sleep(ctx, tryAgain.Pause(failures)); err != nil {
			return err
		}
	}
}

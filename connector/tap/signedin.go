package tap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/cache"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/policy"
	"pullprint/trigger/graph"
)

var (
	// ErrNotRemote says that jobs are released at a device only, and not from afar.
	ErrNotRemote = errors.New("jobs are not released from afar")
	// ErrTooOften says that a person asked for jobs more often than people do.
	ErrTooOften = errors.New("jobs were asked for very often")
)

// One person may give maxOrders within ordersIn: one every ten seconds, job by job, and as many at once as
// wait for anybody. Unlike a tap, an order of a browser needs nobody to stand anywhere, and each job that
// stays held costs requests to Graph and a record in the audit, whose oldest make room for new ones.
const (
	maxOrders = 60
	ordersIn  = 10 * time.Minute
)

// SignedIn releases jobs at devices to people who are proven by a sign-in with Entra in place of a
// card. What they ask for goes the way of a tap: same policy, budget, record and audit. It is safe for
// concurrent use.
type SignedIn struct {
	releaser *release.Releaser
	remote   bool
	orders   cache.Limit
	log      *zap.Logger
}

// NewSignedIn releases jobs at the devices of r; from afar only if remote is true.
func NewSignedIn(r *release.Releaser, remote bool, log *zap.Logger) *SignedIn {
	return &SignedIn{
		releaser: r, remote: remote, orders: cache.Limit{Times: maxOrders, In: ordersIn}, log: log.Named("tap"),
	}
}

// Remote reports whether jobs are released from afar; a nil SignedIn releases none.
func (s *SignedIn) Remote() bool { return s != nil && s.remote }

// Asked is what a person who is signed in asks for at a device.
type Asked struct {
	// Device is the configured id of the device.
	Device string
	// Person is the Entra object id of who is signed in.
	Person string
	// How is decision.AskedByPhone or decision.AskedByRemote; the decisions say so.
	How decision.Origin
	// Jobs are those that the person has seen and chosen: a form that comes twice prints nothing that
	// came in between.
	Jobs []graph.Ref
	// Set is how the person wants them printed: a variant that costs less.
	Set policy.Settings
}

// Release releases the jobs that a person chose. From afar they are the person's own: those of people who
// let them release theirs are released where the person stands. The errors are ErrNotRemote, ErrTooOften,
// ErrNoDevice and ErrInvalid, and what the store failed with. A job that ctx ends in the middle of is
// finished by the sweep: detach ctx from the request.
func (s *SignedIn) Release(ctx context.Context, a Asked) (release.Outcome, error) {
	person, ok := graph.CanonicalGUID(a.Person)
	remote := a.How == decision.AskedByRemote
	switch {
	case !ok || len(a.Jobs) == 0 || !remote && a.How != decision.AskedByPhone:
		return release.Outcome{}, fmt.Errorf("%w: who asks, how, and for which jobs is needed", job.ErrInvalid)
	case remote && !s.remote:
		return release.Outcome{}, ErrNotRemote
	case !s.orders.Allows(person, time.Now()):
		return release.Outcome{}, ErrTooOften
	}
	out, err := s.releaser.Release(ctx, release.Order{
		Device: a.Device, Owner: person, Own: remote, Jobs: a.Jobs, Asked: a.How, At: time.Now(), Set: a.Set,
	})
	if err != nil {
		return out, err
	}
	s.log.Info("jobs asked for by a person who is signed in", zap.String("device", a.Device), zap.String("how", string(a.How)),
		zap.Int("released", len(out.Released)), zap.Int("kept", len(out.Kept)), zap.Int("aborted", len(out.Aborted)))
	return out, nil
}

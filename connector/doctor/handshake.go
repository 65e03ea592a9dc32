package doctor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"pullprint/trigger"
	"pullprint/trigger/graph"
	"pullprint/trigger/webhook"
)

// handshakeLife is how long the subscription of a try would live; Graph makes 45
// minutes of less.
const handshakeLife = 45 * time.Minute

// shake has Graph make a subscription, for which it posts its question to
// webhook.public_url, and deletes it again. When no daemon listens, this program
// does meanwhile; real notifications are refused, and Graph repeats them.
func (ds *diagnostics) shake(ctx context.Context, c *graph.Client, definition string) {
	stop, err := ds.standIn(ctx)
	if err != nil {
		ds.say("handshake", Failed, "webhook.listen: "+plainly(err), portAdvice(err))
		return
	}
	defer stop()
	base := strings.TrimRight(ds.Config.Webhook.PublicURL, "/")
	s, err := c.CreateSubscription(ctx, graph.NewSubscription{
		Resource: graph.TasksResource(definition), NotificationURL: base + trigger.NotificationPath,
		LifecycleNotificationURL: base + trigger.LifecyclePath, ClientState: "doctor", Expires: time.Now().Add(handshakeLife),
	})
	var ge *graph.Error
	switch {
	case errors.As(err, &ge) && ge.Status == http.StatusBadRequest:
		ds.say("handshake", Failed, "Graph does not get its question back from "+ds.Config.Webhook.PublicURL+": "+err.Error(),
			"let https from the internet through to webhook.listen: POST "+trigger.NotificationPath+" and "+
				trigger.LifecyclePath+", within 10 s")
		return
	case errors.As(err, &ge) && ge.Status == http.StatusConflict:
		ds.say("handshake", Warning, "not tried: there is a subscription already, and Graph allows one",
			"the line subscription says where it posts to; to try anyway, stop the daemon, delete that subscription and run "+
				"this again")
		return
	case err != nil:
		ds.say("handshake", Failed, err.Error(), permissionAdvice(err))
		return
	}
	if err := c.DeleteSubscription(context.WithoutCancel(ctx), s.ID); err != nil {
		ds.say("handshake", Warning, "Graph reached webhook.public_url; the subscription of the try is left: "+err.Error(),
			"it ends by itself within the hour, and the daemon deletes it before")
		return
	}
	ds.say("handshake", OK, "Graph reached webhook.public_url just now", "")
}

// standIn listens for a daemon that does not run.
func (ds *diagnostics) standIn(ctx context.Context) (stop func(), err error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ds.Config.Webhook.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return func() {}, nil // the daemon, most likely; it answers the same
	}
	if err != nil {
		return nil, err
	}
	h := webhook.New(webhook.Options{
		PublicURL: ds.Config.Webhook.PublicURL, Store: nowhere{},
		Verifier: trigger.NewVerifier(trigger.VerifierOptions{TenantID: ds.Config.TenantID}),
	})
	server, err := webhook.NewServer(ds.Config.Webhook, h, zap.NewNop())
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(ctx, ln) // its end is ours
	}()
	return func() { cancel(); <-ended }, nil
}

// nowhere stores nothing, so that Graph comes again with what is real.
type nowhere struct{}

func (nowhere) PublishTask(context.Context, string, string, []byte) (bool, error) {
	return false, errors.New("this is the doctor, no daemon")
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/connector/notice"
	"pullprint/connector/notify"
	"pullprint/connector/notify/webhook"
	"pullprint/connector/terminal"
	"pullprint/trigger/graph"
)

func noticesCommand() *cobra.Command {
	return verbs(&cobra.Command{
		Use:   "notices",
		Short: "Try how people are told about their jobs",
	}, noticesTest())
}

// testWithin is how long a test may take, with the sign-in and the answer of the mail server.
const testWithin = 2 * time.Minute

func noticesTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test USER",
		Short: "Send one message to a person, and tell what the server answered",
		Long: `Sends one message by notices.mail to the address that USER has in Entra, one by notices.teams
to the activity feed of USER, posts an event about USER to each of notices.webhooks, and tells
what was answered. USER is an Entra object id or a user name. The messages say that they are a
test. It works without the daemon, with the configuration that it is given.`,
		Args: wants("USER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			user, err := personIn("USER", args[0])
			if err != nil {
				return err
			}
			cfg, err := loadConfig(cmd, "")
			if err != nil {
				return err
			}
			client, err := graph.New(cfg.Graph(), graph.Options{UserAgent: "pullprint/" + daemon.ReadBuild().Version})
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), testWithin)
			defer cancel()
			return testChannels(ctx, cmd.OutOrStdout(), cfg, client, user)
		},
	}
}

// testChannels sends something to a person by each channel. One that fails does not keep the others
// from being tried.
func testChannels(ctx context.Context, out io.Writer, cfg *config.Config, client *graph.Client, user string) error {
	senders, err := daemon.Senders(cfg, client)
	if err != nil {
		return err
	}
	hooks, err := daemon.WebhookSenders(cfg)
	if err != nil {
		return err
	}
	if len(senders) == 0 && len(hooks) == 0 {
		return errors.New("notices is not configured: nobody is told by mail, in Teams or by webhook; config.example.yaml has its keys")
	}
	found, ok, err := client.User(ctx, user)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("Entra knows no such user; look for a typing error, or write the object id") //nolint:staticcheck // a name
	}
	var failed []error
	for _, s := range senders {
		failed = append(failed, testSender(ctx, out, s, found.ID))
	}
	for _, h := range hooks {
		failed = append(failed, testWebhook(ctx, out, h, found.ID))
	}
	return errors.Join(failed...)
}

// notReached is what it means when a person can't be reached by a channel, after what it says itself.
var notReached = map[string]string{
	"teams": "the user has not installed the Teams app, or it may not send to them: deploy/docs/notices.md#in-teams",
}

func testSender(ctx context.Context, out io.Writer, sender daemon.Sender, owner string) error {
	answer, err := sender.Deliver(ctx, notify.Message{
		ID: "test." + rand.Text(), Owner: owner, Kind: notice.Aborted, Subject: "Test of notices about print jobs",
		Text: "This is a test of the messages about print jobs. No job of yours is affected.\n",
	})
	if hint := notReached[sender.Name()]; errors.Is(err, notify.ErrNoAddress) && hint != "" {
		return fmt.Errorf("%w; %s", err, hint)
	}
	if errors.Is(err, notify.ErrNoAddress) {
		return errors.New("the user has no mail address in Entra: they are not told by mail")
	}
	if err != nil {
		return fmt.Errorf("not sent by %s: %w", sender.Name(), err)
	}
	fmt.Fprintf(out, "Sent by %s. It was answered: %s\n", sender.Name(), terminal.Printable(answer))
	return nil
}

func testWebhook(ctx context.Context, out io.Writer, hook *webhook.Sender, owner string) error {
	n := notify.Example("test", time.Now())
	n.ID, n.Owner = "test:"+rand.Text(), owner
	status, err := hook.Deliver(ctx, &n)
	if err != nil {
		return fmt.Errorf("not posted: %w", err)
	}
	fmt.Fprintf(out, "Posted. %s answered %d\n", terminal.Printable(hook.Host()), status)
	return nil
}

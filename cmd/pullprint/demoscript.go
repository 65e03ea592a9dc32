package main

import (
	"context"
	"fmt"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/daemon"
	"pullprint/policy/badge"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
	waits "pullprint/trigger/wait"
)

// scene is one moment of the morning.
type scene struct {
	user, what string
	job        graphtest.JobSpec
	mail       bool // the mail to the user is shown
}

var morning = []scene{
	{user: "teacher@contoso.com", what: "a worksheet, 28 copies, black and white, to Follow-Me", job: graphtest.JobSpec{
		Printer: demoPull, Copies: 28, Pages: 2, Duplex: true,
	}},
	{user: "student@contoso.com", what: "a term paper to Follow-Me", job: graphtest.JobSpec{Printer: demoPull, Pages: 14}},
	{user: "teacher@contoso.com", what: "a poster, A1, colour, to Poster", job: graphtest.JobSpec{
		Printer: demoDirect, Color: true, MediaSize: "A1",
	}},
	{user: "student@contoso.com", what: "a poster to Poster", mail: true, job: graphtest.JobSpec{
		Printer: demoDirect, Color: true, MediaSize: "A1",
	}},
	{user: "office@contoso.com", what: "a flyer, 200 copies, colour, to Follow-Me", job: graphtest.JobSpec{
		Printer: demoPull, Copies: 200, Color: true,
	}},
	{user: "office@contoso.com", what: "the same in black and white", job: graphtest.JobSpec{Printer: demoPull, Copies: 200}},
}

// morning plays the script: it waits for the daemon to register, puts the
// triggers on the queues as an administrator would, and sends the jobs.
func (p *presenter) morning(ctx context.Context) error {
	definition, err := p.awaitRegistration(ctx)
	if err != nil {
		return err
	}
	for _, printer := range []string{demoPull, demoDirect} {
		if _, err := p.sim.AddTrigger(printer, definition); err != nil {
			return fmt.Errorf("put the trigger on a queue: %w", err)
		}
	}
	p.say("%s  pullprint has registered; an administrator has put its trigger on both queues",
		time.Now().Format("15:04:05"))
	if err := p.selfTest(ctx); err != nil {
		return err
	}
	p.say("")
	for _, s := range morning {
		if err := p.send(ctx, s); err != nil {
			return err
		}
		if err := p.await(ctx); err != nil {
			return err
		}
		if s.mail {
			if err := p.mail(ctx, s.user); err != nil {
				return err
			}
		}
		if err := waits.Sleep(ctx, 300*time.Millisecond); err != nil {
			return err
		}
	}
	if err := p.atTheDevices(ctx); err != nil {
		return err
	}
	link, err := apiclient.New("http://"+p.at.admin, demoAdminToken).DeviceLink(ctx, "hq-2-west")
	if err != nil {
		return fmt.Errorf("link of a device: %w", err)
	}
	p.next(link.URL)
	if p.once {
		return nil
	}
	return p.lostNotification(ctx)
}

// mailWithin is how long the demo waits for a message: it comes within a second, unless the simulator
// is hostile.
const mailWithin = 10 * time.Second

// mail shows what a person is told by mail.
func (p *presenter) mail(ctx context.Context, to string) error {
	for end := time.Now().Add(mailWithin); time.Now().Before(end); {
		for _, m := range p.sim.Messages() {
			if m.To == to {
				p.letter(m)
				return nil
			}
		}
		if err := waits.Sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	p.line("the mail to %s has not gone out yet: it is tried again", to)
	return nil
}

// selfTest has the administrator sign in and the sign-in kept, as with
// `pullprint register plan --keep`, and waits for the daemon's test of itself.
func (p *presenter) selfTest(ctx context.Context) error {
	person, err := graph.SignInPerson(ctx, p.cfg.Graph(), graph.Options{}, daemon.AdministratorRights(p.cfg),
		func(code auth.Prompt) {
			_ = p.sim.ApproveDevice(code.Code, demoAdmin) // the user is there: what else is wrong, the sign-in tells
		})
	if err == nil {
		err = person.StoreSignIn(p.cfg.Administrator)
	}
	if err != nil {
		return fmt.Errorf("sign the administrator in: %w", err)
	}
	p.line("the administrator's sign-in is kept: the daemon prints a page to test itself")
	select {
	case <-p.decidedJobs:
	case <-ctx.Done():
	case <-time.After(20 * time.Second):
		p.line("that page has not come through: the daemon tries again within the hour")
	}
	return ctx.Err()
}

// atTheDevices enrols everybody's badge and has people show them: the teacher
// where the job prints, the office at a printer that is out of order first.
func (p *presenter) atTheDevices(ctx context.Context) error {
	c := apiclient.New("http://"+p.at.admin, demoAdminToken)
	for _, who := range demoPeople {
		if _, err := c.Enrol(ctx, who.badge, badge.Enrolment{Owner: who.id, UserPrincipalName: who.upn}); err != nil {
			return fmt.Errorf("enrol a badge: %w", err)
		}
	}
	p.say("")
	if err := p.tap(ctx, c, demoPeople[0].upn, "hq-2-west", demoPeople[0].badge); err != nil {
		return err
	}
	if err := p.sim.SetPrinter(demoWest, "stopped", true); err != nil {
		return err
	}
	p.line("hq-2-west is out of paper")
	if err := p.tap(ctx, c, demoPeople[1].upn, "hq-2-west", demoPeople[1].badge); err != nil {
		return err
	}
	if err := p.tap(ctx, c, demoPeople[1].upn, "hq-2-east", demoPeople[1].badge); err != nil {
		return err
	}
	if err := p.sim.SetPrinter(demoWest, "idle", true); err != nil {
		return err
	}
	p.line("hq-2-west has paper again")
	return p.outOfBudget(ctx, c)
}

// outOfBudget has the student run out, see the remedy, and release the cheaper
// variant.
func (p *presenter) outOfBudget(ctx context.Context, c *apiclient.Client) error {
	student := demoPeople[2]
	p.say("")
	if err := p.showLeft(ctx, c, student.id); err != nil {
		return err
	}
	slides := scene{
		user: student.upn, what: "6 slides in colour to Follow-Me", job: graphtest.JobSpec{Printer: demoPull, Pages: 6, Color: true},
	}
	if err := p.send(ctx, slides); err != nil {
		return err
	}
	if err := p.await(ctx); err != nil {
		return err
	}
	out, err := p.tapped(ctx, c, student.upn, "hq-2-west", student.badge)
	if err != nil {
		return err
	}
	for _, k := range out.Kept {
		if k.Variant == nil {
			continue
		}
		p.line("%s takes the cheaper variant", student.upn)
		if _, err := c.Release(ctx, k.Ref, "hq-2-west", k.Variant, ""); err != nil {
			return fmt.Errorf("release the variant: %w", err)
		}
		if err := p.await(ctx); err != nil {
			return err
		}
	}
	if err := p.showLeft(ctx, c, student.id); err != nil {
		return err
	}
	p.say("")
	photos := scene{
		user: student.upn, what: "3 photos in colour to Follow-Me", job: graphtest.JobSpec{Printer: demoPull, Pages: 3, Color: true},
	}
	if err := p.send(ctx, photos); err != nil {
		return err
	}
	return p.await(ctx)
}

// showLeft tells what is on an account.
func (p *presenter) showLeft(ctx context.Context, c *apiclient.Client, account string) error {
	s, err := c.Quota(ctx, account)
	if err != nil {
		return fmt.Errorf("look at the account: %w", err)
	}
	for _, b := range s.Balances {
		p.line("the student has %s of %s pages left this week", b.Left, b.Limit)
	}
	return nil
}

// lostNotification sends one more job and loses its notification.
func (p *presenter) lostNotification(ctx context.Context) error {
	before := p.sim.Knobs().LoseNotification
	p.sim.Change(func(k *graphtest.Knobs) { k.LoseNotification = 1 })
	defer p.sim.Change(func(k *graphtest.Knobs) { k.LoseNotification = before })
	p.say("%s  The next job's notification gets lost on purpose: the sweep finds it within a minute.",
		time.Now().Format("15:04:05"))
	if err := p.send(ctx,
		scene{user: "teacher@contoso.com", what: "a letter to Follow-Me", job: graphtest.JobSpec{Printer: demoPull}}); err != nil {
		return err
	}
	return p.await(ctx)
}

// awaitRegistration waits until the daemon has made its definition and its
// subscription; it gives up after 30 seconds.
func (p *presenter) awaitRegistration(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if defs := p.sim.Definitions(); len(defs) > 0 && len(p.sim.Subscriptions()) > 0 {
			return defs[0], nil
		}
		if err := waits.Sleep(ctx, 20*time.Millisecond); err != nil {
			return "", fmt.Errorf("the daemon has not registered: %w", err)
		}
	}
}

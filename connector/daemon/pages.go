package daemon

import (
	"slices"
	"strings"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/console"
	"pullprint/connector/console/at"
	"pullprint/connector/console/own"
	"pullprint/connector/console/signin"
	"pullprint/connector/console/station"
	"pullprint/connector/console/view"
	"pullprint/connector/directory"
	"pullprint/connector/notice"
	"pullprint/connector/phone"
	"pullprint/connector/printer"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
)

// pageParts are what the pages share with the API.
type pageParts struct {
	readers  *tap.Readers
	tokens   *access.Tokens
	sessions *access.Sessions
	signIn   *access.SignIn // nil when people can't sign in
	visits   *station.Visits
	users    directory.Finder
	taps     *tap.Taps // nil without badges, as badges
	badges   *badge.Registry
	phones   *phone.Devices
	pins     *pin.PINs
}

// openPages makes the pages for people: each package of them, and the console, which serves them all.
func (d *daemon) openPages(parts pageParts) (*console.Pages, error) {
	cfg, log, api, releaser := d.o.Config, d.o.Logger, d.services.api, d.jobs.Releaser
	site, err := view.New(view.Options{
		Graph: d.graph, Language: cfg.Station.Language, Zone: cfg.Station.Zone, DefaultZone: api.Zone,
		Currency: releaser.Currency, DocsURL: cfg.Admin.DocsURL, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	callers, err := signin.New(signin.Deps{
		Site: site, Audit: api, Tokens: parts.tokens, Sessions: parts.sessions, Entra: parts.signIn, Users: parts.users,
		Logger: log,
	})
	if err != nil {
		return nil, err
	}
	stations, err := station.New(station.Deps{
		Site: site, Jobs: api, Releaser: releaser, Taps: parts.taps, Badges: parts.badges, Users: parts.users,
		Tokens: parts.tokens, Sessions: parts.sessions, Visits: parts.visits, Config: cfg.Station,
		PhoneCode: parts.phones.Code, Heard: parts.readers.PageLoaded, OwnPage: d.enrolAt(), PINPage: d.pinAt(),
		Devices: cfg.Devices, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	var mine *own.Pages
	var phones *at.Pages
	if parts.signIn != nil {
		if mine, err = d.openOwnPages(site, callers, parts); err != nil {
			return nil, err
		}
		if phones, err = d.openPhonePages(site, callers, parts.phones, api); err != nil {
			return nil, err
		}
	}
	settings, err := d.settings()
	if err != nil {
		return nil, err
	}
	return console.New(console.Deps{
		Site: site, Callers: callers, Station: stations, Own: mine, At: phones, Jobs: api, Releaser: releaser,
		API: api.ClientFor, Users: parts.users, Search: d.graph, Titles: cfg.Station.Titles,
		Policy: d.jobs.Evaluator.Policy, Settings: settings, NoBadges: parts.badges == nil,
		Recent: d.services.recent, Health: d.health, Held: d.index.Held, Failures: d.index.Failures,
		Swept: d.jobs.Sweeper.LastSuccess, Queues: cfg.Queues, Devices: cfg.Devices,
		DeviceEntries: api.DeviceEntries, Logger: log,
	})
}

// openOwnPages makes the pages of a person who is signed in.
func (d *daemon) openOwnPages(site *view.Site, callers *signin.Pages, parts pageParts) (*own.Pages, error) {
	cfg, log, api, releaser := d.o.Config, d.o.Logger, d.services.api, d.jobs.Releaser
	deps := own.Deps{
		Site: site, Callers: callers, Jobs: api, Releaser: releaser, Account: d.jobs.Evaluator.AccountStatus,
		Self: api, Search: d.graph, Users: parts.users,
		SignedIn: tap.NewSignedIn(releaser, cfg.Release.Remote, log), PINs: parts.pins, AskPINs: d.pinAt() != "",
		Devices: cfg.Devices, Teams: cfg.Notices.Teams.Configured(), Logger: log,
	}
	if cfg.Notices.Mail.Configured() || cfg.Notices.Teams.Configured() {
		deps.Notices = notice.NewChoices(d.bus.State())
	}
	if d.enrolAt() != "" {
		deps.Badges = parts.badges
	}
	return own.New(deps)
}

// settings are those that the console shows.
func (d *daemon) settings() (list []console.Setting, err error) {
	inForce, err := d.o.Config.Settings()
	for _, s := range inForce {
		list = append(list, console.Setting(s))
	}
	return list, err
}

// openPhonePages makes the pages of devices on phones.
func (d *daemon) openPhonePages(
	site *view.Site, callers *signin.Pages, phones *phone.Devices, api *admin.API,
) (*at.Pages, error) {
	cfg, log, releaser := d.o.Config, d.o.Logger, d.jobs.Releaser
	return at.New(at.Deps{
		Site: site, Callers: callers, Phones: phones, Releaser: releaser, SignedIn: tap.NewSignedIn(releaser, false, log),
		Devices: cfg.Devices, OthersTitles: cfg.Station.Titles, Choices: cfg.Station.Choices, Jobs: api,
		Help: cfg.Station.Help, Logger: log,
	})
}

// enrolAt is the address at which people enrol their own badges; empty where they don't.
func (d *daemon) enrolAt() string {
	cfg := d.o.Config
	if !cfg.Badges.SelfEnrol || !cfg.SignIn.Configured() || cfg.Badges.KeyFile == "" {
		return ""
	}
	return strings.TrimSuffix(cfg.SignIn.PublicURL, "/") + "/me"
}

// pinAt is the address at which people set their PINs; empty where no device asks for one, or nobody signs in.
func (d *daemon) pinAt() string {
	cfg := d.o.Config
	if !slices.ContainsFunc(cfg.Devices, printer.Device.AsksPIN) || !cfg.SignIn.Configured() || cfg.Badges.KeyFile == "" {
		return ""
	}
	return strings.TrimSuffix(cfg.SignIn.PublicURL, "/") + "/me/pin"
}

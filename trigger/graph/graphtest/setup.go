package graphtest

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// App is an application registration. Empty fields are filled in.
type App struct {
	ClientID      string
	Secret        string
	SecretExpired bool
	Roles         []string            // application permissions granted; nil = [Roles]
	Certificates  []*x509.Certificate // those it may sign in with
	Federation    []Federation        // tokens of others that it trusts
	RedirectURIs  []string            // where people who signed in are sent back to; nil = anywhere
}

// Federation is a federated credential: a token of an issuer for a subject, signed with a key, authenticates the app.
type Federation struct {
	Issuer, Subject string
	Key             *rsa.PublicKey
}

// Group is a group of the directory.
type Group struct{ ID, DisplayName string }

// User is a person. Empty ids are filled in.
type User struct {
	ID          string // Entra object id
	UPN         string // user principal name
	DisplayName string
	GivenName   string
	EmployeeID  string
	// Language is preferredLanguage, as de-CH.
	Language      string
	Groups        []Group  // of which it is a member, directly or not
	Administrator bool     // holds the role Printer Administrator
	AppRoles      []string // roles of the app that the person is assigned
	Disabled      bool     // the account can't sign in
}

// Printer is a printer of the tenant. Empty fields are filled in.
type Printer struct {
	ID           string
	DisplayName  string
	State        string // idle, processing, stopped, unknown; a stopped one keeps released jobs pending
	NotAccepting bool
	Virtual      bool // a queue without a device
	Copies       int  // of a job that does not say; default 1
	Manufacturer string
	Model        string
}

// AddApp registers an application and returns it with all fields.
func (s *Sim) AddApp(a App) App {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := fmt.Sprint(len(s.apps))
	orString(&a.ClientID, s.dice.guid("app", n))
	orString(&a.Secret, s.dice.guid("secret", n))
	if a.Roles == nil {
		a.Roles = Roles()
	}
	s.apps[a.ClientID] = &app{App: a, displayName: "app " + a.ClientID[:min(8, len(a.ClientID))]}
	return a
}

// AddUser adds a person to the directory and returns it with all fields.
func (s *Sim) AddUser(u User) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	orString(&u.ID, s.dice.guid("user", u.UPN+"#"+fmt.Sprint(len(s.users))))
	orString(&u.UPN, u.ID[:min(8, len(u.ID))]+"@contoso.example")
	orString(&u.DisplayName, strings.Split(u.UPN, "@")[0])
	u.Groups = slices.Clone(u.Groups)
	for i := range u.Groups {
		orString(&u.Groups[i].ID, s.dice.guid("group", u.Groups[i].DisplayName))
		orString(&u.Groups[i].DisplayName, u.Groups[i].ID)
	}
	kept := u
	s.users[u.ID], s.upns[strings.ToLower(u.UPN)] = &kept, &kept
	if u.EmployeeID != "" {
		s.employees[u.EmployeeID] = append(s.employees[u.EmployeeID], &kept) // Entra lets several have one
	}
	return u
}

// AddPrinter registers a printer and returns it with all fields.
func (s *Sim) AddPrinter(p Printer) Printer {
	s.mu.Lock()
	defer s.mu.Unlock()
	orString(&p.ID, s.dice.guid("printer", p.DisplayName+"#"+fmt.Sprint(len(s.printers))))
	orString(&p.DisplayName, "printer "+fmt.Sprint(len(s.printers)+1))
	orString(&p.State, "idle")
	orString(&p.Manufacturer, "Contoso")
	orString(&p.Model, "Rehearsal 1")
	kept := &printer{
		Printer: p, registered: time.Now(),
		share: &share{id: s.dice.guid("share", p.ID), name: p.DisplayName, everyone: true, made: time.Now()},
	}
	s.printers[p.ID] = kept
	s.printOrder = append(s.printOrder, kept)
	return p
}

// SetPrinter changes a printer's state and whether it accepts jobs. A printer that is no longer stopped
// starts the jobs that waited.
func (s *Sim) SetPrinter(id, state string, accepting bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.printers[id]
	if p == nil {
		return fmt.Errorf("no printer %q", id)
	}
	p.State, p.NotAccepting = state, !accepting
	if state != "stopped" {
		waiting := p.waiting
		p.waiting = nil
		for _, j := range waiting {
			s.startPrinting(p, j)
		}
	}
	return nil
}

// SetDetails sets why a printer is in its state, as printerProcessingStateDetail values, and when it was last
// seen; zero means now.
func (s *Sim) SetDetails(id string, lastSeen time.Time, details ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.printers[id]
	if p == nil {
		return fmt.Errorf("no printer %q", id)
	}
	p.lastSeen, p.details = lastSeen, details
	return nil
}

// PlantDefinition adds a task definition of an app and returns its id. The app need not be registered: it is
// for definitions of other apps.
func (s *Sim) PlantDefinition(appID, displayName string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newDefinition(appID, displayName, "").id
}

// AddTrigger binds a printer to a definition, as an administrator would who signed in to the definition's app,
// and returns the id of the trigger.
func (s *Sim) AddTrigger(printerID, definitionID string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, d := s.printers[printerID], s.definitions[definitionID]
	switch {
	case p == nil:
		return "", fmt.Errorf("no printer %q", printerID)
	case d == nil:
		return "", fmt.Errorf("no task definition %q", definitionID)
	case p.trigger != nil:
		return "", fmt.Errorf("printer %q has a trigger", printerID)
	}
	return s.newTrigger(p, d, d.appID).id, nil
}

// RemoveTrigger removes a printer's trigger, as an administrator would in the portal.
func (s *Sim) RemoveTrigger(printerID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.printers[printerID]
	if p == nil || p.trigger == nil {
		return fmt.Errorf("printer %q has no trigger", printerID)
	}
	p.trigger = nil
	return nil
}

// Definitions returns the ids of all task definitions, in the order of their creation.
func (s *Sim) Definitions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, len(s.defOrder))
	for i, d := range s.defOrder {
		ids[i] = d.id
	}
	return ids
}

// ChangeUser changes what the directory knows about a person, but for the ids; it is an error if there is none.
func (s *Sim) ChangeUser(id string, change func(u *User)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[id]
	if u == nil {
		return fmt.Errorf("no user %q", id)
	}
	change(u)
	return nil
}

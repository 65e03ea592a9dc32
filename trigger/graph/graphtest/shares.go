package graphtest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// share is a printerShare.
type share struct {
	id, name string
	everyone bool
	groups   []string
	made     time.Time
}

type shareJSON struct {
	Context         string            `json:"@odata.context,omitempty"`
	ID              string            `json:"id"`
	DisplayName     string            `json:"displayName"`
	CreatedDateTime string            `json:"createdDateTime"`
	AllowAllUsers   bool              `json:"allowAllUsers"`
	Status          printerStatusJSON `json:"status"`
}

func (p *printer) shareJSON() shareJSON {
	return shareJSON{
		ID: p.share.id, DisplayName: p.share.name, CreatedDateTime: p.share.made.UTC().Format(stamp),
		AllowAllUsers: p.share.everyone,
		Status:        printerStatusJSON{State: p.State, Details: []string{}},
	}
}

func (s *Sim) listShares(c *call) reply {
	s.mu.Lock()
	p := s.printers[c.Printer]
	if p == nil {
		s.mu.Unlock()
		return c.notFound()
	}
	var all []shareJSON
	if p.share != nil {
		all = append(all, p.shareJSON())
	}
	s.mu.Unlock()
	return page(s, c, "print/printers('"+c.Printer+"')/shares", all)
}

func (s *Sim) createShare(c *call) reply {
	var in struct {
		DisplayName string `json:"displayName"`
		Everyone    bool   `json:"allowAllUsers"`
		Bind        string `json:"printer@odata.bind"`
	}
	if !c.decode(&in) || in.DisplayName == "" || len([]rune(in.DisplayName)) > 50 {
		return c.badRequest("displayName is required, and has 50 characters at most.")
	}
	id, ok := bound(in.Bind, "print/printers/")
	if !ok {
		return c.badRequest("printer@odata.bind does not name a printer.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.printers[id]
	switch {
	case p == nil:
		return c.badRequest("The printer does not exist.")
	case p.share != nil:
		return c.fail(409, "Conflict", "The printer is already shared.")
	}
	p.share = &share{
		id: s.dice.guid("share", id+fmt.Sprint(len(s.operations))), name: in.DisplayName, everyone: in.Everyone,
		made: time.Now(),
	}
	out := p.shareJSON()
	out.Context = context0 + "print/shares/$entity"
	return reply{status: 201, body: out}
}

// bound takes the id out of .../{below}{id}, absolute or relative to the version.
func bound(bind, below string) (string, bool) {
	u, err := url.Parse(bind)
	if err != nil {
		return "", false
	}
	path := strings.TrimPrefix(strings.TrimPrefix(u.Path, "/v1.0"), "/")
	id, ok := strings.CutPrefix(path, below)
	return id, ok && id != "" && !strings.Contains(id, "/")
}

// sharedAs finds the printer of a share.
func (s *Sim) sharedAs(id string) *printer {
	for _, p := range s.printOrder {
		if p.share != nil && p.share.id == id {
			return p
		}
	}
	return nil
}

func (s *Sim) getShare(c *call) reply {
	return s.onShare(c, func(p *printer) reply { return reply{status: 200, body: p.shareJSON()} })
}

func (s *Sim) updateShare(c *call) reply {
	var in struct {
		Everyone *bool `json:"allowAllUsers"`
	}
	if !c.decode(&in) {
		return c.badRequest("The body is malformed.")
	}
	return s.onShare(c, func(p *printer) reply {
		if in.Everyone != nil {
			p.share.everyone = *in.Everyone
		}
		return reply{status: 200, body: p.shareJSON()}
	})
}

func (s *Sim) deleteShare(c *call) reply {
	return s.onShare(c, func(p *printer) reply { p.share = nil; return reply{status: 204} })
}

func (s *Sim) onShare(c *call, do func(*printer) reply) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.sharedAs(c.Share); p != nil {
		return do(p)
	}
	return c.notFound()
}

func (s *Sim) listAllowed(c *call) reply {
	s.mu.Lock()
	p := s.sharedAs(c.Share)
	if p == nil {
		s.mu.Unlock()
		return c.notFound()
	}
	all := make([]idJSON, 0, len(p.share.groups))
	for _, id := range p.share.groups {
		all = append(all, idJSON{id})
	}
	s.mu.Unlock()
	return page(s, c, "print/shares('"+c.Share+"')/allowedGroups", all)
}

func (s *Sim) allowGroup(c *call) reply {
	var in struct {
		ID string `json:"@odata.id"`
	}
	id, ok := "", c.decode(&in)
	if ok {
		id, ok = bound(in.ID, "groups/")
	}
	if !ok {
		return c.badRequest("@odata.id does not name a group.")
	}
	return s.onShare(c, func(p *printer) reply {
		if slices.Contains(p.share.groups, id) {
			return c.badRequest("One or more added object references already exist.")
		}
		p.share.groups = append(p.share.groups, id)
		return reply{status: 204}
	})
}

// ShareOf returns who may print to a printer: everyone, or the members of groups. ok is false if it is not shared.
func (s *Sim) ShareOf(printerID string) (name string, everyone bool, groups []string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.printers[printerID]
	if p == nil || p.share == nil {
		return "", false, nil, false
	}
	return p.share.name, p.share.everyone, slices.Clone(p.share.groups), true
}

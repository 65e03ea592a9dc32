package graphtest

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// operationTask is the making of a printer, that goes on for a while.
type operationTask struct {
	id      string
	begun   time.Time
	done    time.Time
	fails   bool
	printer *printer // nil while it runs, and when it failed
}

type operationJSON struct {
	Context         string       `json:"@odata.context,omitempty"`
	Type            string       `json:"@odata.type"`
	ID              string       `json:"id"`
	CreatedDateTime string       `json:"createdDateTime"`
	Status          statusJSON   `json:"status"`
	Certificate     string       `json:"certificate,omitempty"`
	Printer         *printerJSON `json:"printer,omitempty"`
}

type newPrinterJSON struct {
	DisplayName       string `json:"displayName"`
	Manufacturer      string `json:"manufacturer"`
	Model             string `json:"model"`
	PhysicalDeviceID  string `json:"physicalDeviceId"`
	HasPhysicalDevice *bool  `json:"hasPhysicalDevice"`
	Request           struct {
		Content      string `json:"content"`
		TransportKey string `json:"transportKey"`
	} `json:"certificateSigningRequest"`
}

// wrong is what a registration lacks, or nothing.
func (in *newPrinterJSON) wrong() string {
	physical := in.HasPhysicalDevice == nil || *in.HasPhysicalDevice
	der, err := base64.StdEncoding.DecodeString(in.Request.Content)
	if err != nil {
		return "certificateSigningRequest.content is not base64."
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil || request.CheckSignature() != nil {
		return "certificateSigningRequest.content is not a PKCS #10 request."
	}
	key, ok := request.PublicKey.(*rsa.PublicKey)
	blob, err := base64.StdEncoding.DecodeString(in.Request.TransportKey)
	switch {
	case in.DisplayName == "" || in.Manufacturer == "" || in.Model == "":
		return "displayName, manufacturer and model are required."
	case physical && in.PhysicalDeviceID == "":
		return "physicalDeviceId is required for a printer with a physical device."
	case !ok || key.N.BitLen() != 2048:
		return "The key of the request is not RSA of 2048 bits."
	case err != nil || !keyBlob(blob):
		return "The transport key is not supported."
	}
	return ""
}

// keyBlob reports whether b is a BCRYPT_RSAPUBLIC_BLOB: a header of six numbers, the exponent, the modulus.
func keyBlob(b []byte) bool {
	if len(b) < 24 || !bytes.HasPrefix(b, []byte("RSA1")) {
		return false
	}
	number := func(i int) int { return int(binary.LittleEndian.Uint32(b[4*i:])) }
	return number(1) == 8*number(3) && number(4) == 0 && number(5) == 0 && len(b) == 24+number(2)+number(3) && b[24+number(2)]&0x80 != 0
}

// createPrinter begins to register a printer. It is there once the operation has succeeded, and not before.
func (s *Sim) createPrinter(c *call) reply {
	var in newPrinterJSON
	if !c.decode(&in) {
		return c.badRequest("The body is malformed.")
	}
	if wrong := in.wrong(); wrong != "" {
		return c.badRequest(wrong)
	}
	k := s.knobs.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	op := &operationTask{
		id: s.dice.guid("operation", fmt.Sprint(len(s.operations))), begun: now, done: now.Add(k.OperationTime),
		fails: s.dice.chance(k.OperationFails, "operation fails", in.DisplayName),
	}
	s.operations[op.id] = op
	app := c.App
	finish := func() {
		if op.fails {
			return
		}
		p := Printer{
			ID: s.dice.guid("virtual printer", op.id), DisplayName: in.DisplayName, Manufacturer: in.Manufacturer, Model: in.Model,
			State: "unknown", NotAccepting: true, Virtual: in.HasPhysicalDevice != nil && !*in.HasPhysicalDevice,
		}
		op.printer = &printer{Printer: p, registered: time.Now(), maker: app, bare: true}
		s.printers[p.ID] = op.printer
		s.printOrder = append(s.printOrder, op.printer)
	}
	if k.OperationTime == 0 {
		finish()
	} else {
		s.chores.after(k.OperationTime, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			finish()
		})
	}
	return reply{status: 202, header: http.Header{"Operation-Location": {k.ResourceBase + "/print/operations/" + op.id}, "Retry-After": {"1"}}}
}

func (s *Sim) getOperation(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	op := s.operations[c.Operation]
	if op == nil {
		return c.notFound()
	}
	out := operationJSON{
		Context: context0 + "print/operations/$entity", Type: "#microsoft.graph.printerCreateOperation", ID: op.id,
		CreatedDateTime: op.begun.UTC().Format(stamp), Status: statusJSON{"running", "The operation is in progress."},
	}
	switch {
	case op.printer != nil:
		p := op.printer.json()
		out.Status, out.Printer, out.Certificate = statusJSON{"succeeded", "The operation has completed successfully."}, &p, "simulated"
	case op.fails && !time.Now().Before(op.done):
		out.Status = statusJSON{"failed", "The operation has failed."}
	}
	return reply{status: 200, body: out}
}

// updatePrinter takes attributes from the app that registered the printer, if it has no device; from people only what is theirs to say.
func (s *Sim) updatePrinter(c *call) reply {
	var in struct {
		Capabilities map[string]json.RawMessage `json:"capabilities"`
		Defaults     map[string]json.RawMessage `json:"defaults"`
		DisplayName  string                     `json:"displayName"`
		Accepting    *bool                      `json:"isAcceptingJobs"`
		Status       *printerStatusJSON         `json:"status"`
	}
	if !c.decode(&in) {
		return c.badRequest("The body is malformed.")
	}
	for name, raw := range in.Capabilities {
		if !slices.Contains(capabilityNames, name) || bytes.Contains(raw, []byte(`""`)) {
			return c.badRequest("The property '" + name + "' does not exist on type 'microsoft.graph.printerCapabilities', or its value is not valid.")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.printers[c.Printer]
	switch {
	case p == nil:
		return c.notFound()
	case c.token.user != nil && (in.Capabilities != nil || in.Accepting != nil || in.Status != nil):
		return c.fail(403, "Forbidden", "Only the app that registered the printer may set these.")
	case c.token.user == nil && (p.maker != c.App || !p.Virtual):
		return c.fail(403, "Forbidden", "Only the app that registered the printer may update it, and only one without a physical device.")
	}
	p.capabilities, p.defaults = overlay(p.capabilities, in.Capabilities), overlay(p.defaults, in.Defaults)
	if in.Accepting != nil {
		p.NotAccepting, p.bare = !*in.Accepting, false
	}
	if in.Status != nil {
		p.State = in.Status.State
	}
	orString(&in.DisplayName, p.DisplayName)
	p.DisplayName = in.DisplayName
	return reply{status: 200, body: p.json()}
}

func overlay(old, more map[string]json.RawMessage) map[string]json.RawMessage {
	if len(more) == 0 {
		return old
	}
	all := make(map[string]json.RawMessage, len(old)+len(more)) // answers under way still read the old one
	for _, m := range []map[string]json.RawMessage{old, more} {
		for name, raw := range m {
			all[name] = raw
		}
	}
	return all
}

// capabilityNames are the properties of printerCapabilities.
var capabilityNames = []string{
	"bottomMargins", "collation", "colorModes", "contentTypes", "copiesPerJob", "dpis", "duplexModes", "feedOrientations", "finishings",
	"inputBins", "isColorPrintingSupported", "isPageRangeSupported", "leftMargins", "mediaColors", "mediaSizes", "mediaTypes",
	"multipageLayouts", "orientations", "outputBins", "pagesPerSheet", "qualities", "rightMargins", "scalings", "supportsFitPdfToPage", "topMargins",
}

// SetCapabilities says of a printer what it can do, in JSON as Graph has it, as its vendor would; an error when it can't be read.
func (s *Sim) SetCapabilities(id, capabilities string) error {
	var more map[string]json.RawMessage
	if err := json.Unmarshal([]byte(capabilities), &more); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.printers[id]
	if p == nil {
		return fmt.Errorf("no printer %q", id)
	}
	p.capabilities = overlay(p.capabilities, more)
	return nil
}

func (s *Sim) deletePrinter(c *call) reply {
	if s.RemovePrinter(c.Printer) != nil {
		return c.notFound()
	}
	return reply{status: 204}
}

// RemovePrinter takes a printer away with its share and trigger, as an administrator would in the portal.
func (s *Sim) RemovePrinter(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.printers[id] == nil {
		return fmt.Errorf("no printer %q", id)
	}
	delete(s.printers, id)
	s.printOrder = slices.DeleteFunc(s.printOrder, func(p *printer) bool { return p.ID == id })
	return nil
}

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
		ID: p.share.id, DisplayName: p.share.name, CreatedDateTime: p.share.made.UTC().Format(stamp), AllowAllUsers: p.share.everyone,
		Status: printerStatusJSON{State: p.State, Details: []string{}},
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
	p.share = &share{id: s.dice.guid("share", id+fmt.Sprint(len(s.operations))), name: in.DisplayName, everyone: in.Everyone, made: time.Now()}
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

// ShareOf is who may print to a printer: everyone, or the members of groups. There is no share when ok is false.
func (s *Sim) ShareOf(printerID string) (name string, everyone bool, groups []string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.printers[printerID]
	if p == nil || p.share == nil {
		return "", false, nil, false
	}
	return p.share.name, p.share.everyone, slices.Clone(p.share.groups), true
}

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
	"slices"
	"time"
)

// operationTask is the long-running creation of a printer.
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

// wrong returns what is wrong with a registration, or nothing.
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
	return number(1) == 8*number(3) && number(4) == 0 && number(5) == 0 && len(b) == 24+number(2)+number(3) &&
		b[24+number(2)]&0x80 != 0
}

// createPrinter starts registering a printer, which exists once the operation has succeeded.
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
			ID: s.dice.guid("virtual printer", op.id), DisplayName: in.DisplayName, Manufacturer: in.Manufacturer,
			Model: in.Model,
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
	return reply{
		status: 202,
		header: http.Header{"Operation-Location": {k.ResourceBase + "/print/operations/" + op.id}, "Retry-After": {"1"}},
	}
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
		out.Status, out.Printer, out.Certificate = statusJSON{"succeeded", "The operation has completed successfully."}, &p,
			"simulated"
	case op.fails && !time.Now().Before(op.done):
		out.Status = statusJSON{"failed", "The operation has failed."}
	}
	return reply{status: 200, body: out}
}

// updatePrinter accepts attributes from the app that registered the printer, if it has no device; from people
// only its display name and defaults.
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
			return c.badRequest("The property '" + name + "' does not exist on type 'microsoft.graph.printerCapabilities', " +
				"or its value is not valid.")
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
		return c.fail(403, "Forbidden",
			"Only the app that registered the printer may update it, and only one without a physical device.")
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
	"bottomMargins", "collation", "colorModes", "contentTypes", "copiesPerJob", "dpis", "duplexModes", "feedOrientations",
	"finishings",
	"inputBins", "isColorPrintingSupported", "isPageRangeSupported", "leftMargins", "mediaColors", "mediaSizes",
	"mediaTypes",
	"multipageLayouts", "orientations", "outputBins", "pagesPerSheet", "qualities", "rightMargins", "scalings",
	"supportsFitPdfToPage", "topMargins",
}

// SetCapabilities sets capabilities of a printer, in the JSON of Graph, as its vendor would. It is an error if
// the JSON can't be read.
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

// RemovePrinter removes a printer with its share and trigger, as an administrator would in the portal.
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

package graph

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"net/url"
	"strings"
	"time"
)

// ShareRights are the delegated permissions for sharing a printer, besides TriggerRights
// (https://learn.microsoft.com/graph/api/print-post-shares). Creating one needs only those:
// Printer.ReadWrite.All includes Printer.Create.
var ShareRights = []string{"PrinterShare.ReadWrite.All"}

// DeleteRights are the delegated permissions for deleting a printer
// (https://learn.microsoft.com/graph/api/printer-delete).
var DeleteRights = []string{"Printer.FullControl.All"}

// A Registered printer is one of the tenant, with the maker and model that it was registered
// with.
type Registered struct {
	ID, DisplayName     string
	Manufacturer, Model string
	// Physical is false for a virtual printer: a queue without a device.
	Physical bool
	Since    time.Time
}

type wireRegistered struct {
	ID           string    `json:"id"`
	DisplayName  string    `json:"displayName"`
	Manufacturer string    `json:"manufacturer"`
	Model        string    `json:"model"`
	Physical     bool      `json:"hasPhysicalDevice"`
	Since        time.Time `json:"registeredDateTime"`
}

// Printers lists the printers of the tenant
// (https://learn.microsoft.com/graph/api/print-list-printers). It needs the token of
// a Printer Administrator.
func (c *Client) Printers(ctx context.Context) ([]Registered, error) {
	return collect(ctx, c, c.on(listPrinters), func(p wireRegistered) Registered { return Registered(p) })
}

// NewPrinter is a virtual printer to create.
type NewPrinter struct{ DisplayName, Manufacturer, Model string }

// CreatePrinter starts creating a virtual printer
// (https://learn.microsoft.com/graph/api/printer-create) and returns the id of the operation
// that continues it, for Operation. Two calls create two: after an Ambiguous error, look for it
// in Printers first. It needs the token of a Printer Administrator who signed in to the app
// that is to set its attributes.
func (c *Client) CreatePrinter(ctx context.Context, p NewPrinter) (operation string, err error) {
	var where string
	cl := c.on(createPrinter)
	cl.later = &where
	if p.DisplayName == "" || p.Manufacturer == "" || p.Model == "" {
		return "", cl.failed(refused, errInvalid)
	}
	request, key, err := signingRequest()
	if err != nil {
		return "", cl.failed(refused, errInvalid)
	}
	type csr struct {
		Content      string `json:"content"`
		TransportKey string `json:"transportKey"`
	}
	cl.with(struct {
		DisplayName  string `json:"displayName"`
		Manufacturer string `json:"manufacturer"`
		Model        string `json:"model"`
		Physical     bool   `json:"hasPhysicalDevice"`
		Request      csr    `json:"certificateSigningRequest"`
	}{p.DisplayName, p.Manufacturer, p.Model, false, csr{request, key}})
	if err := c.do(ctx, cl); err != nil {
		return "", err
	}
	operation, ok := operationID(where)
	if !ok {
		return "", cl.failed(garbled, errInvalidID)
	}
	return operation, nil
}

// operationID returns the id in the address of an operation. The address itself is not
// requested; ours is built from the id.
func operationID(where string) (string, bool) {
	u, err := url.Parse(where)
	if err != nil {
		return "", false
	}
	_, id, ok := strings.Cut(u.Path, "/print/operations/")
	return id, ok && ValidID(id)
}

// deviceSubject is the subject of the certificate request of every device
// (https://learn.microsoft.com/openspecs/windows_protocols/ms-dvrj). Graph issues the
// certificate for a subject of its own.
const deviceSubject = "7E980AD9-B86D-4306-9425-9AC066FB014A"

// keyBits is the size of the key of a device, the smallest that certificate authorities accept.
const keyBits = 2048

// signingRequest returns the certificate signing request of a new printer and its public key,
// both in base64. The private key is discarded: with its certificate a device fetches its jobs
// from Universal Print, and a virtual printer has no device. Its jobs are redirected, with the
// token of the app.
func signingRequest() (request, transportKey string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return "", "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: deviceSubject}, SignatureAlgorithm: x509.SHA256WithRSA,
	}, key)
	if err != nil {
		return "", "", err
	}
	return base64.StdEncoding.EncodeToString(der), base64.StdEncoding.EncodeToString(publicBlob(&key.PublicKey)), nil
}

// publicBlob returns a public key in the format of Windows
// (https://learn.microsoft.com/windows/win32/api/bcrypt/ns-bcrypt-bcrypt_rsakey_blob).
func publicBlob(key *rsa.PublicKey) []byte {
	exponent, modulus := big.NewInt(int64(key.E)).Bytes(), key.N.Bytes()
	blob := []byte("RSA1")
	for _, n := range []int{key.N.BitLen(), len(exponent), len(modulus), 0, 0} {
		blob = binary.LittleEndian.AppendUint32(blob, uint32(n)) //nolint:gosec // sizes of a key of keyBits
	}
	return append(append(blob, exponent...), modulus...)
}

// The final states of an Operation
// (https://learn.microsoft.com/graph/api/resources/printoperationstatus).
const (
	OperationSucceeded = "succeeded"
	OperationFailed    = "failed"
)

// Operation reads the state of an operation that creates a printer, and the id of the printer
// once it exists (https://learn.microsoft.com/graph/api/printoperation-get). It needs the token
// of a Printer Administrator.
func (c *Client) Operation(ctx context.Context, operation string) (state, printer string, err error) {
	var out struct {
		Status struct {
			State string `json:"state"`
		} `json:"status"`
		Printer struct {
			ID string `json:"id"`
		} `json:"printer"`
	}
	cl := c.on(getOperation, operation).into(&out)
	if err := c.do(ctx, cl); err != nil {
		return "", "", err
	}
	if out.Status.State == OperationSucceeded && !ValidID(out.Printer.ID) {
		return "", "", cl.failed(garbled, errInvalidID)
	}
	return word(out.Status.State), out.Printer.ID, nil
}

// DeletePrinter unregisters a printer (https://learn.microsoft.com/graph/api/printer-delete);
// it is no error if it is gone already. It needs the token of a Printer Administrator, with
// DeleteRights.
func (c *Client) DeletePrinter(ctx context.Context, printer string) error {
	return gone(c.do(ctx, c.on(deletePrinter, printer)))
}

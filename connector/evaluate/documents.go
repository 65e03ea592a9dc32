package evaluate

import (
	"slices"
	"time"

	"pullprint/connector/store"
)

// Documents says how far documents are looked into to count their pages.
type Documents struct {
	// Hosts are those that documents may be read from: a name, or a suffix that
	// begins with a dot.
	Hosts []string `yaml:"hosts"`
	// MaxBytes is how much of one document is read at most.
	MaxBytes store.Size `yaml:"max_bytes"`
	// Within is how long that may take.
	Within time.Duration `yaml:"within"`
}

// The defaults of Documents.
const (
	defaultDocumentBytes  = 16 << 20
	defaultDocumentWithin = 10 * time.Second
)

// defaultDocumentHosts are where Universal Print keeps documents: storage of
// Azure. Which of it is not documented.
var defaultDocumentHosts = []string{".blob.core.windows.net", ".blob.core.usgovcloudapi.net", ".blob.storage.azure.net"}

// Fill puts defaults where nothing is said.
func (d *Documents) Fill() {
	if d.Hosts == nil {
		d.Hosts = slices.Clone(defaultDocumentHosts)
	}
	if d.MaxBytes == 0 {
		d.MaxBytes = defaultDocumentBytes
	}
	if d.Within == 0 {
		d.Within = defaultDocumentWithin
	}
}

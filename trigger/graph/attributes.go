package graph

import (
	"context"
)

// Capabilities are what a printer offers in print dialogs
// (https://learn.microsoft.com/graph/api/resources/printercapabilities). An empty list means
// that it does not tell.
type Capabilities struct {
	ContentTypes     []string `json:"contentTypes,omitempty"`
	ColorModes       []string `json:"colorModes,omitempty"`
	DuplexModes      []string `json:"duplexModes,omitempty"`
	MediaSizes       []string `json:"mediaSizes,omitempty"`
	MediaTypes       []string `json:"mediaTypes,omitempty"`
	Orientations     []string `json:"orientations,omitempty"`
	Qualities        []string `json:"qualities,omitempty"`
	Finishings       []string `json:"finishings,omitempty"`
	MultipageLayouts []string `json:"multipageLayouts,omitempty"`
	Scalings         []string `json:"scalings,omitempty"`
	DPIs             []int    `json:"dpis,omitempty"`
	PagesPerSheet    []int    `json:"pagesPerSheet,omitempty"`
	CopiesPerJob     *Span    `json:"copiesPerJob,omitempty"`
	Collation        *bool    `json:"collation,omitempty"`
	Color            *bool    `json:"isColorPrintingSupported,omitempty"`
	PageRange        *bool    `json:"isPageRangeSupported,omitempty"`
	FitPDFToPage     *bool    `json:"supportsFitPdfToPage,omitempty"`
}

// Span is a range, both ends included.
type Span struct {
	Start int `json:"start"`
	End   int `json:"end"`
}

// Defaults are the settings of a job whose owner did not choose others
// (https://learn.microsoft.com/graph/api/resources/printerdefaults).
type Defaults struct {
	ContentType   string   `json:"contentType,omitempty"`
	ColorMode     string   `json:"colorMode,omitempty"`
	DuplexMode    string   `json:"duplexMode,omitempty"`
	MediaSize     string   `json:"mediaSize,omitempty"`
	MediaType     string   `json:"mediaType,omitempty"`
	Orientation   string   `json:"orientation,omitempty"`
	Quality       string   `json:"quality,omitempty"`
	Finishings    []string `json:"finishings,omitempty"`
	Copies        int      `json:"copiesPerJob,omitempty"`
	PagesPerSheet int      `json:"pagesPerSheet,omitempty"`
	DPI           int      `json:"dpi,omitempty"`
}

// Attributes are a printer with its capabilities.
type Attributes struct {
	DisplayName         string
	Manufacturer, Model string
	Physical, Accepting bool
	Capabilities        Capabilities
	Defaults            Defaults
}

// Attributes reads a printer with its capabilities
// (https://learn.microsoft.com/graph/api/printer-get).
func (c *Client) Attributes(ctx context.Context, printer string) (Attributes, error) {
	var out struct {
		ID           string       `json:"id"`
		DisplayName  string       `json:"displayName"`
		Manufacturer string       `json:"manufacturer"`
		Model        string       `json:"model"`
		Physical     bool         `json:"hasPhysicalDevice"`
		Accepting    bool         `json:"isAcceptingJobs"`
		Capabilities Capabilities `json:"capabilities"`
		Defaults     Defaults     `json:"defaults"`
	}
	if err := c.do(ctx, c.on(getAttributes, printer).into(&out).about(&out.ID, printer)); err != nil {
		return Attributes{}, err
	}
	return Attributes{
		DisplayName: out.DisplayName, Manufacturer: out.Manufacturer, Model: out.Model, Physical: out.Physical,
		Accepting: out.Accepting, Capabilities: out.Capabilities, Defaults: out.Defaults,
	}, nil
}

// SetAttributes sets the capabilities and defaults of a virtual printer, and makes it accept
// jobs (https://learn.microsoft.com/graph/api/printer-update). It needs Printer.ReadWrite.All,
// with the token of the app that created the printer.
func (c *Client) SetAttributes(ctx context.Context, printer string, capabilities Capabilities, defaults Defaults) error {
	type status struct {
		State       string   `json:"state"`
		Details     []string `json:"details"`
		Description string   `json:"description"`
	}
	cl := c.on(setAttributes, printer).with(struct {
		Capabilities Capabilities `json:"capabilities"`
		Defaults     Defaults     `json:"defaults"`
		Accepting    bool         `json:"isAcceptingJobs"`
		Status       status       `json:"status"`
	}{capabilities, defaults, true, status{State: string(PrinterIdle), Details: []string{}}})
	return c.do(ctx, cl)
}

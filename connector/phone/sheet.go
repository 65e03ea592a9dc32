package phone

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"strings"

	"rsc.io/qr"

	"pullprint/connector/catalog"
)

// Sheet is what hangs at a device.
type Sheet struct {
	Device string
	// Location says where it stands; it may be empty.
	Location string
	// URL is its link, Code says that its station shows a code that is needed as well.
	URL  string
	Code bool
}

//go:embed sheet.html
var sheetHTML string

var sheetPage = template.Must(template.New("sheet").Parse(sheetHTML))

// WriteSheets writes sheets as one page of HTML to print, each on a page of paper, in a language. The day
// stands on them, so that an old sheet is told from its successor.
func WriteSheets(w io.Writer, in catalog.Language, day string, list []Sheet) error {
	type shown struct {
		Sheet
		SVG  template.HTML
		Host string
	}
	data := struct {
		In     catalog.Language
		Day    string
		Sheets []shown
	}{In: in, Day: day}
	for _, s := range list {
		svg, err := qrSVG(s.URL)
		if err != nil {
			return fmt.Errorf("device %s: %w", s.Device, err)
		}
		u, err := url.Parse(s.URL)
		if err != nil {
			return fmt.Errorf("device %s: the daemon gave a link that is none", s.Device)
		}
		data.Sheets = append(data.Sheets, shown{s, svg, u.Scheme + "://" + u.Host + "/"})
	}
	return sheetPage.Execute(w, data)
}

// quiet is the white margin of a QR code in modules, as ISO/IEC 18004 wants it.
const quiet = 4

// qrSVG is the QR code of a text as SVG. Its level M repairs 15 % of a sheet that is stained.
func qrSVG(text string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("the link is too long for a QR code: %w", err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			begin := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > begin {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", begin+quiet, y+quiet, x-begin, x-begin)
			}
		}
	}
	side := code.Size + 2*quiet
	//nolint:gosec // numbers alone
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %[1]d %[1]d" role="img" aria-label="QR" `+
		`shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%[1]dv%[1]dH0z"/><path d="%[2]s"/></svg>`,
		side, path.String())), nil
}

package evaluate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"pullprint/policy"
	"pullprint/policy/strictyaml"
	"pullprint/trigger/graph"
	"pullprint/trigger/pages"
)

// PageCounter counts the pages of documents at Graph, within the bounds that d
// sets; a daemon makes one, as it bounds how many are counted at once. Its errors say why not, and name no document.
func PageCounter(c *graph.Client, d Documents) func(context.Context, graph.Ref, graph.Document) (int, error) {
	counter := pages.NewCounter()
	return func(ctx context.Context, job graph.Ref, doc graph.Document) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, d.Within)
		defer cancel()
		r, err := c.OpenDocument(ctx, job, doc, graph.DocumentOptions{Hosts: d.Hosts, MaxBytes: int64(d.MaxBytes)})
		if err != nil {
			return 0, err
		}
		return counter.Count(ctx, r, r.Size(), doc.ContentType)
	}
}

// CountFile counts the pages of a file as PageCounter counts those of a document,
// within the same bounds. The name tells the type where the content does not.
func CountFile(ctx context.Context, r io.ReaderAt, size int64, name string, d Documents) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Within)
	defer cancel()
	b := &bounded{r: r, left: int64(d.MaxBytes) / boundedBlock, seen: map[int64]bool{}}
	n, err := pages.Count(ctx, b, size, "")
	if errors.Is(err, pages.ErrType) {
		kind := map[string]string{".pdf": "application/pdf", ".xps": "application/oxps", ".oxps": "application/oxps"}
		n, err = pages.Count(ctx, b, size, kind[strings.ToLower(filepath.Ext(name))])
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: it takes longer than %s", pages.ErrUncountable, d.Within)
	}
	return n, err
}

// boundedBlock is in what parts a bounded reader counts what is read.
const boundedBlock = 4 << 10

// bounded is a reader of which only so many blocks are read.
type bounded struct {
	r    io.ReaderAt
	left int64
	seen map[int64]bool
}

// ReadAt implements io.ReaderAt.
func (b *bounded) ReadAt(p []byte, off int64) (int, error) {
	for i := off / boundedBlock; i*boundedBlock < off+int64(len(p)); i++ {
		if b.seen[i] {
			continue
		}
		if b.left--; b.left < 0 {
			return 0, graph.ErrDocumentBudget
		}
		b.seen[i] = true
	}
	return b.r.ReadAt(p, off)
}

// Sent is what the settings of a job say about its price. Each of them may be null
// (https://learn.microsoft.com/graph/api/printer-post-jobs): then the printer
// decides, and the job is priced in colour, and on one side of each sheet. How many
// copies the printer makes then is for the caller to find out; here it is one.
func Sent(c graph.Configuration) policy.Job {
	j := policy.Job{
		Copies: max(c.Copies, 1), Color: policy.Color(c.ColorMode), Duplex: policy.Duplex(c.DuplexMode),
		PagesPerSheet: max(c.PagesPerSheet, 0), MediaSize: c.MediaSize,
	}
	for _, r := range c.PageRanges {
		to := int64(r.End)
		if to == 0 {
			to = math.MaxInt64 // an open end
		}
		j.Ranges = append(j.Ranges, policy.PageRange{From: int64(r.Start), To: to})
	}
	return j
}

// ParseSettings reads a printJobConfiguration of Graph
// (https://learn.microsoft.com/graph/api/resources/printjobconfiguration) as Sent
// does. What has no part in the price is not looked at; a key that is no property is an error,
// because what it was meant to say would be left out of the price. A value that Graph does not
// have today is none: a later version of Graph may, and what is not known is priced as the
// dearest that can print.
func ParseSettings(src []byte) (policy.Job, error) {
	var c *graph.Configuration
	if err := json.Unmarshal(src, &c); err != nil {
		const example = `{"copies": 2, "colorMode": "grayscale"}`
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return policy.Job{}, fmt.Errorf("%s can't be %s; write it as in %s", wrong.Field, wrong.Value, example)
		}
		return policy.Job{}, fmt.Errorf("it is no JSON of a printJobConfiguration, as %s", example)
	}
	if c == nil {
		c = &graph.Configuration{}
	}
	return Sent(*c), unknownSetting(src)
}

// The properties of a printJobConfiguration and of one of its page ranges; Graph also
// annotates them, with keys that have an @.
var (
	settingNames = []string{
		"collate", "colorMode", "copies", "dpi", "duplexMode", "feedOrientation", "finishings", "fitPdfToPage", "inputBin",
		"margin", "mediaSize", "mediaType", "multipageLayout", "orientation", "outputBin", "pageRanges", "pagesPerSheet",
		"quality", "scaling",
	}
	rangeNames = []string{"start", "end"}
)

// unknownSetting is an error for the first key of settings that is no property.
func unknownSetting(src []byte) error {
	var keys map[string]json.RawMessage
	if json.Unmarshal(src, &keys) != nil {
		return nil // it was read before
	}
	if err := unknownKey(keys, settingNames); err != nil {
		return err
	}
	for key, value := range keys {
		var ranges []map[string]json.RawMessage
		if !strings.EqualFold(key, "pageRanges") || json.Unmarshal(value, &ranges) != nil {
			continue
		}
		for _, r := range ranges {
			if err := unknownKey(r, rangeNames); err != nil {
				return fmt.Errorf("pageRanges: %w", err)
			}
		}
	}
	return nil
}

func unknownKey(keys map[string]json.RawMessage, known []string) error {
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if strings.Contains(key, "@") || slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, key) }) {
			continue
		}
		hint := "there are " + strings.Join(known, ", ")
		if near := strictyaml.Nearest(key, known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		if key == "configuration" {
			hint = "leave it and its braces out: only what is in it is read"
		}
		return fmt.Errorf("%q is no property of it; %s", key, hint)
	}
	return nil
}

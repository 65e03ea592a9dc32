package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pullprint/connector/evaluate"
	"pullprint/connector/terminal"
	"pullprint/policy"
	"pullprint/policy/quota"
)

// maxSettings is how long settings may be. Those of Graph have about 1 kB.
const maxSettings = 1 << 20

// counting is what the verb pages is asked.
type counting struct {
	pages                int
	settings, policyFile string
	asJSON               bool
}

func pagesCommand() *cobra.Command {
	var c counting
	cmd := &cobra.Command{
		Use:   "pages FILE...",
		Short: "Count the pages of documents, and tell what printing them costs",
		Long: `Counts the pages of PDF, XPS and OXPS files exactly as the daemon counts those of
jobs: within the same time, memory and part of the file. A number that is not
certain is unknown, and the line says why.

With --settings it also tells colour, sides and sheets of a job with these
settings; what they leave out is left to the printer and counts as the most that
it may be. With --policy it tells the cost, before any rule sets something.`,
		Args: c.check,
		RunE: func(cmd *cobra.Command, args []string) error {
			job, p, err := c.read(cmd)
			if err != nil {
				return err
			}
			return c.run(cmd, args, job, p)
		},
	}
	cmd.Flags().IntVar(&c.pages, "pages", 0, "ask about a document of `N` pages instead of a file")
	cmd.Flags().StringVar(&c.settings, "settings", "",
		"`FILE` with a printJobConfiguration of Graph in JSON; - is standard input")
	cmd.Flags().StringVar(&c.policyFile, "policy", "", "policy `FILE` whose prices count")
	cmd.Flags().BoolVar(&c.asJSON, "json", false, "print JSON")
	return cmd
}

// check checks --pages and the files, of which one has to be there.
func (c *counting) check(cmd *cobra.Command, args []string) error {
	switch given := cmd.Flags().Changed("pages"); {
	case given && len(args) > 0:
		return usageError{errors.New("--pages stands for a document: leave out either it or the files")}
	case !given && len(args) == 0:
		return usageError{fmt.Errorf("FILE is missing; see: %s --help", cmd.CommandPath())}
	case given && (c.pages < 1 || c.pages > maxPagesAsked):
		return usageError{fmt.Errorf("--pages is out of range: write 1 to %d", maxPagesAsked)}
	}
	return nil
}

// maxPagesAsked is the longest document that the daemon believes in.
const maxPagesAsked = 10_000_000

// read reads the settings and the policy; a nil of either is not asked for.
func (c *counting) read(cmd *cobra.Command) (*policy.Job, *policy.Policy, error) {
	var job *policy.Job
	var p *policy.Policy
	var err error
	if c.policyFile != "" {
		if p, err = loadPolicy(c.policyFile); err != nil {
			return nil, nil, err
		}
	}
	src := []byte("{}") // nothing is said
	if c.settings != "" {
		const expected = "Paste a printJobConfiguration, and end with Ctrl-D."
		err = readInput(cmd, c.settings, expected, func(r io.Reader) (err error) {
			src, err = io.ReadAll(io.LimitReader(r, maxSettings+1))
			return err
		})
		if err == nil && len(src) > maxSettings {
			err = usageError{fmt.Errorf("settings %s: longer than 1 MiB", c.settings)}
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if c.settings != "" || p != nil {
		sent, err := evaluate.ParseSettings(src)
		if err != nil {
			return nil, nil, usageError{fmt.Errorf("settings %s: %w", c.settings, err)}
		}
		job = &sent
	}
	return job, p, nil
}

// countedFile is one line of the answer.
type countedFile struct {
	File string `json:"file"`
	// Pages is null when they are not known; Why says why.
	Pages *int   `json:"pages"`
	Why   string `json:"why"`
	*asPaper
	*asPrice
}

// asPaper is what the settings make of it, asPrice what the policy does; null where
// the pages are not known.
type asPaper struct {
	Color  bool   `json:"color"`
	Sides  *int64 `json:"sides"`
	Sheets *int64 `json:"sheets"`
}

type asPrice struct {
	Cost *quota.Amount `json:"cost"`
	// Price is the same for people, with its currency.
	Price string `json:"price"`
}

func (c *counting) run(cmd *cobra.Command, args []string, job *policy.Job, p *policy.Policy) error {
	all := make([]countedFile, 0, max(len(args), 1))
	unread := 0
	if len(args) == 0 {
		all = append(all, countedFile{Pages: &c.pages})
	}
	for _, path := range args {
		one, err := countPages(cmd.Context(), path)
		if err != nil {
			unread++
		}
		all = append(all, one)
		if cmd.Context().Err() != nil {
			return errInterrupted
		}
	}
	for i := range all {
		all[i].work(job, p)
	}
	if err := c.print(cmd.OutOrStdout(), all, job != nil, p != nil); err != nil {
		return err
	}
	if unread > 0 {
		return fmt.Errorf("%s could not be read", terminal.Counted(unread, "file"))
	}
	return nil
}

// countPages counts one file; the error is of one that can't be read.
func countPages(ctx context.Context, path string) (countedFile, error) {
	one := countedFile{File: path}
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		one.Why = "the file can't be read: " + causeOf(err).Error()
		return one, err
	}
	defer f.Close()
	var d evaluate.Documents
	d.Fill()
	n, err := evaluate.CountFile(ctx, f, st.Size(), path, d)
	var failed *os.PathError
	switch {
	case err == nil:
		one.Pages = &n
	case errors.As(err, &failed):
		one.Why = "the file can't be read: " + causeOf(err).Error()
		return one, err
	default:
		one.Why = err.Error()
	}
	return one, nil
}

func (f *countedFile) work(job *policy.Job, p *policy.Policy) {
	if job == nil {
		return
	}
	f.asPaper = &asPaper{Color: job.Color}
	if p != nil {
		f.asPrice = &asPrice{}
	}
	if f.Pages == nil {
		return
	}
	j := *job
	j.Pages = *f.Pages
	paper, err := j.Paper()
	if err == nil {
		f.Sides, f.Sheets = &paper.Sides, &paper.Sheets
		if p == nil {
			return
		}
		var cost quota.Amount
		if _, cost, err = p.Price(&j); err == nil {
			f.Cost, f.Price = &cost, p.Tell(cost)
			return
		}
	}
	f.Why = err.Error()
}

func (c *counting) print(w io.Writer, all []countedFile, paper, price bool) error {
	if c.asJSON {
		return printJSON(w, all)
	}
	var text strings.Builder
	t := newTable(&text)
	head := []any{"FILE", "PAGES"}
	if paper {
		head = append(head, "COLOUR", "SIDES", "SHEETS")
	}
	if price {
		head = append(head, "COST")
	}
	t.row(append(head, "WHY")...)
	for _, f := range all {
		cells := []any{f.File, "unknown"}
		if f.File == "" {
			cells[0] = "-"
		}
		if f.Pages != nil {
			cells[1] = strconv.Itoa(*f.Pages)
		}
		if paper {
			cells = append(cells, map[bool]string{true: "yes", false: "no"}[f.Color], orEmpty(f.Sides), orEmpty(f.Sheets))
		}
		if price {
			cells = append(cells, f.Price)
		}
		t.row(append(cells, f.Why)...)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func orEmpty(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

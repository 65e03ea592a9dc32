package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector/daemon"
)

// manCommand is for who packages the program.
func manCommand() *cobra.Command {
	var dir, example string
	cmd := &cobra.Command{
		Use:    "man",
		Short:  "Write the manual pages",
		Hidden: true,
		Long: `Writes a manual page for the program and one for each verb, and with
--config-example one of the configuration file. Their date is that of the
environment variable SOURCE_DATE_EPOCH, else that of the program.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usageError{errors.New("name the folder to write to with --dir DIR")}
			}
			date, err := manDate()
			if err != nil {
				return err
			}
			pages := manPages(cmd.Root(), date)
			if example != "" {
				src, err := readNamed("the example", example)
				if err != nil {
					return err
				}
				pages["pullprint-config.5"] = configPage(string(src), date)
			}
			for name, page := range pages {
				file := filepath.Join(dir, name)
				if err := os.WriteFile(file, []byte(page), 0o644); err != nil { //nolint:gosec // all users read manuals
					return unwritable("the manual page", file, err)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder `DIR` to write to")
	cmd.Flags().StringVar(&example, "config-example", "", "example configuration `FILE` to write pullprint-config(5) from")
	return cmd
}

// manDate is the date that the pages bear.
func manDate() (string, error) {
	at := time.Now()
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return "", usageError{errors.New("SOURCE_DATE_EPOCH must be a number of seconds")}
		}
		at = time.Unix(seconds, 0)
	} else if built, err := time.Parse(time.RFC3339, daemon.ReadBuild().Time); err == nil {
		at = built
	}
	return at.UTC().Format("2006-01-02"), nil
}

// manPages are the pages of the program and its verbs by the names of their files.
func manPages(root *cobra.Command, date string) map[string]string {
	pages := map[string]string{}
	verbs := root.Commands()
	verbs = slices.DeleteFunc(verbs, func(c *cobra.Command) bool { return c.Hidden || c.Name() == "help" })
	r := newRoff("pullprint", "1", date)
	r.section("Name")
	fmt.Fprintf(r, "pullprint \\- %s\n", quoteRoff.Replace(root.Short))
	r.section("Synopsis")
	r.macro("B", "pullprint")
	r.text("VERB [ARGUMENT...] [--config FILE]")
	r.section("Description")
	r.prose(root.Long, false)
	r.section("Verbs")
	for _, v := range verbs {
		r.tag(v.Name(), "")
		r.text(v.Short + ".")
	}
	r.manOptions("Options of every verb", root.PersistentFlags().FlagUsages())
	r.manEnd(true)
	var also []string
	for _, v := range verbs {
		name := "pullprint-" + v.Name()
		also = append(also, name+"(1)")
		pages[name+".1"] = verbPage(name, v, date)
	}
	r.section("See also")
	r.text(strings.Join(also, ", ") + ", pullprint-config(5)")
	pages["pullprint.1"] = r.String()
	return pages
}

func verbPage(name string, v *cobra.Command, date string) string {
	r := newRoff(name, "1", date)
	r.section("Name")
	fmt.Fprintf(r, "%s \\- %s\n", quoteRoff.Replace(name), quoteRoff.Replace(v.Short))
	r.section("Synopsis")
	subs := slices.DeleteFunc(slices.Clone(v.Commands()), func(c *cobra.Command) bool { return c.Hidden })
	if len(subs) == 0 {
		r.text(v.UseLine())
	}
	for i, s := range subs {
		if i > 0 {
			r.macro("br")
		}
		r.text(s.UseLine())
	}
	r.section("Description")
	r.manAbout(v)
	r.manOptions("Options", v.NonInheritedFlags().FlagUsages())
	for _, s := range subs {
		r.macro("SH", s.CommandPath())
		r.manAbout(s)
		r.manFlags(s.NonInheritedFlags().FlagUsages())
	}
	r.manEnd(false)
	r.section("See also")
	r.text("pullprint(1), pullprint-config(5)")
	return r.String()
}

func (r *roff) manAbout(c *cobra.Command) {
	if c.Long == "" {
		r.text(c.Short + ".")
	} else {
		r.prose(c.Long, false)
	}
	if c.Example != "" {
		r.macro("PP")
		r.example(strings.Split(c.Example, "\n")...)
	}
}

func (r *roff) manOptions(title, usages string) {
	if usages != "" {
		r.section(title)
		r.manFlags(usages)
	}
}

// flagUsage is an option as --help shows it: its names, its value, what it is for, and
// its default.
var flagUsage = regexp.MustCompile(`^ +((?:-\w, )?--[\w-]+)(?: (\S+))?   +(.*?)(?: \(default "?(.*?)"?\))?$`)

// manFlags are the options as --help shows them.
func (r *roff) manFlags(usages string) {
	for line := range strings.Lines(usages) {
		m := flagUsage.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			r.text(strings.TrimSpace(line)) // the rest of a usage that has several lines
			continue
		}
		r.tag(m[1], m[2])
		usage := strings.ToUpper(m[3][:1]) + m[3][1:] + "."
		if m[4] != "" {
			usage += " Default: " + m[4] + "."
		}
		r.text(usage)
	}
}

// manEnd is what holds for every verb.
func (r *roff) manEnd(files bool) {
	r.section("Exit status")
	for _, c := range []struct {
		code int
		what string
	}{{exitDone, "Done."}, {
		exitFailed, "Failed; the message says what to do next.",
	}, {exitUsage, "Wrong usage or bad configuration: trying again changes nothing."}} {
		r.tag(strconv.Itoa(c.code), "")
		r.text(c.what)
	}
	if !files {
		return
	}
	r.section("Files")
	for _, f := range [][2]string{
		{"/etc/pullprint/config.yaml", "The configuration: pullprint-config(5)."},
		{"/var/lib/pullprint", "The state, of the user pullprint alone."},
	} {
		r.tag(f[0], "")
		r.text(f[1])
	}
	r.section("Environment")
	r.tag("HTTPS_PROXY, NO_PROXY", "")
	r.text("The way to Microsoft Graph.")
	r.tag("CREDENTIALS_DIRECTORY", "")
	r.text("Where systemd puts the credentials of the service. By hand, the folder they come from.")
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/catalog"
	"pullprint/connector/phone"
	"pullprint/connector/printer"
)

func devicesCommand() *cobra.Command {
	var f apiFlags
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List devices and what failed there, and print sheets for releasing jobs by phone",
	}
	f.add(cmd)
	return verbs(cmd, devicesList(&f), devicesFailures(&f), devicesQR(&f))
}

func devicesList(f *apiFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Devices as they are configured",
		Long: `Lists the devices with where they stand, the queues whose jobs they release, how people prove
there who they are, and whether jobs are released there by phone. It talks to the running
daemon (role read).`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			return printAnswer(f, cmd, func(w io.Writer, list []apiclient.DeviceEntry) error {
				t := newTable(w, "DEVICE", "LOCATION", "QUEUES", "FACTORS", "PHONE")
				for _, d := range list {
					by := map[printer.Phone]string{printer.PhoneLink: "yes", printer.PhoneCode: "with code"}[d.Phone]
					t.row(d.ID, cmp.Or(d.Location, "-"), strings.Join(d.Queues, ", "), factorList(d.Factors), cmp.Or(by, "no"))
				}
				return t.Flush()
			})(c.Devices(cmd.Context()))
		},
	}
}

// factorList are factors as a cell of a table; a daemon of before the list told of factors sends none.
func factorList(factors []printer.Factor) string {
	words := make([]string, len(factors))
	for i, f := range factors {
		words[i] = string(f)
	}
	return orDash(strings.Join(words, ", "))
}

func devicesFailures(f *apiFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "failures",
		Short: "Printers at which jobs failed within the last 24 hours",
		Long: `Lists the printers at which jobs failed within the last 24 hours, those with most failures
first, with the printer's word for the newest one. A job that printed where it was sent has the
name of its queue as device. It talks to the running daemon (role read).`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			list, err := c.Failures(cmd.Context())
			return printAnswer(f, cmd, func(w io.Writer, printers []apiclient.PrinterFailures) error {
				t := newTable(w, "DEVICE", "LOCATION", "JOBS", "NEWEST", "WHY")
				for _, p := range printers {
					t.row(p.Device, orDash(p.Location), strconv.Itoa(p.Jobs), p.Last.Local().Format("Mon 02 Jan 15:04"), orDash(p.Detail))
				}
				return t.Flush()
			})(list.Printers, err)
		},
	}
}

// qrFlags are those of devices qr.
type qrFlags struct {
	renew          []string
	note, language string
}

func devicesQR(f *apiFlags) *cobra.Command {
	var q qrFlags
	cmd := &cobra.Command{
		Use:   "qr [DEVICE…]",
		Short: "Make sheets with the QR codes that phones open at devices",
		Long: `Writes a page of HTML to print, with a sheet for each DEVICE, or for each device that has
phone set: where it stands in large type, and the QR code that opens its page. People sign
in there once, and release their jobs. --renew ends the sheet that a device has, as after it
was photographed or the device moved, and makes a new one. It talks to the running daemon
(role operate; --renew: admin).

  pullprint devices qr > sheets.html`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return q.writeSheets(cmd, f, args)
		},
	}
	cmd.Flags().StringSliceVar(&q.renew, "renew", nil, "`DEVICE` whose link is renewed: its old sheet works no longer")
	cmd.Flags().StringVar(&q.note, "note", "", "`WORDS` that say in the audit why it is renewed")
	cmd.Flags().StringVar(&q.language, "language", "",
		"`CODE` of the sheets' language, as de; that of the stations when not given")
	return cmd
}

// deviceURL is an entry of the output as JSON.
type deviceURL struct {
	Device string `json:"device"`
	URL    string `json:"url"`
}

func (q *qrFlags) writeSheets(cmd *cobra.Command, f *apiFlags, args []string) error {
	in, err := q.words(cmd)
	if err != nil {
		return err
	}
	c, err := f.client(cmd)
	if err != nil {
		return err
	}
	all, err := c.Devices(cmd.Context())
	if err != nil {
		return err
	}
	chosen, err := q.chosen(all, args)
	if err != nil {
		return err
	}
	urls, sheets := make([]deviceURL, 0, len(chosen)), make([]phone.Sheet, 0, len(chosen))
	for _, d := range chosen {
		link, err := q.link(cmd.Context(), c, d.ID)
		if err != nil {
			return err
		}
		urls = append(urls, deviceURL{d.ID, link.URL})
		sheets = append(sheets, phone.Sheet{
			Device: d.ID, Location: d.Location, URL: link.URL, Code: d.Phone == printer.PhoneCode,
		})
	}
	return f.output(cmd, urls, func(w io.Writer) error {
		return phone.WriteSheets(w, in, time.Now().Format(time.DateOnly), sheets)
	})
}

// link is the link of a device, a new one if it is to be renewed.
func (q *qrFlags) link(ctx context.Context, c *apiclient.Client, device string) (apiclient.DeviceLink, error) {
	if slices.Contains(q.renew, device) {
		return c.RenewDeviceLink(ctx, device, q.note)
	}
	return c.DeviceLink(ctx, device)
}

// chosen are the devices that were asked for, or those that have phone set. Each is checked before any
// link is renewed.
func (q *qrFlags) chosen(all []apiclient.DeviceEntry, args []string) (list []apiclient.DeviceEntry, err error) {
	asked := slices.Concat(args, q.renew)
	for _, id := range asked {
		i := slices.IndexFunc(all, func(d apiclient.DeviceEntry) bool { return d.ID == id })
		switch {
		case i < 0:
			return nil, fmt.Errorf("no device is called %q; see: pullprint devices list", id)
		case all[i].Phone == printer.PhoneOff:
			return nil, fmt.Errorf("device %s is not used by phone: set devices[].phone in the configuration, and restart", id)
		}
	}
	for _, d := range all {
		if slices.Contains(asked, d.ID) || len(asked) == 0 && d.Phone != printer.PhoneOff {
			list = append(list, d)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("no device is used by phone: set devices[].phone in the configuration, and restart")
	}
	return list, nil
}

// words are the texts of the sheets in the language that is asked for, or else in that of the stations, if
// there is a configuration.
func (q *qrFlags) words(cmd *cobra.Command) (catalog.Language, error) {
	texts, err := catalog.Load()
	if err != nil {
		return catalog.Language{}, err
	}
	code := q.language
	if code == "" {
		if cfg, err := loadConfig(cmd, ""); err == nil {
			code = cfg.Station.Language
		}
	} else if !slices.Contains(catalog.Languages(), code) {
		return catalog.Language{}, usageError{
			fmt.Errorf("--language %q: the languages are %s", code, strings.Join(catalog.Languages(), ", ")),
		}
	}
	return texts.Choose(code), nil
}

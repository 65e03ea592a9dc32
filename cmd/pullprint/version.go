package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pullprint/connector/daemon"
)

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print what this program was built from",
		Args:  wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := daemon.ReadBuild()
			out := cmd.OutOrStdout()
			if asJSON {
				enc := json.NewEncoder(out)
				enc.SetIndent("", "  ")
				return enc.Encode(b)
			}
			tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			fmt.Fprintf(tw, "pullprint\t%s\n", b.Version)
			fmt.Fprintf(tw, "module\t%s\n", b.Module)
			fmt.Fprintf(tw, "revision\t%s\n", b.Revision)
			fmt.Fprintf(tw, "committed\t%s\n", b.Time)
			fmt.Fprintf(tw, "modified\t%t\n", b.Modified)
			fmt.Fprintf(tw, "go\t%s %s/%s\n", b.Go, runtime.GOOS, runtime.GOARCH)
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, d := range info.Deps {
					switch d.Path {
					case "github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go", "cel.dev/cel-go":
						fmt.Fprintf(tw, "with\t%s %s\n", d.Path, d.Version)
					}
				}
			}
			return tw.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

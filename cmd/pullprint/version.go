package main

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pullprint/connector/daemon"
)

func versionCommand() *cobra.Command {
	var asJSON, asBOM bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print what this program was built from",
		Args:  wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON && asBOM {
				return usageError{errors.New("--json and --sbom exclude each other; see: pullprint version --help")}
			}
			b := daemon.ReadBuild()
			out := cmd.OutOrStdout()
			info, known := debug.ReadBuildInfo()
			if asBOM {
				if !known {
					return errors.New("the program does not know what it was built from: build it with `go build`, in module mode")
				}
				return writeBOM(out, b, info)
			}
			if asJSON {
				return printJSON(out, b)
			}
			tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			fmt.Fprintf(tw, "pullprint\t%s\n", b.Version)
			fmt.Fprintf(tw, "module\t%s\n", b.Module)
			fmt.Fprintf(tw, "revision\t%s\n", b.Revision)
			fmt.Fprintf(tw, "committed\t%s\n", b.Time)
			fmt.Fprintf(tw, "modified\t%t\n", b.Modified)
			fmt.Fprintf(tw, "go\t%s %s/%s\n", b.Go, runtime.GOOS, runtime.GOARCH)
			if known {
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
	cmd.Flags().BoolVar(&asBOM, "sbom", false, "print every module that is in the program, as CycloneDX 1.6 JSON")
	return cmd
}

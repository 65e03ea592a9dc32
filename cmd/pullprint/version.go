package main

import (
	"errors"
	"io"
	"runtime"
	"runtime/debug"

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
			b, out := daemon.ReadBuild(), cmd.OutOrStdout()
			info, known := debug.ReadBuildInfo()
			switch {
			case asBOM && !known:
				return errors.New("the program does not know what it was built from: build it with `go build`, in module mode")
			case asBOM:
				return writeBOM(out, b, info)
			case asJSON:
				return printJSON(out, b)
			case !known:
				info = &debug.BuildInfo{}
			}
			return printVersion(out, b, info.Deps)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&asBOM, "sbom", false, "print every module that is in the program, as CycloneDX 1.6 JSON")
	return cmd
}

func printVersion(w io.Writer, b daemon.Build, deps []*debug.Module) error {
	t := newTable(w)
	t.row("pullprint", b.Version)
	t.row("module", b.Module)
	t.row("revision", b.Revision)
	t.row("committed", b.Time)
	t.row("modified", b.Modified)
	t.row("go", b.Go+" "+runtime.GOOS+"/"+runtime.GOARCH)
	for _, d := range deps {
		switch d.Path {
		case "github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go", "cel.dev/cel-go":
			t.row("with", d.Path+" "+d.Version)
		}
	}
	return t.Flush()
}

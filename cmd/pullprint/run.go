package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"pullprint/connector/admin"
	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/policy"
	"pullprint/policy/strictyaml"
)

func runCommand() *cobra.Command {
	var webConfig string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `Run the daemon until SIGTERM or Ctrl-C: it then refuses new notifications,
finishes what is in hand and ends within 25 seconds. SIGHUP reads the policy
file again.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := loadAll(cmd)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("web.config.file") {
				if err := admin.CheckWebConfig(webConfig); err != nil {
					return usageError{fmt.Errorf("--web.config.file %s: %w", webConfig, err)}
				}
				cfg.Metrics.WebConfigFile = webConfig
			}
			log, err := newLogger(cfg.Log, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer log.Sync() //nolint:errcheck // stderr may not know how to sync
			for _, w := range cfg.Warnings {
				log.Named("config").Warn("configuration warning", zap.String("warning", w.String()))
			}
			return runDaemon(cmd.Context(), cfg, log)
		},
	}
	cmd.Flags().StringVar(&webConfig, "web.config.file", "", "web configuration `FILE` of the metrics listener (TLS, passwords), instead of metrics.web_config_file")
	return cmd
}

func runDaemon(ctx context.Context, cfg *config.Config, log *zap.Logger) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	reload := make(chan struct{}, 1)
	forwarded := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(forwarded)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				select {
				case reload <- struct{}{}:
				default:
				}
			}
		}
	}()
	err := daemon.Run(ctx, daemon.Options{Config: cfg, Logger: log, Reload: reload})
	cancel()
	<-forwarded
	return err
}

// loadAll reads the configuration and the policies that it names. Problems of all
// come together, in a usageError of strictyaml.Problems.
func loadAll(cmd *cobra.Command) (*config.Config, *policy.Policy, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, nil, err
	}
	cfg, err := config.Load(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, usageError{fmt.Errorf("configuration file %s does not exist; name yours with --config FILE, an example is config.example.yaml", path)}
	}
	var problems, more strictyaml.Problems
	if err != nil && !errors.As(err, &problems) {
		return nil, nil, usageError{err}
	}
	p := policy.Default()
	if file := cfg.Policy.File; file != "" {
		p, err = loadPolicy(file)
		switch {
		case errors.As(err, &more):
			problems = append(problems, more...)
		case err != nil && len(problems) == 0: // else the configuration's problems have it already
			return cfg, nil, err
		}
	}
	if file := cfg.Policy.ShadowFile; file != "" {
		more = nil
		if _, err := loadPolicy(file); errors.As(err, &more) {
			problems = append(problems, more...)
		} else if err != nil && len(problems) == 0 {
			return cfg, nil, err
		}
	}
	if len(problems) > 0 {
		return cfg, nil, usageError{problems}
	}
	return cfg, p, nil
}

// newLogger writes JSON or console lines to w.
func newLogger(c config.Log, w io.Writer) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		return nil, usageError{fmt.Errorf("log.level: %w", err)}
	}
	ec := zap.NewProductionEncoderConfig()
	ec.TimeKey, ec.EncodeTime, ec.EncodeDuration = "time", zapcore.RFC3339NanoTimeEncoder, zapcore.StringDurationEncoder
	enc := zapcore.NewJSONEncoder(ec)
	if c.Format == "console" {
		enc = zapcore.NewConsoleEncoder(ec)
	}
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(w)), level)), nil
}

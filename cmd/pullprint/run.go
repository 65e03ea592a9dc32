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

	"pullprint/connector/config"
	"pullprint/connector/daemon"
)

func runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `Run the daemon until SIGTERM or Ctrl-C: it then refuses new notifications,
finishes what is in hand and ends within 25 seconds. SIGHUP reads the policy
file again.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if cfg.Policy.File != "" {
				if _, err := loadPolicy(cfg.Policy.File); err != nil {
					return err
				}
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

// loadConfig reads the file that --config names. Whatever is wrong with it is
// a usage error.
func loadConfig(cmd *cobra.Command) (*config.Config, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usageError{fmt.Errorf("configuration file %s does not exist; name yours with --config FILE, an example is config.example.yaml", path)}
	}
	if err != nil {
		return nil, usageError{err}
	}
	return cfg, nil
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

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/connector/health"
	"pullprint/connector/logthrottle"
	"pullprint/policy"
	"pullprint/policy/strictyaml"
)

func runCommand() *cobra.Command {
	var webConfig string
	cmd := &cobra.Command{
		Use:         "run",
		Annotations: drainsAtEnd,
		Short:       "Run the daemon",
		Long: `Run the daemon until SIGTERM or Ctrl-C: it then refuses new notifications,
finishes what is in hand and ends within 25 seconds. SIGHUP reads the policy
file again. Under systemd it tells when it is ready, how it goes, and, by the
watchdog, whether its loops still turn.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := loadAll(cmd)
			if err != nil {
				return err
			}
			if err := cfg.Unmade(); err != nil {
				return usageError{err}
			}
			if cmd.Flags().Changed("web.config.file") {
				if err := health.CheckWebConfig(webConfig); err != nil {
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
	cmd.Flags().StringVar(&webConfig, "web.config.file", "",
		"web configuration `FILE` of the metrics listener (TLS, passwords), instead of metrics.web_config_file")
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
	o := daemon.Options{Config: cfg, Logger: log, Reload: reload}
	if err := supervised(&o, log.Named("systemd")); err != nil {
		log.Warn("the watchdog of systemd is not fed", zap.Error(err))
	}
	err := daemon.Run(ctx, o)
	cancel()
	<-forwarded
	return err
}

// supervised lets systemd hear of the daemon, when it is systemd that runs it.
func supervised(o *daemon.Options, log *zap.Logger) error {
	o.Notify = func(state string) {
		if _, err := sd.SdNotify(false, state); err != nil {
			log.Warn("systemd not told", zap.Error(err))
		}
	}
	var err error
	o.Watchdog, err = sd.SdWatchdogEnabled(false)
	return err
}

// loadAll reads the configuration and the policies that it names. Problems of all
// come together, in a usageError of strictyaml.Problems.
func loadAll(cmd *cobra.Command) (*config.Config, *policy.Policy, error) {
	cfg, err := loadConfig(cmd, " FILE; an example is config.example.yaml")
	var problems strictyaml.Problems
	if err != nil && !errors.As(err, &problems) {
		return nil, nil, err
	}
	p := policy.Default()
	for i, file := range []string{cfg.Policy.File, cfg.Policy.ShadowFile} {
		if file == "" {
			continue
		}
		loaded, err := loadPolicy(file)
		var more strictyaml.Problems
		switch {
		case errors.As(err, &more):
			problems = append(problems, more...)
		case err != nil && len(problems) == 0: // else the configuration's problems have it already
			return cfg, nil, err
		case i == 0:
			p = loaded
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
	enc := zapcore.NewJSONEncoder(logthrottle.Encoding())
	if c.Format == "console" {
		enc = zapcore.NewConsoleEncoder(logthrottle.Encoding())
	}
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(w)), level)), nil
}

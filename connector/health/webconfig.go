package health

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"

	"github.com/prometheus/exporter-toolkit/web"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// quoted is a value that could not be read, in an error of the toolkit.
var quoted = regexp.MustCompile("`[^`]*`")

// CheckWebConfig reads a web configuration of Prometheus' exporter toolkit, with the
// certificates that it names. The error says what is wrong and shows no value: the
// file holds hashes of passwords, and may hold a key. An empty name is fine.
func CheckWebConfig(file string) error {
	err := web.Validate(file)
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "bcrypt"):
		return errors.New("basic_auth_users has a password that is no bcrypt hash")
	}
	text := strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n")
	text = quoted.ReplaceAllString(strings.TrimPrefix(text, "yaml: "), "a value")
	return errors.New(strings.Join(strings.Fields(text), " "))
}

// bridge writes what the toolkit logs by slog to zap. Its messages about its start are
// logged as debug, because we log that ourselves.
type bridge struct{ log *zap.Logger }

func (b bridge) Enabled(_ context.Context, l slog.Level) bool {
	return b.log.Core().Enabled(zapLevel(l))
}

func (b bridge) Handle(_ context.Context, r slog.Record) error {
	fields := make([]zap.Field, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		fields = append(fields, field(a))
		return true
	})
	b.log.Log(zapLevel(r.Level), strings.ToLower(r.Message), fields...)
	return nil
}

func (b bridge) WithAttrs(attrs []slog.Attr) slog.Handler {
	fields := make([]zap.Field, 0, len(attrs))
	for _, a := range attrs {
		fields = append(fields, field(a))
	}
	return bridge{b.log.With(fields...)}
}

func (b bridge) WithGroup(name string) slog.Handler { return bridge{b.log.With(zap.Namespace(name))} }

func field(a slog.Attr) zap.Field { return zap.Any(a.Key, a.Value.Resolve().Any()) }

func zapLevel(l slog.Level) zapcore.Level {
	switch {
	case l >= slog.LevelError:
		return zapcore.ErrorLevel
	case l >= slog.LevelWarn:
		return zapcore.WarnLevel
	}
	return zapcore.DebugLevel
}

package logthrottle

import (
	"regexp"
	"strings"

	"go.uber.org/zap/zapcore"
)

// isCause reports whether a line is about a cause, and not an event that is logged
// whenever it happens.
func isCause(level zapcore.Level, fields []zapcore.Field) bool {
	if level < zapcore.InfoLevel || level > zapcore.ErrorLevel {
		return false
	}
	ofJob := false
	for i := range fields {
		switch fields[i].Key {
		case "error":
			if fields[i].Type == zapcore.ErrorType {
				return true
			}
		case "job", "task":
			ofJob = true
		}
	}
	return level >= zapcore.WarnLevel && !ofJob
}

// occasions are the fields that say when or for what a cause was met: lines that differ
// in nothing else have the same cause.
var occasions = map[string]bool{"job": true, "task": true, "key": true, "subscription": true, "definition": true}

// about returns what in the fields of a line tells its cause from others.
func about(fields []zapcore.Field) string {
	var b strings.Builder
	for i := range fields {
		f := &fields[i]
		text := f.String
		if f.Type == zapcore.ErrorType {
			if err, ok := f.Interface.(error); ok && err != nil {
				text = err.Error()
			}
		} else if f.Type != zapcore.StringType || occasions[f.Key] {
			continue
		}
		b.WriteString(" ")
		b.WriteString(f.Key)
		b.WriteString("=")
		b.WriteString(constant(text))
	}
	return b.String()
}

// maxText is how much of a text is compared: errors differ at their beginning, and the
// keys of maxCauses causes are kept in memory.
const maxText = 400

// variable is what differs from one occurrence to the next: ids of requests, addresses
// with their ports, durations.
var variable = regexp.MustCompile(
	`[0-9A-Fa-f]+(?:-[0-9A-Fa-f]+)+|\[[0-9A-Fa-f:]+\]:\d+|\d+(?:\.\d+)+(?::\d+)?|\d+(?:ns|µs|ms|s|m|h)\b|\d{4,}`)

// constant returns a text without what differs from one occurrence to the next. HTTP
// statuses stay: another status is another cause.
func constant(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return variable.ReplaceAllString(text, "#")
}

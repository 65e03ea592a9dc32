package journal

import (
	"regexp"
	"strings"

	"go.uber.org/zap/zapcore"
)

// isCause reports whether a line is about a cause, and not an event that has to be
// told whenever it happens.
func isCause(level zapcore.Level, fields []zapcore.Field) bool {
	if level < zapcore.InfoLevel || level > zapcore.ErrorLevel {
		return false
	}
	ofJob := false
	for i := range fields {
		if fields[i].Type == zapcore.ErrorType && fields[i].Key == "error" {
			return true
		}
		ofJob = ofJob || fields[i].Key == "job" || fields[i].Key == "task"
	}
	return level >= zapcore.WarnLevel && !ofJob
}

// occasions are the fields that say when or on what a cause was met: lines that
// differ in them alone have one.
var occasions = map[string]bool{"job": true, "task": true, "key": true, "subscription": true, "definition": true}

// about is the part of a line's fields that tells its cause.
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
		b.WriteString(steady(text))
	}
	return b.String()
}

// maxText is how much of a text is looked at.
const maxText = 400

// passing is what differs from one time to the next: ids of requests, addresses
// with their ports, how long something took.
var passing = regexp.MustCompile(`[0-9A-Fa-f]+(?:-[0-9A-Fa-f]+)+|\[[0-9A-Fa-f:]+\]:\d+|\d+(?:\.\d+)+(?::\d+)?|\d+(?:ns|µs|ms|s|m|h)\b|\d{4,}`)

// steady is a text without what differs from one time to the next. The status of an
// answer stays: another is another cause.
func steady(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return passing.ReplaceAllString(text, "#")
}

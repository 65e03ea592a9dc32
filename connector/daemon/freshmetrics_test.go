package daemon_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// series is a line of /metrics that is one of ours: not a bucket, which say no more than
// the count beside them.
var series = regexp.MustCompile(`^(pullprint_\w+?)(\{.*\})? \S+$`)

// metricsOf are the series of a page of metrics with their types, without values.
func metricsOf(page string) string {
	var list []string
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "# TYPE pullprint_"); ok {
			list = append(list, "pullprint_"+name)
			continue
		}
		m := series.FindStringSubmatch(line)
		if m == nil || strings.HasSuffix(m[1], "_bucket") || m[1] == "pullprint_build_info" {
			continue
		}
		list = append(list, "  "+m[1]+m[2])
	}
	return strings.Join(list, "\n") + "\n"
}

var labelValue = regexp.MustCompile(`="(\\.|[^"\\])*"`)

// labelsOf are the names of our series, each with those of its labels.
func labelsOf(page string) string {
	var list []string
	for line := range strings.Lines(metricsOf(page)) {
		if name, ok := strings.CutPrefix(line, "  "); ok {
			list = append(list, labelValue.ReplaceAllString(name, ""))
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), "")
}

// The series of a daemon that has just begun, with their labels and those that are zero,
// stay as they are, and so do the names and labels of one that has worked: dashboards and
// alerts read them.
func TestFreshMetrics(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := newOffice(t, graphtest.Calm()).start(zap.NewNop())
		defer s.end()
		s.register()
		pass(30 * time.Second)
		_, page := s.get("/metrics")
		golden(t, "metrics.txt", s.named(metricsOf(page)))

		s.enrol(studentID, number)
		s.hold(1)
		if _, code := s.tap(number); code != http.StatusOK {
			t.Fatal(code)
		}
		s.print(graphtest.JobSpec{Printer: directID, Copies: 99})
		s.print(graphtest.JobSpec{Printer: directID})
		pass(time.Minute)
		_, page = s.get("/metrics")
		golden(t, "metrics-in-use.txt", labelsOf(page))
	})
}

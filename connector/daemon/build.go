package daemon

import (
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Build says what the program was built from; a fact that the build does not
// know is "unknown".
type Build struct {
	Version  string `json:"version"`
	Module   string `json:"module"`
	Revision string `json:"revision"`
	Time     string `json:"time"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
}

// stamp is "version revision time", set by -ldflags "-X pullprint/connector/daemon.stamp=…"
// where the build can't read them from a repository, as from a source archive.
var stamp string

// ReadBuild reads it out of the running program.
func ReadBuild() Build {
	b := Build{Version: "unknown", Module: "unknown", Revision: "unknown", Time: "unknown", Go: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version, b.Module, b.Go = info.Main.Version, info.Main.Path, info.GoVersion
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	if f := strings.Fields(stamp); len(f) == 3 {
		b.Version, b.Revision, b.Time = f[0], f[1], f[2]
	}
	return b
}

// collector is the metric pullprint_build_info.
func (b Build) collector() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pullprint_build_info", Help: "What the program was built from; always 1.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": b.Go},
	})
	g.Set(1)
	return g
}

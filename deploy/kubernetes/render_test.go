// Package kubernetes holds what is in this folder against the Kubernetes API and against
// the program: a module of its own, so that none of what it needs comes near the product.
package kubernetes

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// The oldest Kubernetes that all of this is for. Helm built from source believes in 1.20.
const kubeVersion = "1.30.0"

const chartDir = "chart/pullprint"

// rendered is what one way of installing makes.
type rendered struct {
	name    string
	objects []object
}

// object is one of them: as it came, and what finds it.
type object struct {
	yaml       []byte
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
}

func (o object) String() string { return o.Kind + "/" + o.Metadata.Name }

var (
	once     sync.Mutex
	everyWay []rendered
)

// all renders every way of installing that is in this folder, once.
func all(t *testing.T) []rendered {
	t.Helper()
	once.Lock()
	defer once.Unlock()
	if everyWay != nil {
		return everyWay
	}
	var out []rendered
	for _, dir := range kustomizations(t) {
		out = append(out, rendered{"kustomize " + dir, kustomize(t, dir)})
	}
	for _, values := range ciValues(t) {
		text, err := helm(t, "template", "pullprint", chartDir, "--namespace", "pullprint", "--kube-version", kubeVersion, "--values", values)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rendered{"helm " + filepath.Base(values), split(t, text)})
	}
	everyWay = out
	return out
}

func (r rendered) find(t *testing.T, kind, name string) object {
	t.Helper()
	i := slices.IndexFunc(r.objects, func(o object) bool { return o.Kind == kind && o.Metadata.Name == name })
	if i < 0 {
		t.Fatalf("%s: there is no %s/%s", r.name, kind, name)
	}
	return r.objects[i]
}

// kustomizations are the folders to render: the overlays, the example, and each overlay
// with every component.
func kustomizations(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob("overlays/*")
	if err != nil || len(dirs) != 2 {
		t.Fatalf("overlays %v %v", dirs, err)
	}
	dirs = append(dirs, "example")
	more, err := filepath.Glob("testdata/*-with-components")
	if err != nil || len(more) != 2 {
		t.Fatalf("with components %v %v", more, err)
	}
	return append(dirs, more...)
}

// kustomize renders a folder with the library of the tool: what kubectl 1.34 has in it.
func kustomize(t *testing.T, dir string) []object {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return split(t, string(text))
}

func ciValues(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(chartDir + "/ci/*-values.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("values %v %v", files, err)
	}
	return files
}

// tool finds a program that .ci/run pins: by its variable, else on PATH.
func tool(t *testing.T, variable, name string) string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s here: .ci/run kubernetes brings it, or name it in %s", name, variable)
	}
	return path
}

// helm runs it; the error has what it said.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, "HELM", "helm"), args...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = errors.New(string(exit.Stderr))
	}
	return string(out), err
}

// split cuts a stream of documents. None of ours has a line of three dashes in a text.
func split(t *testing.T, stream string) []object {
	t.Helper()
	var out []object
	for doc := range strings.SplitSeq("\n"+stream, "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if o.Kind == "" {
			if strings.TrimSpace(doc) != "" {
				t.Fatalf("no kind in\n%s", doc)
			}
			continue
		}
		o.yaml = []byte(doc)
		out = append(out, o)
	}
	return out
}

package kubernetes

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// operator is the module that has the CRD of a ServiceMonitor in it. It is looked at, not
// built: no go.mod needs it.
const operator = "github.com/prometheus-operator/prometheus-operator@v0.85.0"

const monitorCRD = "monitoring.coreos.com_servicemonitors.yaml"

// monitorDefinition is the CRD of a ServiceMonitor.
func monitorDefinition(t *testing.T) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", operator)
	cmd.Dir = t.TempDir() // in no module
	out, err := cmd.Output()
	var got struct{ Dir, Error string }
	if jerr := json.Unmarshal(out, &got); jerr != nil || err != nil || got.Error != "" {
		t.Fatalf("%v %v %s", err, jerr, out)
	}
	return must(os.ReadFile(filepath.Join(got.Dir, "example", "prometheus-operator-crd", monitorCRD)))(t)
}

// Every object passes kubectl-validate against the schemas of the oldest Kubernetes that it
// is for, a ServiceMonitor against that of its CRD; and an object that is wrong doesn't.
func TestKubectlValidate(t *testing.T) {
	bin := tool(t, "KUBECTL_VALIDATE", "kubectl-validate")
	crds, dir := t.TempDir(), t.TempDir()
	write := func(name string, text []byte) {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(crds, monitorCRD), monitorDefinition(t))
	validate := func(dir string) (string, error) {
		out, err := exec.CommandContext(t.Context(), bin, "--version", "1.30", "--local-crds", crds, dir).CombinedOutput()
		return string(out), err
	}
	n := 0
	for _, r := range all(t) {
		for _, o := range r.objects {
			n++
			write(filepath.Join(dir, strings.NewReplacer(" ", "-", "/", "-").Replace(r.name+" "+o.String())+".yaml"), o.yaml)
		}
	}
	out, err := validate(dir)
	if err != nil || strings.Count(out, "OK") != n || strings.Contains(out, "ERROR") {
		t.Errorf("%v, %d of %d are good\n%s", err, strings.Count(out, "OK"), n, out)
	}
	for name, bad := range map[string]string{
		"a field of a CRD": "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: x}\nspec: {selector: {}, " +
			"endpoints: [{prot: metrics}]}\n",
		"a field":           "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {sessionAfinity: None}\n",
		"a value of a port": "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: http}]}\n",
	} {
		wrong := t.TempDir()
		write(filepath.Join(wrong, "bad.yaml"), []byte(bad))
		if out, err := validate(wrong); err == nil {
			t.Errorf("%s: passes\n%s", name, out)
		}
	}
}

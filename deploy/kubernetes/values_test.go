package kubernetes

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The chart passes `helm lint --strict` with each file of values, and by itself.
func TestLint(t *testing.T) {
	for _, values := range append(ciValues(t), chartDir+"/values.yaml") {
		if out, err := helm(t, "lint", "--strict", "--kube-version", kubeVersion, "--values", values, chartDir); err != nil {
			t.Errorf("%s: %v\n%s", values, err, out)
		}
	}
}

// What can't work is refused before it is installed, in words that say what to do.
func TestBadValues(t *testing.T) {
	const single, cluster = "single-values.yaml", "cluster-values.yaml"
	for _, c := range []struct {
		values, set string
		want        []string
	}{
		{"", "mode=cluster", []string{
			"image.repository is missing: build the image from deploy/docker", "image.tag is missing",
			"existingSecret is missing: name the Secret with client-secret, admin-token and badge-key",
			"config.tenant_id is missing", "config.auth.client_id is missing", "config.webhook.public_url is missing", "config.queues is missing",
			"nats.url is missing: with mode cluster name the NATS servers",
		}},
		{single, "mode=singel,imag.tag=2,image.tga=2,image.digest=sha256:12," +
			"image.repository=registry.example.com/pullprint:1,config.qeues=x,config.cloud=china," +
			"terminationGracePeriodSeconds=10,nats.replicas=2,nats.url=nats://me:secret@nats:4222," +
			"networkPolicy.admin.from[0].namespace=x,existingSecret=My_Secret", []string{
			"at '/mode': value must be one of 'single', 'cluster'", "additional properties 'imag' not allowed",
			"at '/image': additional properties 'tga' not allowed",
			"at '/image/digest'", "at '/image/repository'", "at '/config': additional properties 'qeues' not allowed",
			"at '/config/cloud': value must be one of",
			"at '/terminationGracePeriodSeconds': minimum: got 10, want 30", "at '/nats/replicas'", "at '/nats/url'",
			"additional properties 'namespace' not allowed", "at '/existingSecret'",
		}},
		{single, "config.metrics.listen=x,config.webhook.listen=x,config.policy.file=x,config.nats.url=x,config.admin.tls.cert_file=x", []string{
			"config.metrics.listen is set by the chart: leave it out", "config.webhook.listen is set by the chart: leave it out",
			"config.policy.file is set by the chart: leave it out, and use policy.file beside config",
			"config.nats.url is set by the chart: leave it out, and use nats.url beside config",
			"config.admin.tls is set by the chart: leave it out, and use tls.admin.existingSecret beside config",
		}},
		{single, "workloadIdentity.enabled=true,config.auth.client_secret_file=x,autoscaling.enabled=true," +
			"nats.url=nats://nats:4222,ingress.enabled=true,tls.webhook.existingSecret=x", []string{
			"config.auth.client_secret_file and workloadIdentity.enabled: leave one of them out",
			"autoscaling.enabled with mode single: one store has one daemon",
			"nats.url with mode single: NATS is in the pod", "ingress.enabled and tls.webhook.existingSecret",
		}},
		{single, "config.metrics.web_config_file=x", []string{
			"config.metrics.web_config_file: probes show no password and no certificate; leave it out",
		}},
		{single, "pagesIngress.enabled=true,tls.admin.existingSecret=x", []string{
			"pagesIngress.enabled without config.sign_in.public_url", "pagesIngress.enabled and tls.admin.existingSecret",
			"pagesIngress.enabled and networkPolicy.admin.from: it lets nobody in",
		}},
		{cluster, "replicas=1,config.administrator.sign_in_file=/x", []string{
			"replicas is less than 2", "config.administrator needs a folder that is kept",
		}},
	} {
		args := []string{"template", "pullprint", chartDir, "--kube-version", kubeVersion, "--set", c.set}
		if c.values != "" {
			args = append(args, "--values", filepath.Join(chartDir, "ci", c.values))
		}
		out, err := helm(t, args...)
		if err == nil {
			t.Errorf("%s with %s: nothing is wrong\n%s", c.values, c.set, out)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s with %s: got %v, want %q", c.values, c.set, err, want)
			}
		}
	}
	if _, err := helm(t, "template", "pullprint", chartDir, "--kube-version", "1.29.0", "--values",
		filepath.Join(chartDir, "ci", single)); err == nil || !strings.Contains(err.Error(), "chart requires kubeVersion: >=1.30.0-0") {
		t.Errorf("Kubernetes 1.29: %v", err)
	}
}

// leaves are the values by their paths. An empty map is one: what goes in is somebody else's.
func leaves(at string, v any) map[string]any {
	out := map[string]any{}
	m, ok := v.(map[string]any)
	if !ok || len(m) == 0 {
		out[at] = v
		return out
	}
	for key, value := range m {
		path := key
		if at != "" {
			path = at + "." + key
		}
		for p, x := range leaves(path, value) {
			out[p] = x
		}
	}
	return out
}

func values(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := yaml.UnmarshalStrict(must(os.ReadFile(chartDir+"/values.yaml"))(t), &v); err != nil {
		t.Fatal(err)
	}
	return leaves("", v)
}

var row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (?:`([^`]*)`)? \\| (.+) \\|$")

// The README of the chart has a row for every value, with the default that it has.
func TestReadme(t *testing.T) {
	readme := string(must(os.ReadFile(chartDir + "/README.md"))(t))
	shown := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(readme, -1) {
		if _, twice := shown[m[1]]; twice {
			t.Errorf("README shows %s twice", m[1])
		}
		shown[m[1]] = m[2]
	}
	for path, value := range values(t) {
		text := string(must(json.Marshal(value))(t))
		if s, ok := value.(string); ok {
			text = s
		}
		got, ok := shown[path]
		if !ok {
			t.Errorf("README does not show %s, %s by default", path, text)
		} else if got != text {
			t.Errorf("README: %s is %s by default, not %s", path, text, got)
		}
		delete(shown, path)
	}
	for path := range shown {
		t.Errorf("README shows %s, which is no value", path)
	}
}

// schemaNode is the part of a JSON schema that is used here.
type schemaNode struct {
	AdditionalProperties any                    `json:"additionalProperties"`
	Properties           map[string]*schemaNode `json:"properties"`
}

// closed reports whether no other key is let in.
func (n *schemaNode) closed() bool {
	others, ok := n.AdditionalProperties.(bool)
	return ok && !others
}

// The schema knows each value, and refuses others wherever the keys are the chart's own.
// Of config it knows every key at the top that the program has.
func TestSchema(t *testing.T) {
	var root schemaNode
	if err := json.Unmarshal(must(os.ReadFile(chartDir+"/values.schema.json"))(t), &root); err != nil {
		t.Fatal(err)
	}
	for path := range values(t) {
		at, closed := &root, true
		for part := range strings.SplitSeq(path, ".") {
			closed = closed && at.closed()
			if at = at.Properties[part]; at == nil {
				t.Errorf("the schema does not know %s", path)
				break
			}
		}
		if !closed {
			t.Errorf("the schema lets others in beside %s", path)
		}
	}
	config := root.Properties["config"]
	keys := topKeys(string(must(os.ReadFile("../../config.example.yaml"))(t)))
	if len(keys) < 15 || !config.closed() {
		t.Fatalf("keys %v, closed %v", keys, config.AdditionalProperties)
	}
	for _, key := range keys {
		if config.Properties[key] == nil {
			t.Errorf("the schema does not know config.%s, which config.example.yaml has", key)
		}
	}
}

// topKeys are those at the left of config.example.yaml, taken out or not.
func topKeys(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^(?:# )?([a-z_]+):(?: *$| \S+$| \{.*\}$)`).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// What has nothing to do with how it is installed is the same in kustomize and in the chart.
func TestAgree(t *testing.T) {
	find := func(name string) rendered {
		for _, r := range all(t) {
			if r.name == name {
				return r
			}
		}
		t.Fatal(name)
		return rendered{}
	}
	for _, pair := range [][2]string{
		{"kustomize overlays/single", "helm single-values.yaml"}, {"kustomize overlays/cluster", "helm cluster-values.yaml"},
	} {
		var got [2]string
		for i, name := range pair {
			r := find(name)
			w := r.workload(t)
			s := w.template.Spec
			c := s.Containers[0]
			c.Image, c.ImagePullPolicy, s.Volumes, s.Containers = "", "", nil, nil
			for j := range s.TopologySpreadConstraints {
				s.TopologySpreadConstraints[j].LabelSelector = nil
			}
			parts := []any{w.Kind, s, c}
			if w.set != nil {
				parts = append(parts, w.set.Spec.Replicas, w.set.Spec.ServiceName, w.set.Spec.VolumeClaimTemplates,
					w.set.Spec.PersistentVolumeClaimRetentionPolicy)
			} else {
				parts = append(parts, w.deploy.Spec.Replicas, w.deploy.Spec.Strategy, w.deploy.Spec.MinReadySeconds,
					w.deploy.Spec.ProgressDeadlineSeconds)
			}
			for _, o := range r.objects {
				if o.Kind == "Service" || o.Kind == "PodDisruptionBudget" {
					var v map[string]any
					if err := yaml.Unmarshal(o.yaml, &v); err != nil {
						t.Fatal(err)
					}
					spec := v["spec"].(map[string]any)
					delete(spec, "selector")
					if spec["type"] == "ClusterIP" {
						delete(spec, "type")
					}
					parts = append(parts, o.String(), spec)
				}
			}
			lines := make([]string, 0, len(parts))
			for _, p := range parts {
				lines = append(lines, string(must(json.Marshal(p))(t)))
			}
			slices.Sort(lines)
			got[i] = strings.Join(lines, "\n")
		}
		if got[0] != got[1] {
			t.Errorf("%s\n%s\n%s\n%s", pair[0], got[0], pair[1], got[1])
		}
	}
}

// A changed config rolls the pods; a changed policy doesn't: the daemon reads it.
func TestRollout(t *testing.T) {
	template := func(set ...string) string {
		args := []string{"template", "pullprint", chartDir, "--kube-version", kubeVersion, "--values", filepath.Join(chartDir, "ci",
			"cluster-values.yaml")}
		for _, s := range set {
			args = append(args, "--set", s)
		}
		out, err := helm(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		return string(must(json.Marshal(rendered{"", split(t, out)}.workload(t).template))(t))
	}
	before := template()
	if template("config.log.level=debug") == before {
		t.Error("a changed config leaves the pods as they are")
	}
	if template("policy.file=default: {pull: hold}") != before {
		t.Error("a changed policy rolls the pods")
	}
}

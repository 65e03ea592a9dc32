package kubernetes

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// types are the kinds that may be rendered. A ServiceMonitor is none of Kubernetes' own:
// its schema is that of the Prometheus Operator, see TestKubectlValidate.
var types = map[string]func() any{
	"v1 Namespace":                           func() any { return new(corev1.Namespace) },
	"v1 ServiceAccount":                      func() any { return new(corev1.ServiceAccount) },
	"v1 ConfigMap":                           func() any { return new(corev1.ConfigMap) },
	"v1 Service":                             func() any { return new(corev1.Service) },
	"v1 Pod":                                 func() any { return new(corev1.Pod) },
	"apps/v1 Deployment":                     func() any { return new(appsv1.Deployment) },
	"apps/v1 StatefulSet":                    func() any { return new(appsv1.StatefulSet) },
	"networking.k8s.io/v1 NetworkPolicy":     func() any { return new(networkingv1.NetworkPolicy) },
	"networking.k8s.io/v1 Ingress":           func() any { return new(networkingv1.Ingress) },
	"policy/v1 PodDisruptionBudget":          func() any { return new(policyv1.PodDisruptionBudget) },
	"autoscaling/v2 HorizontalPodAutoscaler": func() any { return new(autoscalingv2.HorizontalPodAutoscaler) },
}

const monitorKind = "monitoring.coreos.com/v1 ServiceMonitor"

// decoded reads an object strictly: an unknown or a doubled field is an error.
func decoded[T any](t *testing.T, o object) T {
	t.Helper()
	var into T
	if err := yaml.UnmarshalStrict(o.yaml, &into); err != nil {
		t.Fatalf("%s: %v", o, err)
	}
	return into
}

// Every object is one that Kubernetes knows, with no field that it doesn't.
func TestStrict(t *testing.T) {
	kinds := map[string]bool{}
	for _, r := range all(t) {
		names := map[string]bool{}
		for _, o := range r.objects {
			if names[o.String()] {
				t.Errorf("%s: %s twice", r.name, o)
			}
			names[o.String()] = true
			key := o.APIVersion + " " + o.Kind
			kinds[key] = true
			if key == monitorKind {
				continue
			}
			empty, ok := types[key]
			if !ok {
				t.Errorf("%s: %s is of a kind that nobody looks at: %s", r.name, o, key)
				continue
			}
			if err := yaml.UnmarshalStrict(o.yaml, empty()); err != nil {
				t.Errorf("%s: %s: %v", r.name, o, err)
			}
		}
	}
	for key := range types {
		if !kinds[key] {
			t.Errorf("nothing renders a %s", key)
		}
	}
	if !kinds[monitorKind] {
		t.Error("nothing renders a ServiceMonitor")
	}
}

// workload is the daemon's Deployment or StatefulSet.
type workload struct {
	object
	template corev1.PodTemplateSpec
	selector *metav1.LabelSelector
	set      *appsv1.StatefulSet // nil: a Deployment
	deploy   *appsv1.Deployment
}

func (r rendered) workload(t *testing.T) workload {
	t.Helper()
	for _, o := range r.objects {
		switch o.Kind {
		case "Deployment":
			d := decoded[appsv1.Deployment](t, o)
			return workload{o, d.Spec.Template, d.Spec.Selector, nil, &d}
		case "StatefulSet":
			s := decoded[appsv1.StatefulSet](t, o)
			return workload{o, s.Spec.Template, s.Spec.Selector, &s, nil}
		}
	}
	t.Fatalf("%s: no workload", r.name)
	return workload{}
}

// pods are the templates of all pods: the daemon's, and that of `helm test`.
func (r rendered) pods(t *testing.T) map[string]corev1.PodTemplateSpec {
	t.Helper()
	w := r.workload(t)
	out := map[string]corev1.PodTemplateSpec{w.String(): w.template}
	for _, o := range r.objects {
		if o.Kind == "Pod" {
			p := decoded[corev1.Pod](t, o)
			out[o.String()] = corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}
		}
	}
	return out
}

// Each pod is what the level `restricted` admits, by the evaluator of Kubernetes itself,
// and what it doesn't ask for besides.
func TestRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		t.Fatal(err)
	}
	level := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	for _, r := range all(t) {
		for name, pod := range r.pods(t) {
			verdict := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
			if !verdict.Allowed {
				t.Errorf("%s: %s: %s", r.name, name, verdict.ForbiddenDetail())
			}
			for _, wrong := range loose(&pod.Spec) {
				t.Errorf("%s: %s: %s", r.name, name, wrong)
			}
		}
	}
}

// loose is what is not as tight as it can be.
func loose(s *corev1.PodSpec) (wrong []string) {
	say := func(bad bool, text string) {
		if bad {
			wrong = append(wrong, text)
		}
	}
	off := func(b *bool) bool { return b != nil && !*b }
	say(!off(s.AutomountServiceAccountToken), "the token of its service account is mounted")
	say(!off(s.EnableServiceLinks), "it gets a variable for each service around")
	say(s.SecurityContext.RunAsUser == nil || *s.SecurityContext.RunAsUser != 65532, "it does not run as the user of the image, 65532")
	say(s.SecurityContext.RunAsGroup == nil || *s.SecurityContext.RunAsGroup != 65532, "it does not run as the group of the image, 65532")
	say(len(s.InitContainers)+len(s.EphemeralContainers) > 0 || len(s.Containers) != 1, "it is not one container")
	for _, c := range s.Containers {
		say(c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem, "its root can be written")
		say(len(c.Command) != 1 || c.Command[0] != "/usr/bin/pullprint", "its command is not the program of the image")
		say(c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero(), "it requests no CPU or no memory")
		say(c.Resources.Limits.Memory().IsZero(), "its memory has no limit")
		say(!c.Resources.Limits.Cpu().IsZero(), "its CPU has a limit")
		say(strings.HasSuffix(c.Image, ":latest"), "its image is :latest")
		for _, m := range c.VolumeMounts {
			say(m.SubPath != "" || m.SubPathExpr != "", m.Name+" is mounted by subPath: it would not follow a change")
			say(m.Name != "store" && !m.ReadOnly, m.Name+" can be written")
		}
	}
	return wrong
}

// One store has one daemon: a StatefulSet of one on a volume that one pod at a time may
// use. On NATS servers of its own there are several, spread, and never all gone at once.
func TestModes(t *testing.T) {
	for _, r := range all(t) {
		w := r.workload(t)
		grace := w.template.Spec.TerminationGracePeriodSeconds
		if grace == nil || *grace < 35 {
			t.Errorf("%s: the daemon has no 25 s to end, with 5 s before and some to spare", r.name)
		}
		budgets := 0
		for _, o := range r.objects {
			if o.Kind == "PodDisruptionBudget" {
				budgets++
			}
		}
		if w.set != nil {
			s := w.set.Spec
			if *s.Replicas != 1 || len(s.VolumeClaimTemplates) != 1 || budgets != 0 {
				t.Errorf("%s: %d replicas, %d volumes, %d budgets", r.name, *s.Replicas, len(s.VolumeClaimTemplates), budgets)
			}
			claim := s.VolumeClaimTemplates[0].Spec
			if !slices.Equal(claim.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}) {
				t.Errorf("%s: access modes %v", r.name, claim.AccessModes)
			}
			if p := s.PersistentVolumeClaimRetentionPolicy; p == nil || p.WhenDeleted != "Retain" || p.WhenScaled != "Retain" {
				t.Errorf("%s: the volume goes with the StatefulSet: %v", r.name, p)
			}
			if svc := decoded[corev1.Service](t, r.find(t, "Service", s.ServiceName)); svc.Spec.ClusterIP != "None" {
				t.Errorf("%s: the service of the StatefulSet is not headless", r.name)
			}
			continue
		}
		d := w.deploy.Spec
		if d.Replicas != nil && *d.Replicas < 3 || budgets != 1 || len(w.template.Spec.TopologySpreadConstraints) == 0 {
			t.Errorf("%s: %v replicas, %d budgets, %d constraints", r.name, d.Replicas, budgets, len(w.template.Spec.TopologySpreadConstraints))
		}
		if u := d.Strategy.RollingUpdate; u == nil || u.MaxUnavailable.IntValue() != 0 || u.MaxSurge.IntValue() < 1 {
			t.Errorf("%s: an update takes replicas away before there are new ones: %v", r.name, u)
		}
		if l := w.template.Spec.Containers[0].Lifecycle; l == nil || l.PreStop.Sleep.Seconds < 5 {
			t.Errorf("%s: a replica that ends is still sent traffic", r.name)
		}
	}
}

// Whatever selects finds the pods of the daemon, whatever names a port names one of theirs,
// and nobody else's pod is meant: not that of `helm test`.
func TestSelectors(t *testing.T) {
	for _, r := range all(t) {
		w := r.workload(t)
		ports := map[string]int32{}
		for _, p := range w.template.Spec.Containers[0].Ports {
			ports[p.Name] = p.ContainerPort
		}
		if want := map[string]int32{"webhook": 8443, "admin": 8080, "metrics": 9464}; !maps.Equal(ports, want) {
			t.Errorf("%s: ports %v, want %v", r.name, ports, want)
		}
		seen := 0
		check := func(o object, selector map[string]string) {
			seen++
			meant := labels.SelectorFromSet(selector)
			for name, pod := range r.pods(t) {
				if got := meant.Matches(labels.Set(pod.Labels)); got != (name == w.String()) || meant.Empty() {
					t.Errorf("%s: %s selects %s: %v", r.name, o, name, got)
				}
			}
		}
		named := func(o object, port intstr.IntOrString) {
			if port.Type != intstr.String || ports[port.StrVal] == 0 {
				t.Errorf("%s: %s names no port of the pod: %v", r.name, o, port)
			}
		}
		check(w.object, w.selector.MatchLabels)
		for _, o := range r.objects {
			switch o.Kind {
			case "Service":
				s := decoded[corev1.Service](t, o)
				check(o, s.Spec.Selector)
				named(o, s.Spec.Ports[0].TargetPort)
				if len(s.Spec.Ports) != 1 || !strings.HasSuffix(o.Metadata.Name, "-"+s.Spec.Ports[0].Name) {
					t.Errorf("%s: %s opens %v", r.name, o, s.Spec.Ports)
				}
			case "NetworkPolicy":
				p := decoded[networkingv1.NetworkPolicy](t, o)
				check(o, p.Spec.PodSelector.MatchLabels)
				for _, rule := range p.Spec.Ingress {
					named(o, *rule.Ports[0].Port)
				}
			case "PodDisruptionBudget":
				check(o, decoded[policyv1.PodDisruptionBudget](t, o).Spec.Selector.MatchLabels)
			case "HorizontalPodAutoscaler":
				if ref := decoded[autoscalingv2.HorizontalPodAutoscaler](t, o).Spec.ScaleTargetRef; ref.Kind != w.Kind || ref.Name != w.Metadata.Name {
					t.Errorf("%s: %s scales %v", r.name, o, ref)
				}
			}
		}
		for _, c := range w.template.Spec.TopologySpreadConstraints {
			if !labels.SelectorFromSet(c.LabelSelector.MatchLabels).Matches(labels.Set(w.template.Labels)) && !strings.Contains(r.name, "full") {
				t.Errorf("%s: spreads others: %v", r.name, c.LabelSelector)
			}
		}
		if seen < 5 {
			t.Errorf("%s: %d selectors only", r.name, seen)
		}
	}
}

// The ingress of the webhook lets /graph/ in and nothing else, and that of the pages stands at another
// service; a ServiceMonitor finds the service of the metrics and no other.
func TestIngressAndServiceMonitor(t *testing.T) {
	ingresses, monitors := 0, 0
	for _, r := range all(t) {
		for _, o := range r.objects {
			switch o.Kind {
			case "Ingress":
				ingresses++
				for _, rule := range decoded[networkingv1.Ingress](t, o).Spec.Rules {
					for _, p := range rule.HTTP.Paths {
						s := p.Backend.Service
						svc := decoded[corev1.Service](t, r.find(t, "Service", s.Name))
						webhook := strings.HasSuffix(p.Path, "/graph/") && s.Port.Name == "webhook"
						pages := p.Path == "/" && s.Port.Name == "admin" && rule.Host == "printing.example.com"
						if rule.Host == "" || !webhook && !pages || *p.PathType != networkingv1.PathTypePrefix ||
							svc.Spec.Ports[0].Name != s.Port.Name {
							t.Errorf("%s: %s opens %s%s to %s", r.name, o, rule.Host, p.Path, s.Name)
						}
					}
				}
			case "ServiceMonitor":
				monitors++
				var m struct {
					Spec struct {
						Selector  metav1.LabelSelector
						Endpoints []struct{ Port, Path string }
					}
				}
				if err := yaml.Unmarshal(o.yaml, &m); err != nil {
					t.Fatal(err)
				}
				var found []string
				for _, s := range r.objects {
					if s.Kind == "Service" && labels.SelectorFromSet(m.Spec.Selector.MatchLabels).Matches(labels.Set(s.Metadata.Labels)) {
						found = append(found, decoded[corev1.Service](t, s).Spec.Ports[0].Name)
					}
				}
				if e := m.Spec.Endpoints; !slices.Equal(found, []string{"metrics"}) || len(e) != 1 || e[0].Port != "metrics" ||
					e[0].Path != "/metrics" {
					t.Errorf("%s: %s finds %v and scrapes %v", r.name, o, found, e)
				}
			}
		}
	}
	if ingresses < 5 || monitors < 3 {
		t.Errorf("%d ingresses, %d monitors", ingresses, monitors)
	}
}

// The NetworkPolicy lets out what the configuration needs, and in what has to come.
func TestNetworkPolicy(t *testing.T) {
	address := regexp.MustCompile(`(?m)^ *(?:- )?url: (.*)$`)
	for _, r := range all(t) {
		var p networkingv1.NetworkPolicy
		want := []string{"TCP 443", "TCP 53", "UDP 53"}
		for _, o := range r.objects {
			switch {
			case o.Kind == "NetworkPolicy":
				p = decoded[networkingv1.NetworkPolicy](t, o)
			case o.Kind == "ConfigMap" && strings.Contains(o.Metadata.Name, "config"):
				if m := address.FindStringSubmatch(decoded[corev1.ConfigMap](t, o).Data["config.yaml"]); m != nil {
					for _, port := range regexp.MustCompile(`:([0-9]+)`).FindAllStringSubmatch(m[1], -1) {
						want = append(want, "TCP "+port[1])
					}
				}
			}
		}
		var out []string
		for _, rule := range p.Spec.Egress {
			for _, port := range rule.Ports {
				out = append(out, string(*port.Protocol)+" "+port.Port.String())
			}
		}
		for _, port := range want {
			if !slices.Contains(out, port) {
				t.Errorf("%s: %s does not get out: %v", r.name, port, out)
			}
		}
		var in []string
		for _, rule := range p.Spec.Ingress {
			in = append(in, rule.Ports[0].Port.String())
		}
		if !slices.Contains(in, "webhook") || !slices.Contains(in, "metrics") || slices.Contains(in, "admin") != strings.Contains(r.name,
			"full-") {
			t.Errorf("%s: lets in %v", r.name, in)
		}
		if !slices.Equal(p.Spec.PolicyTypes, []networkingv1.PolicyType{"Ingress", "Egress"}) {
			t.Errorf("%s: %v", r.name, p.Spec.PolicyTypes)
		}
	}
}

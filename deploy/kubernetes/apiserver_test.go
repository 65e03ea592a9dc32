package kubernetes

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

var apiserverDir = flag.String("apiserver", "",
	"`folder` with kube-apiserver and etcd, made by apiserver.sh: TestAPIServer creates everything there")

// plurals are where objects of a kind are created.
var plurals = map[string]string{
	"Namespace": "namespaces", "ServiceAccount": "serviceaccounts", "ConfigMap": "configmaps", "Service": "services", "Pod": "pods",
	"Deployment": "deployments", "StatefulSet": "statefulsets", "NetworkPolicy": "networkpolicies", "Ingress": "ingresses",
	"PodDisruptionBudget": "poddisruptionbudgets", "HorizontalPodAutoscaler": "horizontalpodautoscalers", "ServiceMonitor": "servicemonitors",
	"CustomResourceDefinition": "customresourcedefinitions",
}

// apiserver is a real one, without anything behind it that would run a pod.
type apiserver struct {
	t      *testing.T
	url    string
	client *http.Client
}

const apiToken = "the-token-of-the-test"

// startAPIServer starts etcd and a kube-apiserver on it.
func startAPIServer(t *testing.T, dir string) *apiserver {
	t.Helper()
	state := t.TempDir()
	key := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	for name, text := range map[string][]byte{"sa.key": private, "tokens.csv": []byte(apiToken + ",admin,1,system:masters\n")} {
		if err := os.WriteFile(filepath.Join(state, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	etcd, peer, api := free(t), free(t), free(t)
	_, port, _ := net.SplitHostPort(api)
	background(t, filepath.Join(dir, "etcd"), "--data-dir", filepath.Join(state, "etcd"), "--listen-client-urls", "http://"+etcd,
		"--advertise-client-urls", "http://"+etcd, "--listen-peer-urls", "http://"+peer)
	background(t, filepath.Join(dir, "kube-apiserver"), "--etcd-servers", "http://"+etcd, "--bind-address", "127.0.0.1", "--secure-port", port,
		"--cert-dir", filepath.Join(state, "certs"), "--service-cluster-ip-range", "10.0.0.0/24", "--token-auth-file",
		filepath.Join(state, "tokens.csv"), "--authorization-mode", "RBAC",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", filepath.Join(state, "sa.key"),
		"--service-account-signing-key-file", filepath.Join(state, "sa.key"))
	// Its certificate is made at start, by itself, for this test alone.
	a := &apiserver{
		t: t, url: "https://" + api,
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if code, _, _ := a.do(http.MethodGet, "/readyz", nil); code == http.StatusOK {
			return a
		} else if time.Now().After(end) {
			t.Fatalf("kube-apiserver is not ready: %d", code)
		}
	}
}

// background runs a program until the test is over.
func background(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var text lockedBuffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if out := text.String(); t.Failed() {
			t.Logf("%s:\n%s", name, out[max(0, len(out)-3000):])
		}
	})
}

// do asks; warnings are what it says besides, as `kubectl` would print it.
func (a *apiserver) do(method, path string, body []byte) (code int, text string, warnings []string) {
	a.t.Helper()
	req := must(http.NewRequestWithContext(a.t.Context(), method, a.url+path, bytes.NewReader(body)))(a.t)
	req.Header.Set("Authorization", "Bearer "+apiToken)
	req.Header.Set("Content-Type", "application/yaml")
	res, err := a.client.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(answer), res.Header.Values("Warning")
}

// create creates an object for real, and refuses fields that it doesn't know.
func (a *apiserver) create(namespace string, o object) (code int, text string, warnings []string) {
	a.t.Helper()
	group := "/apis/" + o.APIVersion
	if o.APIVersion == "v1" {
		group = "/api/v1"
	}
	if o.Kind != "Namespace" && o.Kind != "CustomResourceDefinition" {
		group += "/namespaces/" + namespace
	}
	if plurals[o.Kind] == "" {
		a.t.Fatalf("where is a %s created?", o.Kind)
	}
	var v map[string]any
	if err := yaml.Unmarshal(o.yaml, &v); err != nil {
		a.t.Fatal(err)
	}
	v["metadata"].(map[string]any)["namespace"] = namespace
	if o.Kind == "Namespace" {
		delete(v["metadata"].(map[string]any), "namespace")
	}
	return a.do(http.MethodPost, group+"/"+plurals[o.Kind]+"?fieldValidation=Strict", must(yaml.Marshal(v))(a.t))
}

// restrictedNamespace makes one that admits what is `restricted` and warns of the rest.
func (a *apiserver) restrictedNamespace(name string) {
	a.t.Helper()
	text := fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s\n  labels: {pod-security.kubernetes.io/enforce: "+
		"restricted, pod-security.kubernetes.io/warn: restricted}\n", name)
	if code, answer, _ := a.create("", split(a.t, text)[0]); code != http.StatusCreated {
		a.t.Fatalf("namespace: %d %s", code, answer)
	}
	a.account(name, "default") // a controller makes it elsewhere
}

// account makes a service account.
func (a *apiserver) account(namespace, name string) {
	a.t.Helper()
	text := "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: " + name + "}\n"
	if code, answer, _ := a.create(namespace, split(a.t, text)[0]); code != http.StatusCreated {
		a.t.Fatalf("service account: %d %s", code, answer)
	}
}

// Everything that is rendered is created in a real kube-apiserver, in a namespace that
// enforces `restricted`, with not one warning; and so are the pods that the workloads make.
func TestAPIServer(t *testing.T) {
	if *apiserverDir == "" {
		t.Skip("with -apiserver FOLDER only; apiserver.sh FOLDER makes one, in 8 minutes")
	}
	a := startAPIServer(t, *apiserverDir)
	if code, answer, _ := a.create("", split(t, string(monitorDefinition(t)))[0]); code != http.StatusCreated {
		t.Fatalf("CRD: %d %s", code, answer)
	}
	a.bites()
	created := 0
	for i, r := range all(t) {
		namespace := fmt.Sprintf("way-%d", i)
		a.restrictedNamespace(namespace)
		try := func(o object) {
			t.Helper()
			code, answer, warnings := a.create(namespace, o)
			for end := time.Now().Add(10 * time.Second); code == http.StatusNotFound && o.Kind == "ServiceMonitor" &&
				time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
				code, answer, warnings = a.create(namespace, o) // the CRD is new
			}
			if code != http.StatusCreated && !(code == http.StatusConflict && o.Kind == "Namespace") || len(warnings) > 0 {
				t.Errorf("%s: %s: %d %v\n%s", r.name, o, code, warnings, answer)
				return
			}
			created++
		}
		w := r.workload(t)
		if account := w.template.Spec.ServiceAccountName; !slices.ContainsFunc(r.objects,
			func(o object) bool { return o.String() == "ServiceAccount/"+account }) {
			a.account(namespace, account) // serviceAccount.create: false
		}
		for _, o := range r.objects {
			try(o)
		}
		pod := corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: w.template.ObjectMeta, Spec: w.template.Spec}
		pod.Name = w.Metadata.Name + "-0"
		if w.set != nil { // as its controller does
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
				Name:         "store",
				VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "store-" + pod.Name}},
			})
		}
		try(split(t, string(must(yaml.Marshal(pod))(t)))[0])
	}
	t.Logf("%d objects of %d ways created", created, len(all(t)))
}

// bites shows that what is wrong is refused or warned of there.
func (a *apiserver) bites() {
	a.t.Helper()
	a.restrictedNamespace("bites")
	pod := "{containers: [{name: a, image: a}]}"
	for text, want := range map[string]int{
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: " + pod +
			"\n": http.StatusForbidden,
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {sessionAfinity: None, ports: [{port: 80}]}\n": http.StatusBadRequest,
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}, {port: 81}]}\n":           http.StatusUnprocessableEntity,
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {selector: {matchLabels: {a: a}}, template: {metadata: {labels: " +
			"{a: a}}, spec: " + pod + "}}\n": http.StatusCreated,
	} {
		o := split(a.t, text)[0]
		code, answer, warnings := a.create("bites", o)
		if code != want || (o.Kind == "Deployment") != strings.Contains(strings.Join(warnings, ""), "would violate PodSecurity") {
			a.t.Errorf("%s: %d %v, want %d\n%s", text, code, warnings, want, answer)
		}
	}
}

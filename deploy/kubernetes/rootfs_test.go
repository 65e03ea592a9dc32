package kubernetes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// rootfs is what a container of a pod finds mounted, in a folder.
type rootfs struct {
	t    *testing.T
	dir  string
	r    rendered
	spec corev1.PodSpec
}

// mount puts the volumes of the daemon's pod into a folder, as the kubelet does.
func mount(t *testing.T, r rendered) *rootfs {
	t.Helper()
	f := &rootfs{t: t, dir: t.TempDir(), r: r, spec: r.workload(t).template.Spec}
	for _, m := range f.spec.Containers[0].VolumeMounts {
		at := filepath.Join(f.dir, m.MountPath)
		f.must(os.MkdirAll(at, 0o750))
		for _, v := range f.spec.Volumes {
			if v.Name == m.Name && v.Projected != nil {
				f.project(at, v.Projected)
			}
		}
	}
	return f
}

func (f *rootfs) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// project writes a projected volume: a folder of this version, ..data that points to it,
// and for each name at the top a link through ..data.
func (f *rootfs) project(at string, p *corev1.ProjectedVolumeSource) {
	f.t.Helper()
	if *p.DefaultMode != 0o440 {
		f.t.Errorf("%s: mode %04o, want 0440", f.r.name, *p.DefaultMode)
	}
	f.publish(at, f.files(p))
}

// files are the contents of a projected volume by their paths; what comes later wins.
func (f *rootfs) files(p *corev1.ProjectedVolumeSource) map[string]string {
	f.t.Helper()
	out := map[string]string{}
	add := func(data map[string]string, items []corev1.KeyToPath) {
		for _, i := range items {
			text, ok := data[i.Key]
			if !ok {
				f.t.Errorf("%s: no key %s", f.r.name, i.Key)
			}
			out[i.Path] = text
		}
		for key, text := range data {
			if items == nil {
				out[key] = text
			}
		}
	}
	for _, s := range p.Sources {
		switch {
		case s.ConfigMap != nil:
			add(decoded[corev1.ConfigMap](f.t, f.r.find(f.t, "ConfigMap", s.ConfigMap.Name)).Data, s.ConfigMap.Items)
		case s.Secret != nil:
			add(secrets(), s.Secret.Items)
		case s.ServiceAccountToken != nil:
			add(map[string]string{"token": "a.token.of-the-service-account"}, []corev1.KeyToPath{{Key: "token", Path: s.ServiceAccountToken.Path}})
		default:
			f.t.Errorf("%s: a source that nobody knows", f.r.name)
		}
	}
	return out
}

// publish swaps in a new version of a volume.
func (f *rootfs) publish(at string, files map[string]string) {
	f.t.Helper()
	version, err := os.MkdirTemp(at, "..version-")
	f.must(err)
	for name, text := range files {
		f.must(os.MkdirAll(filepath.Dir(filepath.Join(version, name)), 0o750))
		f.must(os.WriteFile(filepath.Join(version, name), []byte(text), 0o440))
	}
	f.must(os.Symlink(filepath.Base(version), filepath.Join(at, "..data_tmp")))
	f.must(os.Rename(filepath.Join(at, "..data_tmp"), filepath.Join(at, "..data")))
	for name := range files {
		top, _, _ := strings.Cut(name, "/")
		if err := os.Symlink(filepath.Join("..data", top), filepath.Join(at, top)); !errors.Is(err, fs.ErrExist) {
			f.must(err)
		}
	}
}

// rewrite changes config.yaml, after which whole paths begin in this folder.
func (f *rootfs) rewrite(replace ...string) {
	f.t.Helper()
	etc := filepath.Join(f.dir, "etc", "pullprint")
	for _, v := range f.spec.Volumes {
		if v.Name != "etc" {
			continue
		}
		files := f.files(v.Projected)
		replace = append(replace, " /var/", " "+f.dir+"/var/", "\"/var/", "\""+f.dir+"/var/")
		files["config.yaml"] = strings.NewReplacer(replace...).Replace(files["config.yaml"])
		f.publish(etc, files)
	}
}

func (f *rootfs) config() string { return filepath.Join(f.dir, "etc", "pullprint", "config.yaml") }

// secrets are what the Secrets of an administrator hold, whichever they are.
var secrets = sync.OnceValue(func() map[string]string {
	out := map[string]string{
		"client-secret": "the-simulators-secret\n", "badge-key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
		"administrator-key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", "nats.creds": "credentials\n",
	}
	for _, name := range []string{"admin-token", "reader-hq-2-west", "helpdesk-token"} {
		out[name] = "an-example-of-" + name + "\n"
	}
	app, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	out["app.crt"], out["app.key"] = certificate(app.Public(), app)
	host, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	out["tls.crt"], out["tls.key"] = certificate(host.Public(), host)
	return out
})

// certificate is one that a key signed for itself, and the key, both in PEM.
func certificate(public, private any) (cert, key string) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pullprint"}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		panic(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs}))
}

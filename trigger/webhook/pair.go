package webhook

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"pullprint/trigger/secretfile"
	"pullprint/trigger/wait"

	"go.uber.org/zap"
)

// checkEvery is how often the files are checked for changes. A certificate is replaced days
// before it expires, so sooner would not matter.
const checkEvery = 5 * time.Second

// pair is a certificate with its key that is reloaded when its files change.
type pair struct {
	files TLS
	log   *zap.Logger
	cert  atomic.Pointer[tls.Certificate]
	seen  [2]stamp // of the files when they were last read, successfully or not
}

// stamp identifies a version of a file.
type stamp struct {
	modified time.Time
	size     int64
	info     os.FileInfo // distinguishes a file from another that was renamed over it
}

// openPair reads the files; without any, there is no pair. A nil pair leaves a listener as it is.
func openPair(files TLS, log *zap.Logger) (*pair, error) {
	if files == (TLS{}) {
		return nil, nil
	}
	p := &pair{files: files, log: log}
	p.seen = p.stamps()
	cert, err := secretfile.KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("webhook.tls: %w", err)
	}
	p.cert.Store(&cert)
	return p, nil
}

func (p *pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.cert.Load(), nil }

func (p *pair) watch(ctx context.Context) error {
	for wait.Sleep(ctx, checkEvery) == nil {
		if p != nil {
			p.check()
		}
	}
	return ctx.Err()
}

// check reads the files again if they changed since they were last read. A pair that does not
// match, as while only one of the files is written, leaves the previous one in use, and is
// logged once for each change.
func (p *pair) check() {
	now := p.stamps()
	if same(now[0], p.seen[0]) && same(now[1], p.seen[1]) {
		return
	}
	p.seen = now
	cert, err := secretfile.KeyPair(p.files.CertFile, p.files.KeyFile)
	if err != nil {
		p.log.Error("new certificate can't be used, keeping the current one", zap.String("file", p.files.CertFile),
			zap.Error(err))
		return
	}
	p.cert.Store(&cert)
	p.log.Info("loaded new certificate", zap.String("file", p.files.CertFile), zap.Time("expires", cert.Leaf.NotAfter))
}

func (p *pair) stamps() (s [2]stamp) {
	for i, name := range []string{p.files.CertFile, p.files.KeyFile} {
		if fi, err := os.Stat(name); err == nil { // a missing file has the zero stamp
			s[i] = stamp{fi.ModTime(), fi.Size(), fi}
		}
	}
	return s
}

func same(a, b stamp) bool {
	return a.modified.Equal(b.modified) && a.size == b.size && (a.info == nil) == (b.info == nil) &&
		(a.info == nil || os.SameFile(a.info, b.info))
}

// Listener serves TLS on a listener. watch reloads the certificate when it changes, until its
// context ends. Without a certificate, Listener returns l itself, and watch only waits.
func (t TLS) Listener(
	l net.Listener, log *zap.Logger,
) (secured net.Listener, watch func(context.Context) error, err error) {
	p, err := openPair(t, log)
	return p.listener(l, "h2", "http/1.1"), p.watch, err
}

// listener serves TLS on l with the current certificate, for these protocols of ALPN.
func (p *pair) listener(l net.Listener, protocols ...string) net.Listener {
	if p == nil {
		return l
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: p.get, NextProtos: protocols,
	})
}

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

	"go.uber.org/zap"
)

// lookEvery is how often the files are looked at.
const lookEvery = 5 * time.Second

// pair is a certificate with its key that follows its files.
type pair struct {
	files TLS
	log   *zap.Logger
	cert  atomic.Pointer[tls.Certificate]
	seen  [2]stamp // of the files when they were last read, whether good or not
}

// stamp changes when a file does.
type stamp struct {
	modified time.Time
	size     int64
	info     os.FileInfo // tells a file from another that took its name
}

func openPair(files TLS, log *zap.Logger) (*pair, error) {
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
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			p.look()
		}
	}
}

// look reads the files again if they changed since they were last read. A bad
// pair, such as one of which only one file is written yet, leaves the old one in
// use; it is said once for each change.
func (p *pair) look() {
	now := p.stamps()
	if same(now[0], p.seen[0]) && same(now[1], p.seen[1]) {
		return
	}
	p.seen = now
	cert, err := secretfile.KeyPair(p.files.CertFile, p.files.KeyFile)
	if err != nil {
		p.log.Error("new certificate is bad, keeping the old one", zap.String("file", p.files.CertFile), zap.Error(err))
		return
	}
	p.cert.Store(&cert)
	p.log.Info("loaded new certificate", zap.String("file", p.files.CertFile), zap.Time("expires", cert.Leaf.NotAfter))
}

func (p *pair) stamps() (s [2]stamp) {
	for i, name := range []string{p.files.CertFile, p.files.KeyFile} {
		if fi, err := os.Stat(name); err == nil { // one that is missing has the zero stamp
			s[i] = stamp{fi.ModTime(), fi.Size(), fi}
		}
	}
	return s
}

func same(a, b stamp) bool {
	return a.modified.Equal(b.modified) && a.size == b.size && (a.info == nil) == (b.info == nil) &&
		(a.info == nil || os.SameFile(a.info, b.info))
}

// Listener puts the certificate in front of a listener. watch reads it again
// when it changes, until its context ends. Without a certificate the listener
// stays as it is and watch only waits.
func (t TLS) Listener(
	l net.Listener, log *zap.Logger,
) (secured net.Listener, watch func(context.Context) error, err error) {
	if t.CertFile == "" {
		return l, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, nil
	}
	p, err := openPair(t, log)
	if err != nil {
		return nil, nil, err
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: p.get, NextProtos: []string{"h2", "http/1.1"},
	}), p.watch, nil
}

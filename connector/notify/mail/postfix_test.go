package mail_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pullprint/connector/notify"
	"pullprint/connector/notify/mail"
	"pullprint/trigger/wait"
)

var withPostfix = flag.Bool("postfix", false, "send to a Postfix of Debian: needs root, and its packages postfix and sasl2-bin")

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = localhost
mydestination =
virtual_mailbox_domains = contoso.com
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = inline:{ anna@contoso.com=inbox }
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = %[1]s/certificate.pem
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = localhost
cyrus_sasl_config_path = %[1]s/sasl
smtpd_relay_restrictions = permit_sasl_authenticated, reject
`

// postfixMaster has one service for STARTTLS and one for TLS from the beginning. None is in a chroot.
const postfixMaster = `127.0.0.1:%d inet n - n - - smtpd
127.0.0.1:%d inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// postfix is one that runs from a folder of its own.
type postfix struct {
	dir           string
	startTLS, tls string // its addresses
	roots         *x509.CertPool
}

// startPostfix starts one, and ends it with the test.
func startPostfix(t *testing.T) *postfix {
	t.Helper()
	// Not t.TempDir: Postfix works as a user who may not go through that.
	dir, err := os.MkdirTemp("", "pullprint-postfix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &postfix{dir: dir}
	ports := [2]int{}
	for i := range ports {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = ln.Addr().(*net.TCPAddr).Port
		_ = ln.Close()
	}
	p.startTLS, p.tls = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	p.write(t, ports)
	p.run(t)
	return p
}

// write makes its folder.
func (p *postfix) write(t *testing.T, ports [2]int) {
	t.Helper()
	cert, roots := certificate(t)
	p.roots = roots
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	chain := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})...)
	as, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.Atoi(as.Uid)
	if err != nil {
		t.Fatal(err)
	}
	for name, owner := range map[string]int{"": 0, "queue": 0, "data": id, "mail": 65534, "sasl": 0} {
		folder := filepath.Join(p.dir, name)
		if err := errors.Join(os.MkdirAll(folder, 0o755), os.Chmod(folder, 0o755), os.Chown(folder, owner, -1)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"main.cf": fmt.Sprintf(postfixMain, p.dir), "master.cf": fmt.Sprintf(postfixMaster, ports[0], ports[1]),
		"certificate.pem": string(chain),
		"sasl/smtpd.conf": "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: " + p.dir + "/users\n",
	} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	users := filepath.Join(p.dir, "users")
	add := exec.CommandContext(t.Context(), "saslpasswd2", "-p", "-c", "-f", users, "-u", "localhost", "printing")
	add.Stdin = strings.NewReader(password)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Chown(users, id, -1); err != nil {
		t.Fatal(err)
	}
}

// run starts it, and waits until it answers.
func (p *postfix) run(t *testing.T) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command("postfix", "-c", p.dir, "start-fg")
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = &out, &out, &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop := exec.Command("postfix", "-c", p.dir, "stop")
		_ = stop.Run()
		_ = cmd.Wait()
		if log, err := os.ReadFile(filepath.Join(p.dir, "log")); t.Failed() && err == nil {
			t.Logf("%s\n%s", out.Bytes(), log)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", p.startTLS)
		if err == nil {
			_ = conn.Close()
			return
		}
		if wait.Sleep(ctx, 50*time.Millisecond) != nil {
			t.Fatalf("Postfix does not start: %s", out.Bytes())
		}
	}
}

// A Postfix takes messages by STARTTLS and by TLS, with the user's password, and delivers them as they
// were composed; what it refuses is told as what it is.
func TestPostfix(t *testing.T) { // it takes some seconds: Postfix delays whoever gives a wrong password
	if !*withPostfix {
		t.Skip("needs -postfix")
	}
	p := startPostfix(t)
	for id, s := range map[string]*mail.Sender{
		"first":  sender(t, p.startTLS, mail.StartTLS, "printing", password, p.roots),
		"second": sender(t, p.tls, mail.TLS, "printing", password, p.roots),
	} {
		if err := s.Check(t.Context()); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		answer, err := s.Deliver(t.Context(), notify.Message{
			ID: id, Owner: "anna", Subject: "Nicht gedruckt: Größe",
			Text: "Wegen A1.\n.\nSo.",
		})
		if err != nil || !strings.Contains(answer, "queued as") {
			t.Errorf("%s: %q, %v", id, answer, err)
		}
		p.await(t, "Message-ID: <"+id+"@contoso.com>")
	}
	p.await(t, "Subject: =?UTF-8?q?Nicht_gedruckt:_Gr=C3=B6=C3=9Fe?=")
	p.await(t, "So.") // after a line that has a full stop and nothing else, with which a message ends in SMTP
	s := sender(t, p.startTLS, mail.StartTLS, "printing", password, p.roots)
	err := s.Send(t.Context(), notify.Message{ID: "x", Owner: "bob", Subject: "s", Text: "t"})
	if _, refused := errors.AsType[*notify.Refused](err); !refused || !strings.Contains(err.Error(), "550 5.1.1") {
		t.Errorf("unknown recipient: %v", err)
	}
	err = sender(t, p.startTLS, mail.StartTLS, "printing", "wrong", p.roots).Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "does not take the user or the password") {
		t.Errorf("wrong password: %v", err)
	}
	err = sender(t, p.startTLS, mail.TLS, "printing", password, p.roots).Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "does not begin with TLS at this port") {
		t.Errorf("TLS at the port of STARTTLS: %v", err)
	}
}

// await waits until a line is in the mailbox.
func (p *postfix) await(t *testing.T, line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		box, err := os.ReadFile(filepath.Join(p.dir, "mail", "inbox"))
		if err == nil && strings.Contains(string(box), line+"\n") {
			return
		}
		if wait.Sleep(ctx, 50*time.Millisecond) != nil {
			t.Errorf("%s is not delivered: %v\n%s", line, err, box)
			return
		}
	}
}

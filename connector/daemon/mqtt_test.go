package daemon_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/release"
	"pullprint/trigger/graph/graphtest"
)

const readerPassword = "password-of-the-west-reader"

// mqttServer is the server that the guide shows, as it stands there.
func mqttServer(t *testing.T) bustest.Served {
	t.Helper()
	src, err := os.ReadFile("../../deploy/docs/readers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, conf, ok := strings.Cut(string(src), "```conf\n")
	conf, _, ok2 := strings.Cut(conf, "```")
	if !ok || !ok2 {
		t.Fatal("the guide shows no server")
	}
	const nkey = "UAWXH4YSJNG4FH37WQYTVAXYUSHUYJVWV4W2SUOUN7OAYNU4ELCA5UU7"
	t.Setenv("PULLPRINT_NKEY", nkey)
	t.Setenv("READER_PASSWORD", readerPassword)
	// Its certificate is on another machine.
	conf = strings.Replace(conf, "  tls {cert_file: /etc/nats/server.crt, key_file: /etc/nats/server.key}\n", "", 1)
	return bustest.ServeMQTT(t, conf, nkey)
}

// A reader that speaks MQTT 3.1.1 shows a badge: the job comes out, and the answer is on
// the topic of its device. It can do nothing else in the account of pullprint.
func TestTapOverMQTT(t *testing.T) {
	served := mqttServer(t)
	o := newOffice(t, graphtest.Calm())
	o.install(`url: "` + served.URL + `"`)
	s := o.start(zap.NewNop())
	defer s.end()
	s.register()
	s.await("the daemon is ready", 20*time.Second, func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
	s.enrol(studentID, number)
	ids := s.hold(1)

	c := dialMQTT(t, served.MQTT, "hq-2-west", readerPassword)
	c.subscribe("pullprint/taps/hq-2-west/answer")
	c.publish("pullprint/taps/hq-2-west", `{"badge":"`+number+`","token":"wrong-token-of-16-letters"}`)
	var p struct{ Status int }
	if c.answer(&p); p.Status != http.StatusUnauthorized {
		t.Errorf("with a wrong token: %+v", p)
	}
	c.publish("pullprint/taps/hq-2-west", `{"badge":"`+number+`","token":"`+readerToken+`"}`)
	var out release.Outcome
	if c.answer(&out); len(out.Released) != 1 || out.Released[0].Job != ids[0].Job || out.Owner != studentID {
		t.Errorf("answered %+v", out)
	}
	if n := s.sim.Prints(ids[0]); n != 1 {
		s.await("the job prints", 10*time.Second, func() bool { return s.sim.Prints(ids[0]) == 1 })
	}

	for _, topic := range []string{"pullprint/taps/hq-2-east/answer", "pullprint/decisions/#", "$KV/pullprint_badges/#"} {
		if dialMQTT(t, served.MQTT, "hq-2-west", readerPassword).trySubscribe(topic) {
			t.Errorf("the reader may listen to %s", topic)
		}
	}
	if err := connectMQTT(t, served.MQTT, "hq-2-west", "another password"); err == nil {
		t.Error("the reader gets in with a wrong password")
	}
	t.Run("mosquitto", func(t *testing.T) { mosquitto(t, s, served.MQTT) })
}

// mosquitto shows a badge with the usual command-line client.
func mosquitto(t *testing.T, s *shift, addr string) {
	for _, program := range []string{"mosquitto_pub", "mosquitto_sub"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not here; it is in the package mosquitto-clients", program)
		}
	}
	s.enrol(teacherID, "2222")
	id, err := s.sim.Submit(graphtest.JobSpec{Printer: pullID, User: teacherID})
	if err != nil {
		t.Fatal(err)
	}
	s.await("held", 10*time.Second, func() bool { return len(s.all()) > 0 && s.all()[len(s.all())-1].Job == id.Job })
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	login := []string{"-h", host, "-p", port, "-u", "hq-2-west", "-P", readerPassword}
	var answered bytes.Buffer
	listener := exec.CommandContext(t.Context(), "mosquitto_sub", append(login, "-t", "pullprint/taps/hq-2-west/answer", "-C", "1", "-W",
		"20")...)
	listener.Stdout = &answered
	if err := listener.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- listener.Wait() }()
	again := time.NewTicker(200 * time.Millisecond) // it does not say when it listens; within seconds it is the same tap
	defer again.Stop()
	for {
		body := `{"badge":"2222","token":"` + readerToken + `"}`
		if said, err := exec.CommandContext(t.Context(), "mosquitto_pub", append(login, "-t", "pullprint/taps/hq-2-west", "-q", "1", "-m",
			body)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		select {
		case err := <-ended:
			if err != nil || !strings.Contains(answered.String(), `"released":[{`) {
				t.Errorf("%v, answered %s", err, &answered)
			}
			return
		case <-again.C:
		}
	}
}

// mqttReader speaks as much of MQTT 3.1.1 as a badge reader does.
type mqttReader struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// The packets of MQTT 3.1.1 that are used here, with their fixed flags.
const (
	mqttConnect   = 0x10
	mqttConnAck   = 0x20
	mqttPublish   = 0x30
	mqttPubAck    = 0x40
	mqttSubscribe = 0x82
	mqttSubAck    = 0x90
	mqttQoS1      = 0x02
)

func mqttText(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func dialMQTT(t *testing.T, addr, user, password string) *mqttReader {
	t.Helper()
	c := &mqttReader{t: t}
	if err := c.connect(addr, user, password); err != nil {
		t.Fatal(err)
	}
	return c
}

func connectMQTT(t *testing.T, addr, user, password string) error {
	t.Helper()
	return (&mqttReader{t: t}).connect(addr, user, password)
}

func (c *mqttReader) connect(addr, user, password string) error {
	conn, err := (&net.Dialer{}).DialContext(c.t.Context(), "tcp", addr)
	if err != nil {
		return err
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	// protocol MQTT, level 4, user and password and a clean session, 60 s
	body := bytes.Join([][]byte{
		mqttText("MQTT"),
		{4, 0xC2, 0, 60},
		mqttText(fmt.Sprint("reader-", conn.LocalAddr().(*net.TCPAddr).Port)), mqttText(user),
		mqttText(password),
	}, nil)
	if err := c.send(mqttConnect, body); err != nil {
		return err
	}
	kind, body, err := c.receive()
	if err != nil || kind != mqttConnAck || len(body) != 2 || body[1] != 0 {
		return fmt.Errorf("connect: packet %x %v, %w", kind, body, errors.Join(err, net.ErrClosed))
	}
	return nil
}

func (c *mqttReader) send(kind byte, body []byte) error {
	head := binary.AppendUvarint([]byte{kind}, uint64(len(body)))
	_, err := c.conn.Write(append(head, body...))
	return err
}

func (c *mqttReader) receive() (kind byte, body []byte, err error) {
	if kind, err = c.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(c.in)
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c.in, body)
	return kind, body, err
}

// trySubscribe reports whether the server lets this client listen to a topic.
func (c *mqttReader) trySubscribe(topic string) bool {
	c.t.Helper()
	if err := c.send(mqttSubscribe, bytes.Join([][]byte{{0, 1}, mqttText(topic), {0}}, nil)); err != nil {
		c.t.Fatal(err)
	}
	kind, body, err := c.receive()
	if err != nil {
		return false // it hung up
	}
	if kind != mqttSubAck || len(body) != 3 {
		c.t.Fatalf("packet %x %v", kind, body)
	}
	return body[2] != 0x80
}

func (c *mqttReader) subscribe(topic string) {
	c.t.Helper()
	if !c.trySubscribe(topic) {
		c.t.Fatalf("may not listen to %s", topic)
	}
}

// publish shows a badge with QoS 1.
func (c *mqttReader) publish(topic, body string) {
	c.t.Helper()
	if err := c.send(mqttPublish|mqttQoS1, bytes.Join([][]byte{mqttText(topic), {0, 2}, []byte(body)}, nil)); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads the next message; the acknowledgement of what was published may come
// before it.
func (c *mqttReader) answer(v any) {
	c.t.Helper()
	for {
		kind, body, err := c.receive()
		switch {
		case err != nil:
			c.t.Fatal(err)
		case kind == mqttPubAck:
			continue
		case kind != mqttPublish || len(body) < 2:
			c.t.Fatalf("packet %x %v", kind, body)
		}
		payload := body[2+int(binary.BigEndian.Uint16(body)):]
		if err := json.Unmarshal(payload, v); err != nil {
			c.t.Fatalf("%v: %s", err, payload)
		}
		return
	}
}

package agent_test

import (
	"crypto/tls"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAmphoraVanishes: controllers that wait for an answer notice before long when the amphora is not there any more, whether it has
// got all of the request or not.
func TestAmphoraVanishes(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.driver.Close() // its connections to the agent
	pair, err := tls.LoadX509KeyPair(r.dir+"/server.pem", r.dir+"/server.pem")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(r.port))
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan net.Conn)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}})
			if _, err := conn.Read(make([]byte, 4096)); err == nil {
				asked <- conn
			}
		}
	}()
	defer func() { _ = l.Close() }()
	answers := make(chan error, 2)
	ask := func(body string) {
		go func() { answers <- r.driver.UploadConfig(t.Context(), r.target, []byte(body)) }()
		conn := <-asked
		t.Cleanup(func() { _ = conn.Close() })
	}
	ask("short")
	ask(strings.Repeat("more than fits into the kernel's buffers\n", 1<<20))
	port := strconv.Itoa(r.port)
	run(t, "sh", "-c", "nft add table inet vanish && nft 'add chain inet vanish in { type filter hook input priority 0; }' && "+
		"nft add rule inet vanish in tcp dport "+port+" drop && nft add rule inet vanish in tcp sport "+port+" drop")
	defer func() { _ = exec.Command("nft", "delete", "table", "inet", "vanish").Run() }()
	for range 2 {
		select {
		case err := <-answers:
			if err == nil {
				t.Error("an amphora that is gone has answered")
			}
		case <-time.After(40 * time.Second):
			t.Fatal("the driver waits for an amphora that is gone")
		}
	}
}

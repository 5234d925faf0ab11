package agent_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// dial is a connection of a controller.
func (r *rig) dial() *tls.Conn {
	r.t.Helper()
	conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.port), &tls.Config{
		ServerName: amphoraID, RootCAs: r.roots, Certificates: []tls.Certificate{r.client}, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// answer reads the answer to what was written on a connection.
func answer(t *testing.T, conn io.Reader) (status int, body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestUnfinishedUpload: a controller that dies in the middle of a request keeps nobody else waiting, and nothing is changed.
func TestUnfinishedUpload(t *testing.T) {
	r := newRig(t).plugged()
	r.apply(r.config(r.web("one")))
	stuck := r.dial()
	fmt.Fprintf(stuck, "PUT /1.0/loadbalancer/%s/%s/haproxy HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nglobal\n", amphoraID, lbID)
	conn := r.dial()
	fmt.Fprintf(conn, "PUT /1.0/loadbalancer/%s/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", lbID)
	if status, body := answer(t, conn); status != http.StatusAccepted {
		t.Errorf("a reload meanwhile: got %d %s", status, body)
	}
	if err := stuck.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if status, body := answer(t, stuck); status != http.StatusBadRequest || !strings.Contains(body, `"http_code":400`) {
		t.Errorf("half a request: got %d %s, want 400", status, body)
	}
	if got := r.words(1); got != "one" {
		t.Errorf("got %s", got)
	}
}

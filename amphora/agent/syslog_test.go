package agent_test

import (
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora/agent"
)

// TestLogOffload: what the agent logs reaches rsyslog's socket with its facility and severity, as soon as there is one, and again
// after rsyslog was started anew.
func TestLogOffload(t *testing.T) {
	if err := os.MkdirAll("/run/rsyslog/octavia", 0o755); err != nil {
		t.Fatal(err)
	}
	const socket = "/run/rsyslog/octavia/log"
	log := agent.NewLog(agent.Config{UseSyslog: true, SyslogFacility: "LOG_LOCAL1"})
	log.InfoContext(t.Context(), "nobody listens yet")
	for range 2 {
		_ = os.Remove(socket)
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			level slog.Level
			want  string // local1 is 17
		}{{slog.LevelInfo, "<142>"}, {slog.LevelWarn, "<140>"}, {slog.LevelError, "<139>"}} {
			log.With("load_balancer_id", lbID).Log(t.Context(), c.level, "something happens")
			if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, 4096)
			n, err := conn.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			got := string(buffer[:n])
			if !strings.HasPrefix(got, c.want) || !strings.Contains(got, "amphora-agent[") ||
				!strings.Contains(got, `msg="something happens" load_balancer_id=`+lbID) || strings.Contains(got, "time=") {
				t.Errorf("%s: got %q, want priority %s", c.level, got, c.want)
			}
		}
		_ = conn.Close()
	}
}

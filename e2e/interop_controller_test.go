//go:build interop

package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ottavino/ottavino/db/dbserver"
	"github.com/ottavino/ottavino/db/dbtest"
)

// TestUpstreamController has the API, worker and health manager of Debian's packages drive our agent through the life of a load
// balancer. They find the sandbox as they would find any OpenStack.
func TestUpstreamController(t *testing.T) {
	installed(t, filepath.Join(rabbitmq, "rabbitmq-server"), "octavia-db-manage", "octavia-api", "octavia-worker", "octavia-health-manager", "octavia-housekeeping")
	l := newLab(t, labOptions{instances: true})
	l.showConsoles()
	conf := l.serveUpstream()
	s := l.begin()
	s.isWatched()
	s.isCounted()
	s.isConfiguredAnew()
	housekeeping := l.startPython("octavia-housekeeping", conf)
	s.isRotated()
	if err := housekeeping.Stop(); err != nil {
		t.Fatal(err)
	}
	before := s.site.worker()
	s.memberChanges()
	if got := s.site.worker(); got != before {
		t.Errorf("changes of a member took a reload: got worker %s, had %s", got, before)
	}
	s.policyDecides()
	s.reachesAnotherNetwork()
	s.servesManyKinds()
	s.terminates()
	s.amphoraDies()
	s.end()
}

// rabbitmq is where Debian's package has its programs; those in PATH want root.
const rabbitmq = "/usr/lib/rabbitmq/bin"

// pythonPatience bounds the start of a Python service on a busy machine.
const pythonPatience = 3 * time.Minute

// serveUpstream starts upstream's services in the place of ours, logs the tenant in, and returns the path of their octavia.conf.
func (l *lab) serveUpstream() (conf string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), pythonPatience)
	defer cancel()
	rabbit := l.startRabbit(ctx)
	conf = l.upstreamConf(rabbit.address)
	if out, err := exec.CommandContext(ctx, "octavia-db-manage", "--config-file", conf, "upgrade", "head").CombinedOutput(); err != nil {
		l.t.Fatalf("create tables: %v: %s", err, out)
	}
	l.startPython("octavia-worker", conf)
	l.startPython("octavia-health-manager", conf)
	api := l.startPython("octavia-api", conf)
	if err := rabbit.consumed(ctx, "octavia_provisioning_v2"); err != nil {
		l.t.Fatal(err)
	}
	err := api.Ready(ctx, func(ctx context.Context) error {
		if !answers(ctx, l.url) {
			return fmt.Errorf("%s does not answer", l.url)
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.tenant = l.login(l.sandbox.Settings().Tenant)
	return conf
}

func freePort(t *testing.T) string {
	t.Helper()
	return strings.TrimPrefix(freeAddress(t), "127.0.0.1:")
}

// upstreamConf makes an octavia.conf for upstream's services.
func (l *lab) upstreamConf(rabbit string) string {
	l.t.Helper()
	host, port, _ := net.SplitHostPort(strings.TrimPrefix(l.url, "http://"))
	dir := l.t.TempDir()
	text := l.sandbox.Settings().OctaviaConf() + fmt.Sprintf(`
[DEFAULT]
debug = true
use_stderr = true
transport_url = rabbit://guest:guest@%s/
[api_settings]
bind_host = %s
bind_port = %s
[database]
connection = %s
[oslo_messaging]
topic = octavia_prov
[oslo_concurrency]
lock_path = %s
[controller_worker]
workers = 1
[health_manager]
health_update_threads = 1
stats_update_threads = 1
`+quickHealth+quickRotation, rabbit, host, port, dbtest.Empty(l.t, dbtest.MariaDB), dir)
	path := filepath.Join(dir, "octavia.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// startPython starts one of upstream's services, which ends with the test.
func (l *lab) startPython(program, conf string) *dbserver.Process {
	l.t.Helper()
	cmd := exec.Command(program, "--config-file", conf)
	return l.startServer(cmd, program, syscall.SIGTERM)
}

// startServer starts a server that ends with the test. If that fails, the end of what it has said is shown.
func (l *lab) startServer(cmd *exec.Cmd, name string, end syscall.Signal) *dbserver.Process {
	l.t.Helper()
	log := must[*os.File](l.t)(os.Create(filepath.Join(l.t.TempDir(), name+".log")))
	cmd.Stdout, cmd.Stderr = log, log
	// Upstream's programs fork, and what they forked stays when they are killed.
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	p, err := dbserver.Start(cmd, end)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = p.Stop()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = log.Close()
		if l.t.Failed() {
			showTail(l.t, log.Name())
		}
	})
	return p
}

// broker is RabbitMQ, which upstream's API and worker talk through.
type broker struct {
	address string
	env     []string
	server  *dbserver.Process
}

// startRabbit starts a broker that ends with the test.
func (l *lab) startRabbit(ctx context.Context) *broker {
	l.t.Helper()
	dir := must[string](l.t)(dbserver.NobodysDir("rabbit"))
	l.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	plugins := filepath.Join(dir, "plugins")
	if err := os.WriteFile(plugins, nil, 0o644); err != nil {
		l.t.Fatal(err)
	}
	b := &broker{address: freeAddress(l.t)}
	host, port, _ := net.SplitHostPort(b.address)
	b.env = append(os.Environ(),
		"HOME="+dir, "RABBITMQ_NODENAME=interop@localhost", "RABBITMQ_NODE_IP_ADDRESS="+host, "RABBITMQ_NODE_PORT="+port,
		"RABBITMQ_DIST_PORT="+freePort(l.t), "ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT="+freePort(l.t),
		"RABBITMQ_MNESIA_BASE="+dir, "RABBITMQ_LOG_BASE="+dir, "RABBITMQ_PID_FILE="+filepath.Join(dir, "pid"), "RABBITMQ_LOGS=-",
		"RABBITMQ_ENABLED_PLUGINS_FILE="+plugins, "RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
	)
	cmd := b.command(context.WithoutCancel(ctx), "rabbitmq-server")
	b.server = l.startServer(cmd, "rabbitmq-server", syscall.SIGTERM)
	err := b.server.Ready(ctx, func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", b.address)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (b *broker) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(rabbitmq, name), args...)
	cmd.Env, cmd.Dir = b.env, "/"
	dbserver.AsNobody(cmd)
	return cmd
}

// consumed waits until somebody reads a queue: what is sent before is lost.
func (b *broker) consumed(ctx context.Context, queue string) error {
	return b.server.Ready(ctx, func(ctx context.Context) error {
		out, err := b.command(ctx, "rabbitmqctl", "-q", "--no-table-headers", "list_consumers", "queue_name").Output()
		if err == nil && !slices.Contains(strings.Fields(string(out)), queue) {
			err = fmt.Errorf("nobody reads %s, only %q", queue, out)
		}
		return err
	})
}

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ottavino/ottavino/sandbox"
	"github.com/ottavino/ottavino/sandbox/world"
)

// Where the sandbox answers, outside and inside of its world.
const (
	cloudAddress = "127.0.0.1:15000"
	apiAddress   = "127.0.0.1:9876"
)

func sandboxCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sandbox",
		Short: "Run a small OpenStack with load balancers until interrupted",
		Long: `Run a small OpenStack in one process, with ottavino serve on it, until interrupted.

Keystone, Nova, Neutron, Glance and Barbican answer at http://` + cloudAddress + `, load balancers at
http://` + apiAddress + `. Servers are Linux namespaces; nothing outside of them is touched, and
nothing is left when it ends.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot(); err != nil {
				return err
			}
			w, err := world.Enter(world.Listen(cloudAddress), world.Listen(apiAddress))
			if err != nil {
				return err
			}
			return runSandbox(cmd.Context(), w, cmd.OutOrStdout())
		},
	}
}

func runSandbox(ctx context.Context, w *world.World, out io.Writer) error {
	clouds, err := w.Listener(cloudAddress)
	if err != nil {
		return err
	}
	outside, err := w.Listener(apiAddress)
	if err != nil {
		return err
	}
	l, err := startLab(ctx, cloudAddress, clouds)
	if err != nil {
		return err
	}
	defer l.close()
	go forward(outside, "http://"+apiAddress)
	for _, name := range []string{"backend-1", "backend-2"} {
		b, err := l.cloud.StartBackend(ctx, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "Web server %s answers on %s:%d of the tenants' network.\n", b.Name(), b.Address(), b.Port())
	}
	st := l.cloud.Settings()
	fmt.Fprintf(out, "\nThe cloud is up. Its tenants' settings:\n\n")
	for _, v := range st.Env(st.Tenant) {
		fmt.Fprintf(out, "export %s\n", v)
	}
	yaml := filepath.Join(l.dir, "clouds.yaml")
	if err := os.WriteFile(yaml, []byte(st.CloudsYAML()), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nor, as clouds sandbox, sandbox-other and sandbox-admin, %s:\n\n%s", yaml, st.CloudsYAML())
	fmt.Fprintf(out, `
The tenants' network is tenant-net, its subnet tenant-subnet.
To reach a VIP:     nsenter --target %d --net curl http://<VIP>/
The server's log:   %s
Interrupt ends it and removes everything.
`, w.OutsidePid(), l.log.Name())
	return l.wait(ctx)
}

// forward lets the outside reach the API inside.
func forward(l net.Listener, to string) {
	target, err := url.Parse(to)
	if err != nil {
		return
	}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		}},
	}
	_ = server.Serve(l)
}

// lab is a sandbox cloud with a load balancer service in it.
type lab struct {
	dir   string
	cloud *sandbox.Sandbox
	log   *os.File
	serve *exec.Cmd
	ended chan error
}

// startLab starts a cloud at an address inside the world and `ottavino serve`, on SQLite, as its load balancer service.
func startLab(ctx context.Context, address string, also ...net.Listener) (*lab, error) {
	agent, err := agentProgram()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ottavino-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, ended: make(chan error, 1)}
	if err := l.start(ctx, address, agent, also); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// agentProgram is beside this program, where make puts it.
func agentProgram() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	agent := filepath.Join(filepath.Dir(self), "amphora-agent")
	if _, err := os.Stat(agent); err != nil {
		return "", fmt.Errorf("the agent that amphorae run has to be beside this program: %w", err)
	}
	return agent, nil
}

func (l *lab) start(ctx context.Context, address, agent string, also []net.Listener) error {
	var lc net.ListenConfig
	inside, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	if l.log, err = os.Create(filepath.Join(l.dir, "ottavino.log")); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(l.log, nil))
	l.cloud, err = sandbox.Start(ctx, sandbox.Config{Dir: l.dir, Agent: agent, Listener: inside, Also: also, Log: logger})
	if err != nil {
		return err
	}
	api := "http://" + apiAddress
	l.cloud.RegisterLoadBalancer(api)
	conf := filepath.Join(l.dir, "octavia.conf")
	text := l.cloud.Settings().OctaviaConf() + "\n[database]\nconnection = sqlite:///" + filepath.Join(l.dir, "ottavino.db") + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	return l.startServer(ctx, conf, api)
}

// startServer runs `ottavino serve` as an operator would and waits until it answers.
func (l *lab) startServer(ctx context.Context, conf, api string) error {
	l.serve = exec.Command("/proc/self/exe", "serve", "--config-file", conf) //nolint:noctx // ends with SIGTERM, in close
	l.serve.Args[0] = "ottavino"
	l.serve.Stdout, l.serve.Stderr = l.log, l.log
	if err := l.serve.Start(); err != nil {
		return err
	}
	go func() { l.ended <- l.serve.Wait() }()
	for {
		resp, err := http.Get(api + "/") //nolint:noctx // loopback
		if err == nil {
			return resp.Body.Close()
		}
		select {
		case err := <-l.ended:
			l.ended <- err
			return fmt.Errorf("ottavino serve ended (%w): %s", err, l.tail())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tail is the end of the log.
func (l *lab) tail() string {
	const most = 4000
	text, _ := os.ReadFile(l.log.Name())
	return string(text[max(0, len(text)-most):])
}

// wait returns when ctx ends, or with an error when the server does.
func (l *lab) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-l.ended:
		l.ended <- err
		return fmt.Errorf("ottavino serve ended (%w): %s", err, l.tail())
	}
}

func (l *lab) close() {
	if l.serve != nil && l.serve.Process != nil {
		_ = l.serve.Process.Signal(syscall.SIGTERM)
		select {
		case <-l.ended: //nolint:errcheck // how it ended does not matter any more
		case <-time.After(20 * time.Second):
			_ = l.serve.Process.Kill()
			<-l.ended //nolint:errcheck // as above
		}
	}
	if l.cloud != nil {
		_ = l.cloud.Close()
	}
	if l.log != nil {
		_ = l.log.Close()
	}
	_ = os.RemoveAll(l.dir)
}

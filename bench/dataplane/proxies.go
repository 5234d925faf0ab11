package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/haproxy"
	"github.com/ottavino/ottavino/internal/amphoralab"
	"github.com/ottavino/ottavino/internal/churn"
)

// proxy is a haproxy that runs.
type proxy struct {
	web, secure, stream string // addresses
	pid                 int    // of the process that serves
}

// processorTime is what its threads have used.
func (p proxy) processorTime() (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.pid))
	if err == nil && len(tasks) == 0 {
		err = errors.New("haproxy is gone")
	}
	sum := time.Duration(0)
	for _, path := range tasks {
		text, readErr := os.ReadFile(path)
		first, _, _ := strings.Cut(string(text), " ")
		n, parseErr := strconv.ParseInt(first, 10, 64)
		err = errors.Join(err, readErr, parseErr)
		sum += time.Duration(n)
	}
	return sum, err
}

// bench is both proxies and what is around them.
type bench struct {
	lab         *amphoralab.Lab
	agent       *amphoralab.Agent
	byHand      *exec.Cmd
	members     []net.Listener
	web, stream netip.AddrPort // members
	ours, other proxy
}

func newBench(ctx context.Context, agent string) (b *bench, err error) {
	b = &bench{}
	defer func() {
		if err != nil {
			b.close(context.WithoutCancel(ctx))
		}
	}()
	if b.lab, err = amphoralab.New(ctx, agent); err != nil {
		return b, err
	}
	if b.web, err = b.member(ctx, answer); err != nil {
		return b, err
	}
	if b.stream, err = b.member(ctx, pour); err != nil {
		return b, err
	}
	if b.agent, err = b.lab.StartAgent(ctx); err != nil {
		return b, err
	}
	bundle, name, err := churn.SelfSigned()
	if err != nil {
		return b, err
	}
	if err := b.startOurs(ctx, bundle, name); err != nil {
		return b, err
	}
	return b, b.startOther(ctx, filepath.Join(b.lab.Certs(), amphoralab.LoadBalancerID, name))
}

func (b *bench) close(ctx context.Context) {
	if b.byHand != nil {
		_ = b.byHand.Process.Signal(syscall.SIGTERM)
		_ = b.byHand.Wait()
	}
	if b.agent != nil {
		_ = b.agent.Stop(ctx)
	}
	for _, l := range b.members {
		_ = l.Close()
	}
	if b.lab != nil {
		b.lab.Close()
	}
}

// startOurs has the agent run what a worker renders.
func (b *bench) startOurs(ctx context.Context, bundle []byte, certificate string) error {
	doc := amphora.LoadBalancer{
		ID: amphoralab.LoadBalancerID, Enabled: true, VIP: netip.MustParseAddr(amphoralab.VIP),
		Listeners: []amphora.Listener{
			{ID: "L1", Protocol: "HTTP", Port: 80, Enabled: true, ConnectionLimit: -1, DefaultPoolID: "P1"},
			{ID: "L2", Protocol: "TERMINATED_HTTPS", Port: 443, Enabled: true, ConnectionLimit: -1, DefaultPoolID: "P1", TLS: &amphora.ListenerTLS{Certificate: true}},
			{ID: "L3", Protocol: "TCP", Port: 81, Enabled: true, ConnectionLimit: -1, DefaultPoolID: "P3"},
		},
	}
	for id, at := range map[string]netip.AddrPort{"P1": b.web, "P3": b.stream} {
		p := amphora.Pool{ID: id, Protocol: "HTTP", Algorithm: "ROUND_ROBIN", Enabled: true}
		if id == "P3" {
			p.Protocol = "TCP"
		}
		p.Members = []amphora.Member{{ID: "M" + id, Address: at.Addr(), Port: int(at.Port()), Weight: 1, Enabled: true}}
		doc.Pools = append(doc.Pools, p)
	}
	cfg, _, err := haproxy.Render(doc, haproxy.Options{
		AmphoraID: amphoralab.AmphoraID, HAProxyMajor: 2, HAProxyMinor: 6, BasePath: b.lab.Base(), BaseCertDir: b.lab.Certs(),
	})
	if err != nil {
		return err
	}
	list := filepath.Join(b.lab.Certs(), amphoralab.LoadBalancerID, certificate) + "\n"
	err = errors.Join(b.agent.PutFile(ctx, certificate, bundle), b.agent.PutFile(ctx, "L2.pem", []byte(list)))
	if err != nil {
		return err
	}
	if err := b.agent.Apply(ctx, cfg); err != nil {
		return err
	}
	worker, err := youngestChild(filepath.Join(b.lab.Base(), amphoralab.LoadBalancerID, amphoralab.LoadBalancerID+".pid"))
	b.ours = proxy{web: amphoralab.VIP + ":80", secure: amphoralab.VIP + ":443", stream: amphoralab.VIP + ":81", pid: worker}
	return err
}

// youngestChild is haproxy's worker, found by its master's pid file.
func youngestChild(pidFile string) (int, error) {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, err
	}
	pid := strings.TrimSpace(string(text))
	text, err = os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil {
		return 0, err
	}
	children := strings.Fields(string(text))
	if len(children) == 0 {
		return 0, errors.New("haproxy has no worker")
	}
	return strconv.Atoi(children[len(children)-1])
}

// byHand is what somebody writes who needs just this.
const byHand = `global
    maxconn 2000
    user nobody
    group nogroup

defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s

frontend web
    bind %[1]s:8080
    default_backend web

frontend secure
    bind %[1]s:8443 ssl crt %[2]s
    default_backend web

backend web
    server one %[3]s

frontend stream
    mode tcp
    bind %[1]s:8081
    default_backend stream

backend stream
    mode tcp
    server one %[4]s
`

func (b *bench) startOther(ctx context.Context, certificate string) error {
	file := filepath.Join(b.lab.Base(), "by-hand.cfg")
	text := fmt.Sprintf(byHand, amphoralab.VIP, certificate, b.web, b.stream)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	b.byHand = exec.CommandContext(ctx, "ip", "netns", "exec", amphoralab.Namespace, "haproxy", "-q", "-db", "-f", file)
	b.byHand.Stderr = os.Stderr
	b.byHand.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // the kernel shares processors out between sessions
	if err := b.byHand.Start(); err != nil {
		return err
	}
	b.other = proxy{web: amphoralab.VIP + ":8080", secure: amphoralab.VIP + ":8443", stream: amphoralab.VIP + ":8081", pid: b.byHand.Process.Pid}
	for _, p := range []proxy{b.ours, b.other} {
		for _, at := range []string{p.web, p.secure, p.stream} {
			err := amphoralab.Until(ctx, at+" is served", func() bool {
				conn, err := dial(ctx, at)
				return err == nil && conn.Close() == nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Command amphora-agent runs inside an amphora: it serves agent API 1.0 to the controllers, runs haproxy and sends heartbeats.
// "amphora-agent config-drive", at boot, takes over what Nova gave the instance; "amphora-agent netns" brings back what was plugged, and
// "amphora-agent lvs LISTENER" has the kernel ready for the keepalived of a UDP listener.
// Called amphora-health-checker, or told so first, or haproxy-vrrp-check, it is the command of that name.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/ottavino/ottavino/amphora/agent"
	"github.com/ottavino/ottavino/amphora/checker"
	"github.com/ottavino/ottavino/amphora/image/configdrive"
	"github.com/ottavino/ottavino/amphora/vrrpcheck"
)

// memoryLimit keeps the agent small: an amphora has little memory, and it is haproxy's.
const memoryLimit = 24 << 20

func main() {
	if args, ok := checker.Called(os.Args); ok {
		os.Exit(checker.Main(args, os.Stderr))
	}
	if filepath.Base(os.Args[0]) == vrrpcheck.Name {
		os.Exit(vrrpcheck.Main(context.Background(), os.Args[1:]))
	}
	path := flag.String("config-file", "/etc/octavia/amphora-agent.conf", "the agent's configuration")
	flag.Parse()
	debug.SetMemoryLimit(memoryLimit)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	var err error
	switch flag.Arg(0) {
	case "":
		err = run(ctx, *path)
	case "config-drive":
		err = configdrive.Boot(ctx)
	case agent.NetworksCommand, agent.LVSCommand:
		err = restore(ctx, *path, flag.Args())
	default:
		err = fmt.Errorf("unknown command %q (there are config-drive, %s and %s)", flag.Arg(0), agent.NetworksCommand, agent.LVSCommand)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "amphora-agent:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, path string) error {
	a, err := newAgent(path)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// restore does what units ask for.
func restore(ctx context.Context, path string, args []string) error {
	a, err := newAgent(path)
	if err != nil {
		return err
	}
	if args[0] == agent.NetworksCommand {
		return a.RestoreNetworks(ctx)
	}
	if len(args) != 2 {
		return fmt.Errorf("usage: amphora-agent %s LISTENER", agent.LVSCommand)
	}
	return a.PrepareUDPListener(ctx, args[1])
}

func newAgent(path string) (*agent.Agent, error) {
	conf, err := agent.LoadConfig(path)
	if err != nil {
		return nil, err
	}
	return agent.New(path, agent.NewLog(conf))
}

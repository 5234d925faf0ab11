package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/ottavino/ottavino/sandbox/instance"
	"github.com/ottavino/ottavino/sandbox/neutron"
)

var errRows = errors.New("servers of this sandbox are only rows")

func (s *Sandbox) instance(serverID string) (*instance.Instance, error) {
	if s.host == nil {
		return nil, errRows
	}
	return s.host.find(serverID)
}

// Exec runs a command inside a server, as ssh would.
func (s *Sandbox) Exec(ctx context.Context, serverID string, argv ...string) ([]byte, error) {
	i, err := s.instance(serverID)
	if err != nil {
		return nil, err
	}
	return i.Exec(ctx, argv...)
}

// KillInstance crashes a server as the death of its host would: Nova notices nothing. Reboot brings it back.
func (s *Sandbox) KillInstance(serverID string) error {
	i, err := s.instance(serverID)
	if err != nil {
		return err
	}
	i.Kill()
	return nil
}

// Reboot crashes a server, if that has not happened yet, and boots it again from its disk.
func (s *Sandbox) Reboot(ctx context.Context, serverID string) error {
	if s.host == nil {
		return errRows
	}
	return s.compute.Reboot(ctx, serverID)
}

// Agents returns the pids, as the world sees them, of the agents that run in a server.
func (s *Sandbox) Agents(serverID string) ([]int, error) {
	i, err := s.instance(serverID)
	if err != nil {
		return nil, err
	}
	agent, err := os.Stat(s.cfg.Agent)
	if err != nil {
		return nil, err
	}
	processes, err := instance.Processes()
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, p := range processes {
		program, err := os.Stat(fmt.Sprintf("/proc/%d/exe", p.PID))
		// Process 1 is this program, which in tests is the agent's too.
		if err == nil && os.SameFile(program, agent) && p.PID != i.Pid() && i.Holds(p) {
			pids = append(pids, p.PID)
		}
	}
	return pids, nil
}

// KillAgent kills the agent in an amphora with SIGKILL and returns when it was started again.
func (s *Sandbox) KillAgent(ctx context.Context, serverID string) error {
	i, err := s.instance(serverID)
	if err != nil {
		return err
	}
	return i.KillCommand(ctx)
}

// ConsoleLog returns what a server's processes have printed, also those that crashed.
func (s *Sandbox) ConsoleLog(serverID string) ([]byte, error) {
	if s.host == nil {
		return nil, errRows
	}
	i, ok := s.host.machine(serverID)
	if !ok {
		return nil, fmt.Errorf("there is no instance %s", serverID)
	}
	return i.Console(), nil
}

// Backend is a web server of a tenant that answers every request, and every datagram, with its name.
type Backend struct {
	name    string
	address netip.Addr
	port    neutron.Port
	sandbox *Sandbox
}

// Name is what it answers.
func (b *Backend) Name() string { return b.name }

// Address is its address on the tenants' network.
func (b *Backend) Address() netip.Addr { return b.address }

// Port is its port of TCP and UDP.
func (b *Backend) Port() int { return 80 }

// Stop ends it; it may be called twice.
func (b *Backend) Stop(context.Context) error {
	b.sandbox.host.Kill(b.port.DeviceID)
	b.sandbox.network.RemovePort(b.port.ID)
	b.sandbox.backends.remove(b)
	return nil
}

// backends are the web servers that run.
type backends struct {
	mu   sync.Mutex
	all  []*Backend
	made int
}

func (bs *backends) add(b *Backend) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.all = append(bs.all, b)
}

func (bs *backends) remove(b *Backend) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.all = slices.DeleteFunc(bs.all, func(x *Backend) bool { return x == b })
}

func (bs *backends) number() int {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.made++
	return bs.made
}

func (bs *backends) any(match func(*Backend) bool) bool {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	return slices.ContainsFunc(bs.all, match)
}

func (bs *backends) has(deviceID string) bool {
	return bs.any(func(b *Backend) bool { return b.port.DeviceID == deviceID })
}

func (bs *backends) plugged(tap string) bool {
	return bs.any(func(b *Backend) bool { return instance.NIC{PortID: b.port.ID}.Outer() == tap })
}

func (bs *backends) run(p instance.Process) bool {
	return bs.any(func(b *Backend) bool {
		i, err := b.sandbox.host.find(b.port.DeviceID)
		return err == nil && i.Holds(p)
	})
}

func (bs *backends) stopAll() {
	bs.mu.Lock()
	all := slices.Clone(bs.all)
	bs.mu.Unlock()
	for _, b := range all {
		_ = b.Stop(context.Background())
	}
}

// firstBackend is the address of the first backend, below the addresses that Neutron gives by itself.
var firstBackend = netip.MustParseAddr("10.10.10.10")

// StartBackend starts a web server on the tenants' network: the first on 10.10.10.11, the next on 10.10.10.12, ...
func (s *Sandbox) StartBackend(ctx context.Context, name string) (*Backend, error) {
	if s.host == nil {
		return nil, errRows
	}
	address := firstBackend
	for range s.backends.number() {
		address = address.Next()
	}
	st := s.settings
	id := "backend-" + name
	p, err := s.network.AddPort(neutron.Port{
		Name: name, NetworkID: st.NetworkID, ProjectID: st.Tenant.ProjectID, DeviceID: id, DeviceOwner: "compute:nova",
		SecurityGroups: []string{s.backendGroup},
		FixedIPs:       []neutron.FixedIP{{SubnetID: st.SubnetID, IPAddress: address.String()}},
	})
	if err != nil {
		return nil, fmt.Errorf("start backend %s: %w", name, err)
	}
	b := &Backend{name: name, address: address, port: p, sandbox: s}
	s.backends.add(b)
	nic, err := s.host.nic(p, true)
	if err == nil {
		err = s.host.run(ctx, instance.Spec{ID: id, Name: name, Web: name, NICs: []instance.NIC{nic}})
	}
	if err != nil {
		_ = b.Stop(ctx)
		return nil, fmt.Errorf("start backend %s: %w", name, err)
	}
	return b, nil
}

// RemovePort deletes a port behind everybody's back.
func (s *Sandbox) RemovePort(id string) { s.network.RemovePort(id) }

// AddPort makes a port on the tenants' network behind everybody's back.
func (s *Sandbox) AddPort(name, owner string) error {
	st := s.settings
	_, err := s.network.AddPort(neutron.Port{Name: name, DeviceOwner: owner, NetworkID: st.NetworkID, ProjectID: st.Tenant.ProjectID})
	return err
}

// RemoveServer deletes a server behind everybody's back.
func (s *Sandbox) RemoveServer(id string) { s.compute.End(id) }

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"

	"github.com/ottavino/ottavino/sandbox"
)

// client is the API as a tenant sees it.
type client struct{ *gophercloud.ServiceClient }

func login(ctx context.Context, st sandbox.Settings) (*client, error) {
	provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
		IdentityEndpoint: st.AuthURL, Username: st.Tenant.User, Password: st.Tenant.Password,
		TenantName: st.Tenant.Project, DomainName: "Default", AllowReauth: true,
	})
	if err != nil {
		return nil, err
	}
	api, err := openstack.NewLoadBalancerV2(provider, gophercloud.EndpointOpts{Region: st.Region})
	return &client{api}, err
}

func (c *client) active(ctx context.Context, id string) error {
	return await(ctx, "the load balancer is ACTIVE", func() (bool, error) {
		lb, err := loadbalancers.Get(ctx, c.ServiceClient, id).Extract()
		return err == nil && lb.ProvisioningStatus == "ACTIVE", err
	})
}

// life measures one load balancer's: create, member added, member removed, delete (ms), and its agent's memory (MiB).
func (b *bench) life(ctx context.Context) ([]float64, error) {
	subnet := b.cloud.Settings().SubnetID
	start := time.Now()
	lb, err := loadbalancers.Create(ctx, b.api.ServiceClient, loadbalancers.CreateOpts{Name: "bench", VipSubnetID: subnet}).Extract()
	if err != nil {
		return nil, err
	}
	if err := b.api.active(ctx, lb.ID); err != nil {
		return nil, err
	}
	created := ms(start)
	pool, err := b.pool(ctx, lb.ID)
	if err != nil {
		return nil, err
	}
	if err := b.api.active(ctx, lb.ID); err != nil {
		return nil, err
	}
	added, removed, err := b.member(ctx, lb, pool, subnet)
	if err != nil {
		return nil, err
	}
	memory, err := b.agentMemory(ctx)
	if err != nil {
		return nil, err
	}
	start = time.Now()
	if err := loadbalancers.Delete(ctx, b.api.ServiceClient, lb.ID, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr(); err != nil {
		return nil, err
	}
	err = await(ctx, "the load balancer is gone", func() (bool, error) {
		_, err := loadbalancers.Get(ctx, b.api.ServiceClient, lb.ID).Extract()
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return true, nil
		}
		return false, err
	})
	return []float64{created, added, removed, ms(start), memory}, err
}

func (b *bench) pool(ctx context.Context, lbID string) (string, error) {
	l, err := listeners.Create(ctx, b.api.ServiceClient, listeners.CreateOpts{
		Protocol: listeners.ProtocolHTTP, ProtocolPort: 80, LoadbalancerID: lbID,
	}).Extract()
	if err != nil {
		return "", err
	}
	p, err := pools.Create(ctx, b.api.ServiceClient, pools.CreateOpts{
		Protocol: pools.ProtocolHTTP, LBMethod: pools.LBMethodRoundRobin, ListenerID: l.ID,
	}).Extract()
	if err != nil {
		return "", err
	}
	return p.ID, nil
}

var visitor = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}

// member measures how long a member takes to answer, and to be gone again.
func (b *bench) member(ctx context.Context, lb *loadbalancers.LoadBalancer, pool, subnet string) (added, removed float64, err error) {
	backend, err := b.cloud.StartBackend(ctx, "backend")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = backend.Stop(ctx) }()
	start := time.Now()
	m, err := pools.CreateMember(ctx, b.api.ServiceClient, pool, pools.CreateMemberOpts{
		Address: backend.Address().String(), ProtocolPort: backend.Port(), SubnetID: subnet,
	}).Extract()
	if err != nil {
		return 0, 0, err
	}
	err = await(ctx, "the member answers", func() (bool, error) {
		resp, err := visitor.Get("http://" + lb.VipAddress) //nolint:noctx // bounded by its timeout
		if err != nil {
			return false, nil
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK && strings.TrimSpace(string(text)) == "backend", err
	})
	if err != nil {
		return 0, 0, err
	}
	added = ms(start)
	if err := b.api.active(ctx, lb.ID); err != nil {
		return 0, 0, err
	}
	start = time.Now()
	if err := pools.DeleteMember(ctx, b.api.ServiceClient, pool, m.ID).ExtractErr(); err != nil {
		return 0, 0, err
	}
	err = b.api.active(ctx, lb.ID)
	return added, ms(start), err
}

func (b *bench) agentMemory(ctx context.Context) (float64, error) {
	server, err := b.cloud.Amphora(ctx)
	if err != nil {
		return 0, err
	}
	out, err := b.cloud.Exec(ctx, server, "sh", "-c", "grep VmRSS /proc/$(pidof amphora-agent)/status")
	if err != nil {
		return 0, err
	}
	return mebibytes(out)
}

// mebibytes reads a line such as "VmRSS:  12345 kB".
func mebibytes(line []byte) (float64, error) {
	words := bytes.Fields(line)
	if len(words) < 2 {
		return 0, fmt.Errorf("no memory in %q", line)
	}
	kib, err := strconv.ParseFloat(string(words[1]), 64)
	return kib / 1024, err
}

// requests measures the API's rate and the server's memory afterwards.
func (b *bench) requests(ctx context.Context) ([]figure, error) {
	lb, err := loadbalancers.Create(ctx, b.api.ServiceClient, loadbalancers.CreateOpts{
		Name: "show", VipSubnetID: b.cloud.Settings().SubnetID,
	}).Extract()
	if err != nil {
		return nil, err
	}
	list, err := rate(func() error {
		_, err := loadbalancers.List(b.api.ServiceClient, loadbalancers.ListOpts{}).AllPages(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	show, err := rate(func() error {
		_, err := loadbalancers.Get(ctx, b.api.ServiceClient, lb.ID).Extract()
		return err
	})
	if err != nil {
		return nil, err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.serve.Process.Pid))
	if err != nil {
		return nil, err
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	memory, err := mebibytes(append([]byte("VmRSS: "), rest...))
	return []figure{
		{name: "list of load balancers, 8 clients", values: []float64{list}, unit: "/s"},
		{name: "show of a load balancer, 8 clients", values: []float64{show}, unit: "/s"},
		{name: "memory of the server", values: []float64{memory}, unit: "MiB", most: 80},
	}, err
}

// rate is how often per second eight clients get an answer.
func rate(ask func() error) (float64, error) {
	const clients, length = 8, 3 * time.Second
	var (
		wg    sync.WaitGroup
		count atomic.Int64
		once  sync.Once
		first error
	)
	start := time.Now()
	for range clients {
		wg.Go(func() {
			for time.Since(start) < length {
				if err := ask(); err != nil {
					once.Do(func() { first = err })
					return
				}
				count.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(count.Load()) / time.Since(start).Seconds(), first
}

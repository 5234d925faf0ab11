package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/spf13/cobra"

	"github.com/ottavino/ottavino/demo"
	"github.com/ottavino/ottavino/sandbox"
	"github.com/ottavino/ottavino/sandbox/world"
)

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show a load balancer that balances real traffic, in a minute",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot(); err != nil {
				return err
			}
			if _, err := world.Enter(); err != nil {
				return err
			}
			return runDemo(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

// needRoot refuses early what would fail late: servers mount file systems, and haproxy changes its user.
func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("servers are Linux namespaces, which takes root: use sudo")
	}
	return nil
}

func runDemo(ctx context.Context, out io.Writer) error {
	begin := time.Now()
	l, err := startLab(ctx, cloudAddress)
	if err != nil {
		return err
	}
	defer l.close()
	fmt.Fprintf(out, "  %6.2f s  a small OpenStack, and ottavino serve on SQLite, in namespaces of their own\n", time.Since(begin).Seconds())
	st := l.cloud.Settings()
	tenant, err := login(ctx, st)
	if err != nil {
		return err
	}
	err = demo.Run(ctx, demo.Options{API: tenant, SubnetID: st.SubnetID, Lab: demoLab{l.cloud}, Out: out})
	if err != nil {
		return fmt.Errorf("%w\n\nthe server's log ends with:\n%s", err, l.tail())
	}
	return nil
}

// login returns the load balancer service as the tenant sees it.
func login(ctx context.Context, st sandbox.Settings) (*gophercloud.ServiceClient, error) {
	provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
		IdentityEndpoint: st.AuthURL, Username: st.Tenant.User, Password: st.Tenant.Password,
		TenantName: st.Tenant.Project, DomainName: "Default", AllowReauth: true,
	})
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	return openstack.NewLoadBalancerV2(provider, gophercloud.EndpointOpts{Region: st.Region})
}

// demoLab is the sandbox as the demo's story wants it.
type demoLab struct{ *sandbox.Sandbox }

// StartBackend starts a web server on the tenants' network.
func (d demoLab) StartBackend(ctx context.Context, name string) (demo.Backend, error) {
	return d.Sandbox.StartBackend(ctx, name)
}

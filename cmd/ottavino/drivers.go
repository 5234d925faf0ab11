package main

import (
	"context"
	"fmt"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/certs"
	"github.com/ottavino/ottavino/api/vip"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/config"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/secret"
	"github.com/ottavino/ottavino/worker"
	"github.com/ottavino/ottavino/worker/health"
	"github.com/ottavino/ottavino/worker/housekeeping"
)

// drivers are what reaches out of the process: OpenStack, the agents, and the CA.
type drivers struct {
	compute interface {
		worker.Compute
		health.Compute
		housekeeping.Servers
		HasFlavor(ctx context.Context, id string) (bool, error)
		HasZone(ctx context.Context, name string) (bool, error)
	}
	images  worker.Images
	network interface {
		worker.Network
		housekeeping.Network
		vip.Neutron
	}
	agent interface {
		worker.Agent
		health.Agent
		housekeeping.Agent
	}
	secrets secret.Manager
	ca      *certs.CA // nil with the noop amphora driver
}

// authority avoids an interface that holds a nil pointer.
func (d drivers) authority() worker.Authority {
	if d.ca == nil {
		return nil
	}
	return d.ca
}

// newDrivers chooses by the driver names of [controller_worker], which are upstream's.
func newDrivers(cfg *config.Config) (drivers, error) {
	w := cfg.ControllerWorker
	var d drivers
	session, err := cloud.NewSession(auth(cfg.ServiceAuth.Auth))
	if err != nil && (w.ComputeDriver != noopCompute || w.NetworkDriver != noopNetwork || w.ImageDriver != noopImages) {
		return d, fmt.Errorf("[service_auth]: %w", err)
	}
	if d.secrets, err = secret.New(secretConfig(cfg, session)); err != nil {
		return d, fmt.Errorf("[certificates] cert_manager: %w", err)
	}
	neutron := session
	if cfg.Neutron.Complete() {
		if neutron, err = cloud.NewSession(auth(cfg.Neutron.Auth)); err != nil {
			return d, fmt.Errorf("[neutron]: %w", err)
		}
	}
	if d.compute = compute.NewNoop(); w.ComputeDriver != noopCompute {
		d.compute = compute.NewNova(session, compute.Config{
			Endpoint: endpoint(cfg.Nova.CatalogueEntry, "compute"), AvailabilityZone: cfg.Nova.AvailabilityZone,
		})
	}
	if d.images = compute.NewNoopImages(); w.ImageDriver != noopImages {
		d.images = compute.NewGlance(session, endpoint(cfg.Glance.CatalogueEntry, "image"))
	}
	if d.network = network.NewNoop(); w.NetworkDriver != noopNetwork {
		d.network = network.NewNeutron(neutron, neutronEndpoint(cfg.Neutron.Auth))
	}
	if d.agent = amphora.NewNoop(); w.AmphoraDriver != noopAmphora {
		d.agent = agentDriver(cfg.HAProxyAmphora, cfg.AmphoraAgent.AgentTLSProtocol)
		if d.ca, err = readCA(cfg.Certificates); err != nil {
			return d, err
		}
	}
	return d, nil
}

// Upstream's names of the drivers that do nothing.
const (
	noopAmphora = "amphora_noop_driver"
	noopCompute = "compute_noop_driver"
	noopNetwork = "network_noop_driver"
	noopImages  = "image_noop_driver"
)

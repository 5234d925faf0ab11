package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ottavino/ottavino/db"
)

// flavorSettings are the keys of a flavor profile's flavor_data that the API looks at.
type flavorSettings struct {
	Topology         string `json:"loadbalancer_topology"`
	SRIOVVIP         bool   `json:"sriov_vip"`
	AllowMemberSRIOV bool   `json:"allow_member_sriov"`
}

// flavorData reads the settings of a flavor; none for "".
func flavorData(ctx context.Context, tx *db.Tx, flavorID string) (flavorSettings, error) {
	var out flavorSettings
	if flavorID == "" {
		return out, nil
	}
	f, err := db.Get[db.Flavor](ctx, tx, flavorID)
	if err != nil {
		return out, err
	}
	p, err := db.Get[db.FlavorProfile](ctx, tx, f.FlavorProfileID)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal([]byte(p.FlavorData), &out); err != nil {
		return out, fmt.Errorf("flavor profile %s: %w", p.ID, err)
	}
	return out, nil
}

// lbSettings are what flavor, availability zone and configuration decide for a new load balancer.
type lbSettings struct {
	provider, topology, vnicType string
	validNetworks                []string // nil: the configuration's
}

// settingsFor reads flavor and availability zone of a new load balancer, and tests them and
// the provider in upstream's order.
func (s *Server) settingsFor(ctx context.Context, tx *db.Tx, in *loadBalancerIn) (lbSettings, error) {
	out := lbSettings{topology: s.cfg.Topology, vnicType: vnicNormal}
	flavorProvider, err := s.applyFlavor(ctx, tx, in.flavor, &out)
	if err != nil {
		return out, err
	}
	if out.validNetworks, err = zoneNetworks(ctx, tx, in.zone); err != nil {
		return out, err
	}
	out.provider = s.cfg.DefaultProvider
	if in.provider.set {
		out.provider = cmp.Or(in.provider.value, providerAmphora)
	}
	if flavorProvider != "" {
		if in.provider.set && out.provider != flavorProvider {
			return out, BadRequest(fmt.Sprintf("Flavor '%s' is not compatible with provider '%s'", in.flavor.value, out.provider))
		}
		out.provider = flavorProvider
	}
	return out, s.cfg.checkProvider(out.provider)
}

// applyFlavor reads a flavor into settings and returns its provider.
func (s *Server) applyFlavor(ctx context.Context, tx *db.Tx, id field[string], out *lbSettings) (string, error) {
	if !id.set {
		return "", nil
	}
	flavor, err := db.Live[db.Flavor](ctx, tx, id.value)
	if isAbsent(err) {
		return "", Invalid("Invalid flavor_id.")
	}
	if err != nil {
		return "", err
	}
	if !flavor.Enabled {
		return "", disabled("flavor", flavor.ID)
	}
	profile, err := db.Get[db.FlavorProfile](ctx, tx, flavor.FlavorProfileID)
	if err != nil {
		return "", err
	}
	data, err := flavorData(ctx, tx, flavor.ID)
	if err != nil {
		return "", err
	}
	out.topology = cmp.Or(data.Topology, out.topology)
	if data.SRIOVVIP {
		out.vnicType = vnicDirect
	}
	return profile.ProviderName, nil
}

// zoneNetworks tests an availability zone and returns the networks its VIPs may use.
func zoneNetworks(ctx context.Context, tx *db.Tx, name field[string]) ([]string, error) {
	if !name.set {
		return nil, nil
	}
	zone, err := db.Live[db.AvailabilityZone](ctx, tx, name.value)
	if isAbsent(err) {
		return nil, Invalid("Invalid availability zone.")
	}
	if err != nil {
		return nil, err
	}
	if !zone.Enabled {
		return nil, disabled("availability_zone", zone.Name)
	}
	profile, err := db.Get[db.AvailabilityZoneProfile](ctx, tx, zone.AvailabilityZoneProfileID)
	if err != nil {
		return nil, err
	}
	var data struct {
		ValidVIPNetworks []string `json:"valid_vip_networks"`
	}
	if err := json.Unmarshal([]byte(profile.AvailabilityZoneData), &data); err != nil {
		return nil, fmt.Errorf("availability zone profile %s: %w", profile.ID, err)
	}
	return data.ValidVIPNetworks, nil
}

func isAbsent(err error) bool {
	var absent *db.NotFoundError
	return errors.As(err, &absent)
}

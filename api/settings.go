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
	topology              string
	sriovVIP, memberSRIOV bool
}

// settingsIn reads the settings of a profile. What is not of the type that amphorae want is
// left out: other providers give their own meaning to their data.
func settingsIn(p *db.FlavorProfile) flavorSettings {
	var data map[string]any
	if json.Unmarshal([]byte(p.FlavorData), &data) != nil {
		return flavorSettings{}
	}
	var out flavorSettings
	out.topology, _ = data["loadbalancer_topology"].(string)
	out.sriovVIP, _ = data["sriov_vip"].(bool)
	out.memberSRIOV, _ = data["allow_member_sriov"].(bool)
	return out
}

// flavorData reads the settings of a flavor; none for "".
func flavorData(ctx context.Context, tx *db.Tx, flavorID string) (flavorSettings, error) {
	if flavorID == "" {
		return flavorSettings{}, nil
	}
	f, err := db.Get[db.Flavor](ctx, tx, flavorID)
	if err != nil {
		return flavorSettings{}, err
	}
	p, err := db.Get[db.FlavorProfile](ctx, tx, f.FlavorProfileID)
	if err != nil {
		return flavorSettings{}, err
	}
	return settingsIn(p), nil
}

// lbSettings are what flavor, availability zone and configuration decide for a new load balancer.
type lbSettings struct {
	provider, topology, vnicType string
	validNetworks                []string // nil: the configuration's
	driver                       *driver
	flavorData, zoneData         string // of the profiles; "" without
}

// settingsFor reads flavor and availability zone of a new load balancer, and tests them and
// the provider in upstream's order.
func (s *Server) settingsFor(ctx context.Context, tx *db.Tx, in *loadBalancerIn) (lbSettings, error) {
	out := lbSettings{topology: s.cfg.Topology, vnicType: vnicNormal}
	flavorProvider, err := s.applyFlavor(ctx, tx, in.flavor, &out)
	if err != nil {
		return out, err
	}
	if err := applyZone(ctx, tx, in.zone, &out); err != nil {
		return out, err
	}
	out.provider = s.cfg.DefaultProvider
	if in.provider.set {
		out.provider = cmp.Or(in.provider.value, db.ProviderAmphora)
	}
	if flavorProvider != "" {
		if in.provider.set && out.provider != flavorProvider {
			return out, BadRequest(fmt.Sprintf("Flavor '%s' is not compatible with provider '%s'", in.flavor.value, out.provider))
		}
		out.provider = flavorProvider
	}
	out.driver, err = s.cfg.driver(out.provider)
	return out, err
}

// checkProfiles asks the provider whether it can still do what flavor and availability zone say.
func (s *Server) checkProfiles(ctx context.Context, set *lbSettings) error {
	if set.flavorData != "" {
		if err := s.checkFlavor(ctx, set.provider, set.flavorData); err != nil {
			return err
		}
	}
	if set.zoneData == "" {
		return nil
	}
	return s.checkZone(ctx, set.provider, set.zoneData)
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
	data := settingsIn(profile)
	out.flavorData = profile.FlavorData
	out.topology = cmp.Or(data.topology, out.topology)
	if data.sriovVIP {
		out.vnicType = vnicDirect
	}
	return profile.ProviderName, nil
}

// applyZone reads an availability zone into settings.
func applyZone(ctx context.Context, tx *db.Tx, name field[string], out *lbSettings) error {
	if !name.set {
		return nil
	}
	zone, err := db.Live[db.AvailabilityZone](ctx, tx, name.value)
	if isAbsent(err) {
		return Invalid("Invalid availability zone.")
	}
	if err != nil {
		return err
	}
	if !zone.Enabled {
		return disabled("availability_zone", zone.Name)
	}
	profile, err := db.Get[db.AvailabilityZoneProfile](ctx, tx, zone.AvailabilityZoneProfileID)
	if err != nil {
		return err
	}
	out.zoneData = profile.AvailabilityZoneData
	out.validNetworks = networksIn(profile)
	return nil
}

// networksIn are the networks that an availability zone's VIPs may use; nil is all.
func networksIn(p *db.AvailabilityZoneProfile) []string {
	var data map[string]json.RawMessage
	var networks []string
	if json.Unmarshal([]byte(p.AvailabilityZoneData), &data) != nil ||
		json.Unmarshal(data["valid_vip_networks"], &networks) != nil {
		return nil
	}
	return networks
}

func isAbsent(err error) bool {
	var absent *db.NotFoundError
	return errors.As(err, &absent)
}

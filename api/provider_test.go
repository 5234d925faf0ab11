package api_test

import (
	"context"
	"testing"

	"github.com/ottavino/ottavino/db"
)

func TestCapabilities(t *testing.T) {
	t.Parallel()
	f := newFixture(t, bothProviders).admin()
	expect(t, f.must(200, "GET", "/v2/lbaas/providers/amphora/flavor_capabilities?fields=name", ""), "flavor_capabilities",
		`[{"name":"loadbalancer_topology"},{"name":"compute_flavor"},{"name":"amp_image_tag"},{"name":"sriov_vip"},{"name":"allow_member_sriov"}]`)
	expect(t, f.must(200, "GET", "/v2/lbaas/providers/octavia/availability_zone_capabilities?fields=description&name=compute_zone", ""),
		"availability_zone_capabilities", `[{"description":"The compute availability zone."}]`, "availability_zone_capabilities_links", `"absent"`)
	expect(t, f.must(200, "GET", "/v2.0/lbaas/providers/noop_driver/flavor_capabilities", ""), "flavor_capabilities",
		`[{"description":"The glance image tag to use for this load balancer.","name":"amp_image_tag"}]`)
	f.refuse(
		wrong{"not enabled", "GET", "/v2/lbaas/providers/f5/flavor_capabilities", "", 400, "Provider 'f5' is not enabled."},
		wrong{"not loadable", "GET", "/v2/lbaas/providers/elsewhere/flavor_capabilities", "", 501, "Provider 'elsewhere' was not found."},
	)
	f.as("member", project).refuse(wrong{"not for members", "GET", "/v2/lbaas/providers/amphora/flavor_capabilities", "", 403, "Policy does not allow this request to be performed."})
}

// A load balancer of the noop driver has rows and nothing else: no port is made, no work is
// scheduled, and what amphorae cannot do is taken.
func TestNoopDriver(t *testing.T) {
	t.Parallel()
	f := newFixture(t, bothProviders)
	made := f.must(201, "POST", lbs, `{"loadbalancer": {"vip_subnet_id": "`+subnet+`", "provider": "noop_driver"}}`)
	id := made.at("loadbalancer.id").(string)
	expect(t, made, "loadbalancer.provider", `"noop_driver"`, "loadbalancer.vip_address", `"198.0.2.5"`,
		"loadbalancer.vip_subnet_id", `"`+subnet+`"`, "loadbalancer.provisioning_status", `"PENDING_CREATE"`)
	if port, ok := made.at("loadbalancer.vip_port_id").(string); !ok || port == "" {
		t.Errorf("no VIP port in %s", show(made))
	}
	const port = "10000000-0000-4000-8000-000000000009"
	expect(t, f.must(201, "POST", lbs, `{"loadbalancer": {"vip_subnet_id": "`+subnet+`", "vip_port_id": "`+port+`", "provider": "noop_driver",
		"additional_vips": [{"subnet_id": "`+absent+`", "ip_address": "10.0.0.7"}]}}`),
		"loadbalancer.vip_port_id", `"`+port+`"`, "loadbalancer.additional_vips.0.port_id", `"`+port+`"`)
	f.setStatus(id, db.Active)
	expect(t, f.must(201, "POST", "/v2/lbaas/pools", `{"pool": {"loadbalancer_id": "`+id+`", "protocol": "TCP", "lb_algorithm": "SOURCE_IP_PORT"}}`),
		"pool.lb_algorithm", `"SOURCE_IP_PORT"`)
	f.setStatus(id, db.Active)
	f.must(204, "DELETE", lbs+"/"+id+"?cascade=true", "")
	expect(t, f.must(200, "GET", lbs+"/"+id, ""), "loadbalancer.provisioning_status", `"PENDING_DELETE"`)
	if n := f.neutron.count(); n != 0 {
		t.Errorf("%d ports were made", n)
	}
	err := f.store.Read(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		rows, err := db.Where[db.Work](ctx, tx, "1 = 1")
		if len(rows) != 0 {
			t.Errorf("work was scheduled: %v", rows)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The flavor's data are tested again when a load balancer is made of it.
func TestFlavorMustStillFit(t *testing.T) {
	t.Parallel()
	f := newFixture(t, bothProviders)
	f.plant(
		&db.FlavorProfile{ID: absent, Name: "p", ProviderName: "amphora", FlavorData: `{"compute_flavor": "gone"}`},
		&db.Flavor{ID: absent, Name: "f", Enabled: true, FlavorProfileID: absent},
		&db.AvailabilityZoneProfile{ID: absent, Name: "p", ProviderName: "amphora", AvailabilityZoneData: `{"compute_zone": "gone"}`},
		&db.AvailabilityZone{Name: "z", Enabled: true, AvailabilityZoneProfileID: absent},
	)
	f.refuse(
		wrong{"flavor", "POST", lbs, `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "flavor_id": "` + absent + `"}}`, 500, "Provider 'amphora' reports error: Nova flavor gone not found."},
		wrong{"zone", "POST", lbs, `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "availability_zone": "z"}}`, 500, "Provider 'amphora' reports error: Nova availability zone gone not found."},
	)
	if n := f.neutron.count(); n != 0 {
		t.Errorf("%d ports are left", n)
	}
}

// plant inserts rows.
func (f *fixture) plant(rows ...any) {
	f.t.Helper()
	err := f.store.Tx(f.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		for _, row := range rows {
			if err := insert(ctx, tx, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func insert(ctx context.Context, tx *db.Tx, row any) error {
	switch r := row.(type) {
	case *db.FlavorProfile:
		return db.Insert(ctx, tx, r)
	case *db.Flavor:
		return db.Insert(ctx, tx, r)
	case *db.AvailabilityZoneProfile:
		return db.Insert(ctx, tx, r)
	case *db.AvailabilityZone:
		return db.Insert(ctx, tx, r)
	case *db.Amphora:
		return db.Insert(ctx, tx, r)
	case *db.ListenerStatistics:
		return db.Insert(ctx, tx, r)
	}
	panic("a row of an unknown table")
}

package api_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
)

const (
	flavors        = "/v2.0/lbaas/flavors"
	flavorProfiles = "/v2.0/lbaas/flavorprofiles"
	zones          = "/v2.0/lbaas/availabilityzones"
	zoneProfiles   = "/v2.0/lbaas/availabilityzoneprofiles"
	nobody         = "00000000-0000-0000-0000-000000000000"
)

func bothProviders(c *api.Config, _ *api.Deps) {
	c.EnabledProviders = map[string]string{"amphora": "a", "octavia": "o", "noop_driver": "n", "elsewhere": "e"}
}

func TestFlavors(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		t.Helper()
		admin := f.admin()
		made := admin.must(201, "POST", flavorProfiles, `{"flavorprofile": {"name": "p", "provider_name": "amphora",
			"flavor_data": "{\"loadbalancer_topology\": \"SINGLE\",  \"compute_flavor\": \"flavor-1\", \"amp_image_tag\": \"amphora\"}"}}`)
		profile := made.at("flavorprofile.id").(string)
		expect(t, made, "flavorprofile.name", `"p"`, "flavorprofile.provider_name", `"amphora"`, "flavorprofile.flavor_data",
			`"{\"loadbalancer_topology\": \"SINGLE\",  \"compute_flavor\": \"flavor-1\", \"amp_image_tag\": \"amphora\"}"`)
		other := admin.create(flavorProfiles, `{"flavorprofile": {"name": "q", "provider_name": "noop_driver", "flavor_data": "[1]"}}`)
		made = admin.must(201, "POST", flavors, `{"flavor": {"name": "small", "flavor_profile_id": "`+profile+`"}}`)
		id := made.at("flavor.id").(string)
		expect(t, made, "flavor", show(map[string]any{
			"id": id, "name": "small", "description": "", "enabled": true, "flavor_profile_id": profile,
		}))
		expect(t, admin.must(201, "POST", flavors, `{"flavor": {"name": null, "flavor_profile_id": "`+other+`", "enabled": "off"}}`),
			"flavor.name", `""`, "flavor.enabled", "false")

		expect(t, f.must(200, "GET", flavors+"/"+id, ""), "flavor.name", `"small"`)
		expect(t, f.must(200, "GET", flavors+"?name=small&fields=name", ""), "flavors", `[{"name":"small"}]`)
		expect(t, f.must(200, "GET", flavors+"?limit=1&sort=name:desc", ""), "flavors.0.name", `"small"`, "flavors_links.0.rel", `"next"`)
		expect(t, admin.must(200, "GET", flavorProfiles+"?sort=name&limit=1", ""),
			"flavorprofiles.0.name", `"p"`, "flavorprofiles.1", `"absent"`, "flavorprofile_links.0.rel", `"next"`)

		in := `Flavor profile ` + profile + ` is in use and cannot be modified.`
		f.refuse(
			wrong{"not for members", "GET", flavorProfiles, "", 403, "Policy does not allow this request to be performed."},
			wrong{"not for members", "POST", flavors, `{"flavor": {"name": "x", "flavor_profile_id": "` + profile + `"}}`, 403, "Policy does not allow this request to be performed."},
			wrong{"unknown", "GET", flavors + "/" + absent, "", 404, "Flavor " + absent + " not found."},
			wrong{"placeholder", "GET", flavors + "/" + nobody, "", 404, "Flavor " + nobody + " not found."},
			wrong{"filter", "GET", flavors + "?provisioning_status=x", "", 400, "One or more arguments are either duplicate or invalid"},
		)
		one := flavorProfiles + "/" + profile
		admin.refuse(
			wrong{"unknown", "GET", flavorProfiles + "/" + absent, "", 404, "Flavor Profile " + absent + " not found."},
			wrong{"unknown", "DELETE", flavorProfiles + "/" + absent, "", 404, "Flavor profile " + absent + " not found."},
			wrong{"unknown", "PUT", flavorProfiles + "/" + absent, `{"flavorprofile": {}}`, 404, "Flavor Profile " + absent + " not found."},
			wrong{"placeholder", "GET", flavorProfiles + "/" + nobody, "", 404, "Flavor profile " + nobody + " not found."},
			wrong{"placeholder", "PUT", flavorProfiles + "/" + nobody, `{"flavorprofile": {}}`, 404, "Flavor profile " + nobody + " not found."},
			wrong{"null", "PUT", one, `{"flavorprofile": {"name": null}}`, 400, "None is not a valid option for name"},
			wrong{"null", "PUT", one, `{"flavorprofile": {"provider_name": null}}`, 400, "None is not a valid option for provider_name"},
			wrong{"null", "PUT", one, `{"flavorprofile": {"flavor_data": null}}`, 400, "None is not a valid option for flavor_data"},
			wrong{"in use", "PUT", one, `{"flavorprofile": {"flavor_data": "{}"}}`, 409, in},
			wrong{"in use", "PUT", one, `{"flavorprofile": {"provider_name": "octavia"}}`, 409, in},
			wrong{"in use", "DELETE", one, "", 409, in},
			wrong{"taken", "POST", flavors, `{"flavor": {"name": "small", "flavor_profile_id": "` + profile + `"}}`, 409, "A flavor of small already exists."},
			wrong{"taken", "PUT", flavors + "/" + id, `{"flavor": {"name": null}}`, 409, "A flavor of  already exists."},
			wrong{"no profile", "POST", flavors, `{"flavor": {"name": "x", "flavor_profile_id": "` + absent + `"}}`, 400, absent + " is not a valid option for flavor_profile_id"},
			wrong{"placeholder", "POST", flavors, `{"flavor": {"name": "x", "flavor_profile_id": "` + nobody + `"}}`, 400, nobody + " is not a valid option for flavor_profile_id"},
			wrong{"null", "POST", flavors, `{"flavor": {"name": "x", "flavor_profile_id": null}}`, 400, "None is not a valid option for flavor_profile_id"},
			wrong{"null", "POST", flavors, `{"flavor": {"name": "x", "enabled": null, "flavor_profile_id": "` + profile + `"}}`, 400, "None is not a valid option for enabled"},
			wrong{"profile is fixed", "PUT", flavors + "/" + id, `{"flavor": {"flavor_profile_id": "` + profile + `"}}`, 400, "Unknown attribute for argument flavor_.flavor: flavor_profile_id"},
			wrong{"lacks id", "DELETE", flavors, "", 400, `Missing argument: "flavor_id"`},
			wrong{"lacks id", "PUT", flavorProfiles, "", 400, `Missing argument: "id"`},
		)
		expect(t, admin.must(200, "PUT", one, `{"flavorprofile": {"name": "renamed"}}`), "flavorprofile.name", `"renamed"`)
		expect(t, admin.must(200, "PUT", flavors+"/"+id, `{"flavor": {"description": "d", "enabled": false}}`),
			"flavor.description", `"d"`, "flavor.enabled", "false", "flavor.name", `"small"`)
		admin.refuse(wrong{"disabled", "POST", "/v2/lbaas/loadbalancers", `{"loadbalancer": {"vip_subnet_id": "` + subnet + `", "flavor_id": "` + id + `"}}`, 400, "The selected flavor is not allowed in this deployment: " + id})
		admin.must(200, "PUT", flavors+"/"+id, `{"flavor": {"description": null, "enabled": true}}`)

		lb := f.create("/v2/lbaas/loadbalancers", `{"loadbalancer": {"vip_subnet_id": "`+subnet+`", "flavor_id": "`+id+`"}}`)
		admin.refuse(wrong{"in use", "DELETE", flavors + "/" + id, "", 409, "Flavor " + id + " is in use and cannot be modified."})
		f.setStatus(lb, db.Deleted)
		admin.must(204, "DELETE", flavors+"/"+id, "")
		if got := *rowOf[db.LoadBalancer](f, lb).FlavorID; got != nobody {
			t.Errorf("the flavor of a deleted load balancer is %s", got)
		}
		if got := admin.do("POST", flavors, `{"flavor": {"name": "", "flavor_profile_id": "`+profile+`"}}`).header.Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After of a taken name: got %q, want 1", got)
		}
		admin.must(204, "DELETE", one, "")
		admin.must(404, "GET", one, "")
	}, bothProviders)
}

// rowOf reads a row.
func rowOf[M any](f *fixture, id string) *M {
	f.t.Helper()
	var row *M
	err := f.store.Read(f.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		row, err = db.Get[M](ctx, tx, id)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return row
}

func TestFlavorData(t *testing.T) {
	t.Parallel()
	f := newFixture(t, bothProviders).admin()
	const option = "Provider 'amphora' does not support a requested option: "
	const report = "Provider 'amphora' reports error: "
	for _, c := range []struct {
		data   string
		status int
		fault  string
	}{
		{`{`, 400, "{ is not a valid option for flavor_data"},
		{``, 400, " is not a valid option for flavor_data"},
		{`[]`, 501, option + "[] is not of type 'object'"},
		{`null`, 501, option + "None is not of type 'object'"},
		{`"x"`, 501, option + "'x' is not of type 'object'"},
		{`{"bogus": 1}`, 501, option + "Additional properties are not allowed ('bogus' was unexpected)"},
		{`{"b": 1, "a": 2}`, 501, option + "Additional properties are not allowed ('a', 'b' were unexpected)"},
		{`{"loadbalancer_topology": "BOGUS"}`, 501, option + "loadbalancer_topology 'BOGUS' is not one of ['ACTIVE_STANDBY', 'SINGLE']"},
		{`{"sriov_vip": "x"}`, 501, option + "sriov_vip 'x' is not of type 'boolean'"},
		{`{"sriov_vip": null}`, 501, option + "sriov_vip None is not of type 'boolean'"},
		{`{"compute_flavor": 5}`, 501, option + "compute_flavor 5 is not of type 'string'"},
		{`{"compute_flavor": "gone"}`, 500, report + "Nova flavor gone not found."},
		{`{"amp_image_tag": "gone"}`, 500, report + "Failed to find an image with tag gone due to: no active image has the tag"},
	} {
		body := `{"flavorprofile": {"name": "x", "provider_name": "amphora", "flavor_data": ` + show(c.data) + `}}`
		f.refuse(wrong{"flavor_data " + c.data, "POST", flavorProfiles, body, c.status, c.fault})
	}
	f.refuse(
		wrong{"provider", "POST", flavorProfiles, `{"flavorprofile": {"name": "x", "provider_name": "bogus", "flavor_data": "{}"}}`, 400, "Provider 'bogus' is not enabled."},
		wrong{"provider", "POST", flavorProfiles, `{"flavorprofile": {"name": "x", "provider_name": "elsewhere", "flavor_data": "{}"}}`, 501, "Provider 'elsewhere' was not found."},
		wrong{"provider", "POST", flavorProfiles, `{"flavorprofile": {"name": "x", "provider_name": null, "flavor_data": "{}"}}`, 400, "None is not a valid option for provider_name"},
		wrong{"null", "POST", flavorProfiles, `{"flavorprofile": {"name": "x", "provider_name": "amphora", "flavor_data": null}}`, 400, "None is not a valid option for flavor_data"},
	)
	expect(t, f.must(200, "GET", flavorProfiles, ""), "flavorprofiles", "[]", "flavorprofile_links", "[]")

	id := f.create(flavorProfiles, `{"flavorprofile": {"name": null, "provider_name": "amphora", "flavor_data": "{}"}}`)
	// Upstream does not test a provider that comes alone.
	expect(t, f.must(200, "PUT", flavorProfiles+"/"+id, `{"flavorprofile": {"provider_name": "bogus"}}`), "flavorprofile.provider_name", `"bogus"`)
	f.refuse(wrong{"stored provider", "PUT", flavorProfiles + "/" + id, `{"flavorprofile": {"flavor_data": "{}"}}`, 400, "Provider 'bogus' is not enabled."})
	f.cloud.down = true
	f.must(503, "POST", flavorProfiles, `{"flavorprofile": {"name": "x", "provider_name": "amphora", "flavor_data": "{\"compute_flavor\": \"f\"}"}}`)
}

func TestZones(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		t.Helper()
		admin := f.admin()
		made := admin.must(201, "POST", zoneProfiles, `{"availability_zone_profile": {"name": "p", "provider_name": "amphora",
			"availability_zone_data": "{\"compute_zone\": \"nova\", \"valid_vip_networks\": [\"`+network+`\"]}"}}`)
		profile := made.at("availability_zone_profile.id").(string)
		made = admin.must(201, "POST", zones, `{"availability_zone": {"name": "Zone 1.é", "description": "d", "availability_zone_profile_id": "`+profile+`"}}`)
		expect(t, made, "availability_zone", show(map[string]any{
			"name": "Zone 1.é", "description": "d", "enabled": true, "availability_zone_profile_id": profile,
		}))
		for _, name := range []string{"a.json", "b", "50%25"} {
			admin.must(201, "POST", zones, `{"availability_zone": {"name": "`+name+`", "availability_zone_profile_id": "`+profile+`"}}`)
			expect(t, f.must(200, "GET", zones+"/"+url.PathEscape(name), ""), "availability_zone.name", `"`+name+`"`)
		}
		expect(t, f.must(200, "GET", zones+"/b.json", ""), "availability_zone.name", `"b"`)
		path := zones + "/" + url.PathEscape("Zone 1.é")
		expect(t, f.must(200, "GET", path, ""), "availability_zone.name", `"Zone 1.é"`)
		expect(t, f.must(200, "GET", zones+"?sort=name:desc&limit=1&marker=b", ""),
			"availability_zones.0.name", `"a.json"`, "availability_zones_links.1.rel", `"next"`)
		expect(t, admin.must(200, "GET", zoneProfiles, ""),
			"availability_zone_profiles.0.id", `"`+profile+`"`, "availability_zone_profile_links", "[]")

		in := "Availability Zone Profile " + profile + " is in use and cannot be modified."
		one := zoneProfiles + "/" + profile
		f.refuse(
			wrong{"not for members", "GET", zoneProfiles, "", 403, "Policy does not allow this request to be performed."},
			wrong{"other case", "GET", zones + "/B", "", 404, "Availability Zone B not found."},
			wrong{"placeholder", "GET", zones + "/" + nobody, "", 404, "Availability Zone " + nobody + " not found."},
		)
		admin.refuse(
			wrong{"unknown", "DELETE", zoneProfiles + "/" + absent, "", 404, "Availability Zone Profile " + absent + " not found."},
			wrong{"unknown", "GET", zoneProfiles + "/" + nobody, "", 404, "Availability Zone Profile " + nobody + " not found."},
			wrong{"not JSON", "POST", zoneProfiles, `{"availability_zone_profile": {"name": "x", "provider_name": "amphora", "availability_zone_data": "{"}}`, 400, "{ is not a valid option for availability_zone_data"},
			wrong{"unknown zone", "POST", zoneProfiles, `{"availability_zone_profile": {"name": "x", "provider_name": "amphora", "availability_zone_data": "{\"compute_zone\": \"mars\"}"}}`, 500, "Provider 'amphora' reports error: Nova availability zone mars not found."},
			wrong{"unknown network", "POST", zoneProfiles, `{"availability_zone_profile": {"name": "x", "provider_name": "amphora", "availability_zone_data": "{\"management_network\": \"x\"}"}}`, 500, "Provider 'amphora' reports error: network not found (network Id: x)."},
			wrong{"networks", "POST", zoneProfiles, `{"availability_zone_profile": {"name": "x", "provider_name": "amphora", "availability_zone_data": "{\"valid_vip_networks\": \"x\"}"}}`, 501, "Provider 'amphora' does not support a requested option: valid_vip_networks 'x' is not of type 'array'"},
			wrong{"in use", "PUT", one, `{"availability_zone_profile": {"availability_zone_data": "{}"}}`, 409, in},
			wrong{"in use", "DELETE", one, "", 409, in},
			wrong{"null", "PUT", one, `{"availability_zone_profile": {"availability_zone_data": null}}`, 400, "None is not a valid option for availability_zone_data"},
			wrong{"taken", "POST", zones, `{"availability_zone": {"name": "b", "availability_zone_profile_id": "` + profile + `"}}`, 409, "A availability zone of b already exists."},
			wrong{"null", "POST", zones, `{"availability_zone": {"name": null, "availability_zone_profile_id": "` + profile + `"}}`, 400, "None is not a valid option for name"},
			wrong{"no profile", "POST", zones, `{"availability_zone": {"name": "c", "availability_zone_profile_id": "` + absent + `"}}`, 400, absent + " is not a valid option for availability_zone_profile_id"},
			wrong{"name is the key", "PUT", path, `{"availability_zone": {"name": "c"}}`, 400, "Unknown attribute for argument availability_zone_.availability_zone: name"},
			wrong{"lacks id", "PUT", zones, "", 400, `Missing argument: "name"`},
			wrong{"lacks id", "DELETE", zoneProfiles, "", 400, `Missing argument: "availability_zone_profile_id"`},
		)
		loose := admin.create(zoneProfiles, `{"availability_zone_profile": {"name": "q", "provider_name": "amphora", "availability_zone_data": "{}"}}`)
		admin.refuse(wrong{"not JSON", "PUT", zoneProfiles + "/" + loose, `{"availability_zone_profile": {"availability_zone_data": "{"}}`, 400, "{ is not a valid option for flavor_data"})
		admin.must(204, "DELETE", zoneProfiles+"/"+loose, "")

		lb := f.create("/v2/lbaas/loadbalancers", `{"loadbalancer": {"vip_subnet_id": "`+subnet+`", "availability_zone": "Zone 1.é"}}`)
		admin.refuse(wrong{"in use", "DELETE", path, "", 409, "Availability Zone Zone 1.é is in use and cannot be modified."})
		f.setStatus(lb, db.Deleted)
		admin.must(204, "DELETE", path, "")
		if got := *rowOf[db.LoadBalancer](f, lb).AvailabilityZone; got != nobody {
			t.Errorf("the zone of a deleted load balancer is %s", got)
		}
	}, bothProviders)
}

package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

// TestSRIOV: with a flavor that puts the VIP on an SR-IOV port, the amphora itself lets in whom listeners allow, and nobody else.
func TestSRIOV(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	x := &rows{tlsLab: &tlsLab{lab: l, owner: l.owner(l.sandbox.Settings().Tenant), actor: l.actor("rows")}}
	admin := l.login(l.sandbox.Settings().Admin)
	routes := x.stackWith(attrs{"flavor_id": makeFlavor(t, admin, `{"sriov_vip": true}`)}, []trafficRow{
		{"for all", x.to(nil), nil},
		{"for us", x.to(attrs{"allowed_cidrs": []string{outside + "/32"}}), nil},
		{"for others", x.to(attrs{"allowed_cidrs": []string{"192.0.2.0/24"}}), nil},
	})
	for name, r := range routes {
		r.t = t
		got, err := r.try(request{from: outside, timeout: time.Second})
		if admitted := err == nil && got.Member == "member"; admitted != (name != "for others") {
			t.Errorf("%s: got %d %q, %v", name, got.status, got.body, err)
		}
	}
	x.end()
}

// makeFlavor makes one of the amphora provider's.
func makeFlavor(t *testing.T, admin *gophercloud.ServiceClient, data string) (id string) {
	t.Helper()
	post := func(path, key string, in attrs) string {
		var out map[string]struct {
			ID string `json:"id"`
		}
		resp, err := admin.Post(t.Context(), admin.ServiceURL("lbaas", path), attrs{key: in}, &out, &gophercloud.RequestOpts{OkCodes: []int{http.StatusCreated}})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return out[key].ID
	}
	profile := post("flavorprofiles", "flavorprofile", attrs{"name": "p", "provider_name": "amphora", "flavor_data": data})
	return post("flavors", "flavor", attrs{"name": "f", "flavor_profile_id": profile})
}

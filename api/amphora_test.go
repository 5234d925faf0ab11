package api_test

import (
	"testing"

	"github.com/ottavino/ottavino/db"
)

const amphorae = "/v2.0/octavia/amphorae"

func TestAmphoraCalls(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		t.Helper()
		admin := f.admin()
		lb := f.loadBalancer()
		const one, stray, gone = "10000000-0000-4000-8000-000000000000", "20000000-0000-4000-8000-000000000000", "30000000-0000-4000-8000-000000000000"
		f.plant(
			&db.Amphora{ID: one, Status: db.Allocated, LoadBalancerID: &lb},
			&db.Amphora{ID: stray, Status: db.Error},
			&db.Amphora{ID: gone, Status: db.Deleted, LoadBalancerID: &lb},
			&db.ListenerStatistics{ListenerID: absent, AmphoraID: one, BytesIn: 1, BytesOut: 2, ActiveConnections: 3, TotalConnections: 4, RequestErrors: 5},
		)
		expect(t, admin.must(200, "GET", amphorae+"?fields=id&project_id="+project, ""), "amphorae", `[{"id":"`+one+`"}]`)
		expect(t, admin.must(200, "GET", amphorae+"?fields=id&project_id="+foreign, ""), "amphorae", "[]")
		expect(t, admin.must(200, "GET", amphorae+"/"+one+"/stats", ""), "amphora_stats", show([]any{map[string]any{
			"id": one, "listener_id": absent, "loadbalancer_id": lb, "bytes_in": 1, "bytes_out": 2, "active_connections": 3,
			"total_connections": 4, "request_errors": 5,
		}}))
		admin.refuse(
			wrong{"no stats", "GET", amphorae + "/" + stray + "/stats", "", 404, "Amphora stats for " + stray + " not found."},
			wrong{"gone", "GET", amphorae + "/" + gone, "", 404, "Amphora " + gone + " not found."},
			wrong{"gone", "PUT", amphorae + "/" + gone + "/failover", "", 404, "Amphora " + gone + " not found."},
			wrong{"gone", "DELETE", amphorae + "/" + gone, "", 404, "Amphora " + gone + " not found."},
			wrong{"serves nobody", "PUT", amphorae + "/" + stray + "/failover", "", 409, "Amphora " + stray + " serves no load balancer."},
			wrong{"serves nobody", "PUT", amphorae + "/" + stray + "/config", "", 409, "Amphora " + stray + " serves no load balancer."},
			wrong{"serving", "DELETE", amphorae + "/" + one, "", 409, "amphora " + one + " is immutable and cannot be updated."},
			wrong{"lacks id", "DELETE", amphorae, "", 400, `Missing argument: "id"`},
			wrong{"no such action", "PUT", amphorae + "/" + one + "/bogus", "{}", 405, ""},
		)
		const forbidden = "Policy does not allow this request to be performed."
		f.refuse(
			wrong{"not for members", "GET", amphorae + "/" + one + "/stats", "", 403, forbidden},
			wrong{"not for members", "PUT", amphorae + "/" + one + "/failover", "", 403, forbidden},
			wrong{"not for members", "PUT", amphorae + "/" + one + "/config", "", 403, forbidden},
			wrong{"not for members", "DELETE", amphorae + "/" + stray, "", 403, forbidden},
		)
		admin.must(202, "PUT", amphorae+"/"+one+"/config", "")
		rowOf[db.AmphoraRequest](f, one)
		expect(t, f.must(200, "GET", lbs+"/"+lb, ""), "loadbalancer.provisioning_status", `"ACTIVE"`)

		f.setStatus(lb, db.Error)
		admin.refuse(wrong{"load balancer in ERROR", "PUT", amphorae + "/" + one + "/failover", "", 409, "Load Balancer " + lb + " is immutable and cannot be updated."})
		f.setStatus(lb, db.Active)
		admin.must(202, "PUT", amphorae+"/"+one+"/failover", "")
		expect(t, f.must(200, "GET", lbs+"/"+lb, ""), "loadbalancer.provisioning_status", `"PENDING_UPDATE"`)
		expect(t, admin.must(200, "GET", amphorae+"/"+one, ""), "amphora.status", `"ERROR"`)
		for _, id := range []string{one, stray} {
			admin.must(204, "DELETE", amphorae+"/"+id, "")
			expect(t, admin.must(200, "GET", amphorae+"/"+id, ""), "amphora.status", `"PENDING_DELETE"`)
		}
	})
}

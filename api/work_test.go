package api_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/ottavino/ottavino/api"
	"github.com/ottavino/ottavino/db"
)

// fail does what a worker does that gives up: it notes why, about an object, and shows ERROR.
func (f *fixture) fail(lbID string, about db.Event) {
	f.t.Helper()
	leases, err := f.store.Claim(f.t.Context(), "worker", 100, time.Minute)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, l := range leases {
		err := f.store.LeaseTx(f.t.Context(), &l, func(ctx context.Context, tx *db.Tx) error {
			about.LoadBalancerID, about.ProjectID, about.Type = lbID, project, "Warning"
			if err := tx.Emit(ctx, about); err != nil {
				return err
			}
			return tx.GiveUp(ctx, lbID)
		})
		if err == nil {
			err = f.store.Finish(f.t.Context(), &l, db.Outcome{Err: about.Message, Again: time.Hour})
		}
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

// TestReasonOfError: the owner sees why his load balancer is in ERROR, object by object.
func TestReasonOfError(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		t.Helper()
		id := f.create("/v2/lbaas/loadbalancers", `{"loadbalancer": {"vip_subnet_id": "`+subnet+`",
			"listeners": [{"protocol": "HTTP", "protocol_port": 80}]}}`)
		work := "/v2/lbaas/loadbalancers/" + id + "/work"
		expect(t, f.must(http.StatusOK, "GET", work, ""), "work.loadbalancer_id", show(id), "work.state", `"queued"`,
			"work.provisioning_status", `"PENDING_CREATE"`, "work.errors", `[]`, "work.last_error", "null")
		listener, _ := f.must(http.StatusOK, "GET", "/v2/lbaas/loadbalancers/"+id, "").at("loadbalancer.listeners.0.id").(string)
		f.fail(id, db.Event{ObjectKind: "listener", ObjectID: listener, Reason: "AgentRefused", Message: "no such cipher"})
		expect(t, f.must(http.StatusOK, "GET", work, ""), "work.state", `"retrying"`, "work.attempts", "1",
			"work.provisioning_status", `"ERROR"`, "work.last_error.message", `"no such cipher"`,
			"work.errors.0.object_type", `"loadbalancer"`, "work.errors.0.reason", `"AgentRefused"`,
			"work.errors.1.object_id", show(listener), "work.errors.1.message", `"no such cipher"`, "work.errors.2", `"absent"`)
		f.as("member,reader", foreign).must(http.StatusForbidden, "GET", work, "")
		f.must(http.StatusNotFound, "GET", "/v2/lbaas/loadbalancers/"+absent+"/work", "")
	})
}

// TestSteerWork: administrators stop work and let it go on; owners may not, but their next change lets it go on, too.
func TestSteerWork(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		t.Helper()
		id := f.create("/v2/lbaas/loadbalancers", `{"loadbalancer": {"vip_subnet_id": "`+subnet+`"}}`)
		path := "/v2/lbaas/loadbalancers/" + id
		admin := f.admin()
		steer := func(action string) {
			t.Helper()
			admin.must(http.StatusAccepted, "PUT", path+"/work/"+action, "")
		}
		is := func(status, state string) {
			t.Helper()
			expect(t, f.must(http.StatusOK, "GET", path+"/work", ""),
				"work.provisioning_status", show(status), "work.state", show(state))
		}
		for _, action := range []string{"retry", "reset", "cancel"} {
			f.must(http.StatusForbidden, "PUT", path+"/work/"+action, "")
			admin.must(http.StatusNotFound, "PUT", "/v2/lbaas/loadbalancers/"+absent+"/work/"+action, "")
		}
		f.fail(id, db.Event{ObjectKind: "loadbalancer", ObjectID: id, Reason: "CloudQuotaExceeded", Message: "too many"})
		is("ERROR", "retrying")
		steer("retry")
		is("PENDING_UPDATE", "queued")
		steer("cancel")
		steer("cancel")
		is("ERROR", "cancelled")
		expect(t, f.must(http.StatusOK, "GET", path+"/work", ""), "work.errors.0.reason", `"WorkCancelled"`,
			"work.errors.0.count", "1", "work.errors.0.message",
			`"the work was cancelled by someone; it goes on with the next change, or when an administrator retries it"`)
		steer("reset")
		is("PENDING_UPDATE", "queued")
		steer("cancel")
		f.must(http.StatusOK, "PUT", path, `{"loadbalancer": {"name": "again"}}`)
		is("PENDING_UPDATE", "queued")
		f.must(http.StatusNoContent, "DELETE", path, "")
		steer("cancel")
		is("ERROR", "cancelled")
		steer("retry")
		is("PENDING_DELETE", "queued")
		f.setStatus(id, db.Active)
		admin.refuse(wrong{
			"nothing to cancel", "PUT", path + "/work/cancel", "", http.StatusConflict,
			"Load Balancer " + id + " is ACTIVE: there is no work to cancel.",
		})
	}, func(c *api.Config, _ *api.Deps) { c.PendingChanges = db.AcceptPending })
}

package worker_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/sandbox"
	"github.com/ottavino/ottavino/worker"
)

// TestEveryAgentCallFails makes each call to the agent in a load balancer's life fail once, in each way, before and
// after it took effect. Whatever happens, all is ACTIVE in the end, then gone, and nothing is left.
func TestEveryAgentCallFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.vnic = "direct" // which takes all of them
	r.agent.plan(nil)
	reference := r.balancer()
	r.active(reference)
	r.remove(reference)
	calls := r.agent.made()
	for _, op := range []string{"info", "details", "plug VIP", "apply", "rules"} {
		if !slices.Contains(calls, op) {
			t.Fatalf("a life makes the calls %v, want %s among them", calls, op)
		}
	}
	for n, op := range calls {
		for name, err := range map[string]error{
			"no answer": agentError(0, true), "not ready": agentError(404, true), "409": agentError(409, false), "500": agentError(500, false),
		} {
			for _, after := range []bool{false, true} {
				r.agent.plan(func(k int, _ string) (error, bool) {
					if k == n {
						return err, after
					}
					return nil, false
				})
				id := r.balancer()
				r.active(id)
				if !strings.Contains(r.config(id), "10.10.0.250:80") {
					t.Errorf("%s %s: the agent does not run the member", op, name)
				}
				r.remove(id)
			}
		}
	}
}

func TestFailureIsShownAndHeals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.agent.plan(func(_ int, op string) (error, bool) {
		if op == "apply" {
			return agentError(500, false), false
		}
		return nil, false
	})
	id := r.balancer()
	r.until("the load balancer is in ERROR", func() bool { return r.tree(id).LoadBalancer.ProvisioningStatus == db.Error })
	if got := r.reasons(id); !strings.Contains(got, "AgentRefused") {
		t.Errorf("got events %s, want AgentRefused", got)
	}
	r.agent.plan(nil)
	r.active(id)
	r.remove(id)
}

func TestServerInErrorIsBuiltAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cloud.FailBuild("No valid host was found.")
	id := r.balancer()
	r.active(id)
	if got := r.reasons(id); !strings.Contains(got, "ServerBuildFailed") {
		t.Errorf("got events %s, want ServerBuildFailed", got)
	}
	r.until("the failed server is gone", func() bool { return len(r.cloud.Servers("amphora-")) == 1 })
	r.remove(id)
}

// TestUnansweredCreateIsRemembered: of a server whose creation was not answered all is known that of others is, above all when its
// certificate expires: nobody renews one that expires never.
func TestUnansweredCreateIsRemembered(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.ClientCA = func() ([]byte, error) { return []byte("a CA"), nil } })
	r.cloud.Inject(sandbox.Fault{Method: "POST", Path: "/servers$", AfterEffect: true, Drop: true, Times: 1})
	id := r.balancer()
	r.active(id)
	a := r.tree(id).Amphorae[0]
	if a.CertExpiration == nil || a.ImageID == nil || a.ComputeFlavor == nil {
		t.Errorf("got certificate until %v, image %v, flavor %v, want them known", a.CertExpiration, a.ImageID, a.ComputeFlavor)
	}
	if n := len(r.cloud.Servers("amphora-")); n != 1 {
		t.Errorf("got %d servers, want 1", n)
	}
	r.remove(id)
}

// TestWaitForNovaIsNotTheServers: time that passed before a server could be asked for is not taken from its own.
func TestWaitForNovaIsNotTheServers(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.ServerBudget = 500 * time.Millisecond })
	heal := r.cloud.Inject(sandbox.Fault{Method: "POST", Path: "/servers$", Status: 403, Body: `{"forbidden": {"message": "Quota exceeded for cores", "code": 403}}`})
	id := r.balancer()
	r.until("the row is older than a server may become", func() bool {
		all := r.tree(id).Amphorae
		return len(all) > 0 && all[0].CreatedAt != nil && time.Since(*all[0].CreatedAt) > time.Second
	})
	r.cloud.Inject(sandbox.Fault{Method: "GET", Path: "/servers/[^?]*$", Times: 3, Status: 200, Body: `{"server": {"id": "x", "status": "BUILD", "addresses": {}}}`})
	heal()
	r.active(id)
	if got := r.reasons(id); strings.Contains(got, "ServerBuildTimeout") {
		t.Errorf("got events %s, want the first server to be waited for", got)
	}
	r.remove(id)
}

// TestServerWithoutAddress: one that Nova says is ACTIVE, but on no network of ours, is not waited for without end.
func TestServerWithoutAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.ServerBudget = 50 * time.Millisecond })
	heal := r.cloud.Inject(sandbox.Fault{Method: "GET", Path: "/os-interface", Status: 200, Body: `{"interfaceAttachments": []}`})
	id := r.balancer()
	r.until("the owner is told", func() bool { return strings.Contains(r.reasons(id), "ServerWithoutAddress") })
	heal()
	r.active(id)
	r.until("the first server is gone", func() bool { return len(r.cloud.Servers("amphora-")) == 1 })
	r.remove(id)
}

// TestBuildLimit: no more servers build at once than may, whoever asks first is not forgotten, and the owner is told of a long wait.
func TestBuildLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) {
		c.BuildLimit, c.BuildWaitMax, c.BuildBudget = 2, 5*time.Millisecond, 50*time.Millisecond
		c.RetryBudget = 1000
	})
	heal := r.cloud.Inject(sandbox.Fault{Method: "GET", Path: "/servers/[^/?]+$", Status: 503})
	var ids []string
	for range 6 {
		ids = append(ids, r.balancer())
	}
	servers := func() int { return len(r.cloud.Servers("amphora-")) }
	r.until("two build", func() bool { return servers() == 2 })
	r.until("an owner is told", func() bool {
		return slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(r.reasons(id), "BuildLimitReached") })
	})
	if n := servers(); n != 2 {
		t.Errorf("%d servers build, want 2", n)
	}
	heal()
	for _, id := range ids {
		r.active(id)
	}
	// Who is refused by Nova does not keep others from asking.
	heal = r.cloud.Inject(sandbox.Fault{Method: "POST", Path: "/servers$", Status: 403, Body: `{"forbidden": {"message": "Quota exceeded", "code": 403}}`})
	refused := []string{r.balancer(), r.balancer(), r.balancer()}
	r.until("all owners are told of the quota", func() bool {
		return !slices.ContainsFunc(refused, func(id string) bool { return !strings.Contains(r.reasons(id), "CloudQuotaExceeded") })
	})
	heal()
	ids = append(ids, refused...)
	for _, id := range ids {
		r.active(id)
	}
	for _, id := range ids[:len(ids)-1] {
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, _, err := tx.BeginDelete(ctx, id, db.AcceptPending)
			return err
		})
	}
	r.until("the others are DELETED", func() bool {
		return !slices.ContainsFunc(ids[:len(ids)-1], func(id string) bool { return r.tree(id).LoadBalancer.ProvisioningStatus != db.Deleted })
	})
	r.remove(ids[len(ids)-1])
}

func TestDeadAmphoraIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	r.active(id)
	old := r.tree(id).Amphorae[0]
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.BeginChange(ctx, id, db.AcceptPending); err != nil {
			return err
		}
		old.Status = db.Error
		return db.Update(ctx, tx, &old, "status")
	})
	r.until("another amphora serves alone", func() bool {
		t := r.tree(id)
		return len(t.Amphorae) == 1 && t.Amphorae[0].ID != old.ID && t.Amphorae[0].Status == db.Allocated
	})
	r.active(id)
	if !strings.Contains(r.config(id), "10.10.0.250:80") {
		t.Error("the successor does not run the member")
	}
	r.remove(id)
}

// TestAgentIsConfigured: an administrator's wish reaches the agent, also when that refuses at first.
func TestAgentIsConfigured(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	r.active(id)
	a := r.tree(id).Amphorae[0]
	r.agent.plan(func(n int, op string) (error, bool) {
		if op == "config" && n < 10 {
			return agentError(500, false), false
		}
		return nil, false
	})
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if err := tx.RequestConfig(ctx, a.ID); err != nil {
			return err
		}
		return tx.Schedule(ctx, id, tx.Now())
	})
	r.until("the agent is configured", func() bool { return strings.Contains(r.reasons(id), "AgentConfigured") })
	r.agent.mu.Lock()
	if !strings.Contains(r.agent.uploaded, "amphora_id = "+a.ID) {
		t.Errorf("the agent got %q, want its id in it", r.agent.uploaded)
	}
	r.agent.mu.Unlock()
	if status := r.tree(id).LoadBalancer.ProvisioningStatus; status != db.Active {
		t.Errorf("the load balancer is %s meanwhile", status)
	}
	r.remove(id)
}

// TestStrandedRowsAreTaken: what another service left pending when it was stopped is finished, as
// long as it is a matter of amphorae.
func TestStrandedRowsAreTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.AdoptInterval = 5 * time.Millisecond })
	foreign := uuid.NewString()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		return db.Insert(ctx, tx, &db.LoadBalancer{
			ID: foreign, ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline, Provider: ptr("ovn"),
		})
	})
	id := r.balancer()
	r.active(id)
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		lb, err := db.Get[db.LoadBalancer](ctx, tx, id)
		if err != nil {
			return err
		}
		lb.ProvisioningStatus = db.PendingUpdate
		if err := db.Update(ctx, tx, lb, "provisioning_status"); err != nil {
			return err
		}
		return tx.ForgetWork(ctx, id)
	})
	r.active(id)
	if got := r.tree(foreign).LoadBalancer.ProvisioningStatus; got != db.PendingCreate {
		t.Errorf("another provider's load balancer is %s, want it left alone", got)
	}
	r.remove(id)
}

// TestNoVIP: a load balancer whose creation another service did not finish says so, and nothing is built for it; it can be deleted.
func TestNoVIP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := uuid.NewString()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		err := db.Insert(ctx, tx, &db.LoadBalancer{
			ID: id, ProjectID: ptr(r.cloud.Settings().Tenant.ProjectID), ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline, Provider: ptr("amphora"),
		})
		if err != nil {
			return err
		}
		return tx.Touch(ctx, id)
	})
	r.until("the load balancer is in ERROR", func() bool { return r.tree(id).LoadBalancer.ProvisioningStatus == db.Error })
	if got := r.reasons(id); !strings.Contains(got, "VIPWithoutAddress") {
		t.Errorf("got events %s, want VIPWithoutAddress", got)
	}
	if n := len(r.tree(id).Amphorae); n != 0 {
		t.Errorf("%d amphorae are made in vain", n)
	}
	r.remove(id)
}

// failOver asks for a failover as the API does, and returns the id of the amphora that has to go.
func (r *rig) failOver(id string) string {
	r.t.Helper()
	old := r.tree(id).Amphorae[0].ID
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.BeginFailover(ctx, id, db.AcceptPending); err != nil {
			return err
		}
		a, err := db.Get[db.Amphora](ctx, tx, old)
		if err != nil {
			return err
		}
		a.Status = db.Error
		return db.Update(ctx, tx, a, "status")
	})
	return old
}

// TestFailoverEndsWithoutTheOld: a load balancer that is ACTIVE after a failover has no amphora from before.
func TestFailoverEndsWithoutTheOld(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	r.active(id)
	old := r.failOver(id)
	r.active(id)
	if now := r.tree(id).Amphorae; len(now) != 1 || now[0].ID == old {
		t.Errorf("got %d amphorae, the first is %s, want one that is not %s", len(now), now[0].ID, old)
	}
	r.remove(id)
}

// TestUndeletableServerLocksNothing: when Nova does not delete the old server, the load balancer is ACTIVE all the same,
// and the server goes when it can.
func TestUndeletableServerLocksNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.RemovalPatience = time.Nanosecond })
	id := r.balancer()
	r.active(id)
	server := *r.tree(id).Amphorae[0].ComputeID
	heal := r.cloud.Inject(sandbox.Fault{Method: "GET", Path: "/servers/" + server, Status: 200, Body: `{"server": {"id": "` + server +
		`", "status": "ACTIVE", "OS-EXT-STS:task_state": "deleting", "addresses": {}}}`})
	old := r.failOver(id)
	r.active(id)
	if now := r.tree(id).Amphorae; len(now) != 2 {
		t.Errorf("got %d amphorae, want the new one and the one that does not go", len(now))
	}
	heal()
	r.until("the old amphora is gone", func() bool {
		now := r.tree(id).Amphorae
		return len(now) == 1 && now[0].ID != old
	})
	r.remove(id)
}

// TestLockedServerIsReplaced: Nova refuses to delete the old server. The new amphora serves all the same, and the old one has the VIP
// no more.
func TestLockedServerIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.RemovalPatience = time.Nanosecond })
	id := r.balancer()
	r.active(id)
	port := *r.tree(id).Amphorae[0].VRRPPortID
	heal := r.cloud.Inject(sandbox.Fault{Method: "DELETE", Path: "/servers/", Status: 409, Body: `{"conflictingRequest": {"message": "Instance is locked", "code": 409}}`})
	old := r.failOver(id)
	r.active(id)
	now := r.tree(id).Amphorae
	if len(now) != 2 || !strings.Contains(r.config(id), "10.10.0.250:80") {
		t.Errorf("got %d amphorae, want the old one and one that serves", len(now))
	}
	if !r.called("DELETE", "/ports/"+port) {
		t.Error("the old amphora keeps its port")
	}
	if got := r.reasons(id); !strings.Contains(got, "CloudConflict") {
		t.Errorf("got events %s, want CloudConflict", got)
	}
	heal()
	r.until("the old amphora is gone", func() bool {
		now := r.tree(id).Amphorae
		return len(now) == 1 && now[0].ID != old
	})
	r.remove(id)
}

// called says that a call was made of the cloud.
func (r *rig) called(method, path string) bool {
	return slices.ContainsFunc(r.cloud.Calls(), func(c sandbox.Call) bool { return c.Method == method && strings.Contains(c.Path, path) })
}

// TestUndeletedServerIsTold: Nova says yes to a delete and does nothing. The owner is told, and it is asked again.
func TestUndeletedServerIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.ServerBudget = 50 * time.Millisecond })
	id := r.balancer()
	r.active(id)
	server := *r.tree(id).Amphorae[0].ComputeID
	heal := r.cloud.Inject(sandbox.Fault{Method: "GET", Path: "/servers/" + server, Status: 200, Body: `{"server": {"id": "` + server +
		`", "status": "ACTIVE", "OS-EXT-STS:task_state": "deleting", "addresses": {}}}`})
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := tx.BeginDelete(ctx, id, db.AcceptPending)
		return err
	})
	r.until("the owner is told", func() bool { return strings.Contains(r.reasons(id), "ServerNotDeleted") })
	heal()
	r.until("the load balancer is DELETED", func() bool { return r.tree(id).LoadBalancer.ProvisioningStatus == db.Deleted })
	if left, err := r.cloud.Leaks(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("left in the cloud: %v %v", left, err)
	}
}

func TestDriftIsRepaired(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.DriftInterval = 20 * time.Millisecond })
	id := r.balancer()
	r.active(id)
	a := r.tree(id).Amphorae[0]
	r.cloud.RemovePort(*a.VRRPPortID)
	r.until("the base port is made again", func() bool {
		now := r.tree(id).Amphorae[0]
		return now.VRRPPortID != nil && *now.VRRPPortID != *a.VRRPPortID
	})
	r.cloud.RemoveServer(*a.ComputeID)
	r.until("another amphora serves", func() bool {
		t := r.tree(id)
		return len(t.Amphorae) == 1 && t.Amphorae[0].ID != a.ID && t.Amphorae[0].Status == db.Allocated
	})
	r.remove(id)
}

// TestBlameIsNarrow: a listener that cannot be applied is in ERROR with a reason; its sibling serves.
func TestBlameIsNarrow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	r.active(id)
	bad := uuid.NewString()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.BeginChange(ctx, id, db.AcceptPending); err != nil {
			return err
		}
		return db.Insert(ctx, tx, r.listener(bad, id, "TERMINATED_HTTPS", 443, nil))
	})
	r.until("the load balancer is ACTIVE and the listener in ERROR", func() bool {
		tree := r.tree(id)
		status := map[string]string{}
		for _, l := range tree.Listeners {
			status[l.Protocol] = l.ProvisioningStatus
		}
		return tree.LoadBalancer.ProvisioningStatus == db.Active && status["TERMINATED_HTTPS"] == db.Error && status["HTTP"] == db.Active
	})
	if got := r.reasons(id); !strings.Contains(got, "NotApplicable") {
		t.Errorf("got events %s, want NotApplicable", got)
	}
	r.remove(id)
}

// TestRecordWithoutRowsIsSwept: a create that died between its record and its rows leaves nothing.
func TestRecordWithoutRowsIsSwept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := uuid.NewString()
	if err := r.cloud.AddPort("octavia-lb-"+id, "Octavia"); err != nil {
		t.Fatal(err)
	}
	r.tx(func(ctx context.Context, tx *db.Tx) error { return tx.Schedule(ctx, id, time.Now()) })
	r.until("the port is gone", func() bool {
		left, err := r.cloud.Leaks(t.Context())
		return err == nil && len(left) == 0
	})
}

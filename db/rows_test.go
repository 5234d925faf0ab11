package db_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/db"
)

// get reads a row that must be there.
func get[M any](w *world, id string) *M {
	w.t.Helper()
	var row *M
	w.see(func(ctx context.Context, tx *db.Tx) (err error) {
		row, err = db.Get[M](ctx, tx, id)
		return err
	})
	return row
}

func TestInsertAndGet(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		want := w.listener(lb, 80)
		want.InsertHeaders = db.InsertHeaders{"X-Forwarded-For": "true", "X-Ünï": ""}
		want.HSTSPreload = ptr(false)
		must(w, &db.Listener{
			ID: w.id(), Protocol: "TCP", ProvisioningStatus: db.Active, OperatingStatus: db.Online,
			ClientAuthentication: "NONE", InsertHeaders: db.InsertHeaders{},
		})
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			return db.Update(ctx, tx, want, "insert_headers", "hsts_preload")
		})
		got := get[db.Listener](w, want.ID)
		if diff := cmp.Diff(want, got); diff != "" {
			w.t.Errorf("what is read differs from what was written:\n%s", diff)
		}
		created := time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)
		if !got.CreatedAt.Equal(created) || !got.UpdatedAt.Equal(created) {
			w.t.Errorf("got times %v and %v, want the clock's second in UTC, %v", got.CreatedAt, got.UpdatedAt, created)
		}
		local := time.Date(2026, 3, 1, 14, 0, 0, 0, time.FixedZone("X", 7200))
		fine := local.Add(900 * time.Millisecond)
		amp := must(w, &db.Amphora{ID: w.id(), Status: db.Allocated, CertExpiration: &fine})
		if got := get[db.Amphora](w, amp.ID); !got.CertExpiration.Equal(local) {
			w.t.Errorf("got certificate until %v, want %v", got.CertExpiration, local)
		}
		w.see(func(ctx context.Context, tx *db.Tx) error {
			rows, err := db.Where[db.Amphora](ctx, tx, "cert_expiration < ?", local.Add(time.Second))
			if len(rows) != 1 {
				w.t.Errorf("got %d amphorae that expire before a local time, want 1", len(rows))
			}
			return err
		})
	})
}

func TestUpdate(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		update := func(row *db.LoadBalancer, columns ...string) error {
			return w.Tx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return db.Update(ctx, tx, row, columns...)
			})
		}
		changed := *lb
		changed.Name, changed.Enabled, changed.Description = nil, false, ptr("not named")
		for range 2 { // the second changes nothing, yet finds its row
			if err := update(&changed, "name", "enabled"); err != nil {
				w.t.Fatal(err)
			}
		}
		got := get[db.LoadBalancer](w, lb.ID)
		if got.Name != nil || got.Enabled || got.Description != nil || got.UpdatedAt == nil {
			w.t.Errorf("got %+v, want name and enabled zero, description as it was, updated_at set", got)
		}
		if err := update(&db.LoadBalancer{ID: "x"}); err != nil {
			w.t.Errorf("update of no columns: %v", err)
		}
		_ = wantError[*db.NotFoundError](w.t, update(&db.LoadBalancer{ID: "x"}, "enabled"))
		_ = wantError[*db.UnknownColumnError](w.t, update(lb, "nonsense"))
	})
}

func TestErrorsOfRows(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		l := w.listener(lb, 80)
		for want, fn := range map[string]func(context.Context, *db.Tx) error{
			"PRIMARY": func(ctx context.Context, tx *db.Tx) error {
				return db.Insert(ctx, tx, &db.LoadBalancer{ID: lb.ID, ProvisioningStatus: db.Active, OperatingStatus: db.Online})
			},
			"uq_listener_load_balancer_id_protocol_port": func(ctx context.Context, tx *db.Tx) error {
				twin := *l
				twin.ID = "other"
				return db.Insert(ctx, tx, &twin)
			},
			"uq_flavor_name": func(ctx context.Context, tx *db.Tx) error {
				nobody := "00000000-0000-0000-0000-000000000000"
				err := db.Insert(ctx, tx, &db.Flavor{ID: "a", Name: "n", FlavorProfileID: nobody})
				return errors.Join(err, db.Insert(ctx, tx, &db.Flavor{ID: "b", Name: "n", FlavorProfileID: nobody}))
			},
		} {
			err := w.Tx(w.t.Context(), fn)
			if e := wantError[*db.DuplicateError](w.t, err); e.Key != want {
				w.t.Errorf("got key %q, want %q", e.Key, want)
			}
		}
		err := w.Read(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := db.Get[db.HealthMonitor](ctx, tx, "nope")
			return err
		})
		if e := wantError[*db.NotFoundError](w.t, err); e.Resource != "healthmonitor" || e.ID != "nope" {
			w.t.Errorf("got %+v", e)
		}
		err = w.Read(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return db.Insert(ctx, tx, &db.Tag{ResourceID: "a", Tag: "b"})
		})
		if err == nil {
			w.t.Error("a reading transaction wrote")
		}
	})
}

// TestReadDoesNotWait reads while a writer holds what is read.
func TestReadDoesNotWait(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			if _, err := tx.BeginChange(ctx, lb.ID, db.RejectPending); err != nil {
				return err
			}
			if got := get[db.LoadBalancer](w, lb.ID); got.ProvisioningStatus != db.Active {
				w.t.Errorf("read %s from a transaction under way", got.ProvisioningStatus)
			}
			return nil
		})
		if got := get[db.LoadBalancer](w, lb.ID); got.ProvisioningStatus != db.PendingUpdate {
			w.t.Errorf("got %s after the commit", got.ProvisioningStatus)
		}
	})
}

// furnish gives a load balancer something of everything and returns it.
func furnish(w *world) *db.LoadBalancer {
	w.t.Helper()
	lb := w.balancer("p", db.Active)
	must(w, &db.VIP{LoadBalancerID: lb.ID, IPAddress: ptr("192.0.2.1"), VNICType: "normal"})
	must(w, &db.AdditionalVIP{LoadBalancerID: lb.ID, SubnetID: "s2"})
	must(w, &db.AdditionalVIP{LoadBalancerID: lb.ID, SubnetID: "s1"})
	must(w, &db.VRRPGroup{LoadBalancerID: lb.ID})
	p := w.pool(lb)
	w.member(p, "192.0.2.12")
	w.member(p, "192.0.2.11")
	must(w, &db.HealthMonitor{
		ID: w.id(), PoolID: p.ID, Type: "HTTP", ProvisioningStatus: db.Active, OperatingStatus: db.Online, HTTPVersion: ptr(1.1),
	})
	must(w, &db.SessionPersistence{PoolID: p.ID, Type: "SOURCE_IP"})
	l := w.listener(lb, 80)
	second, first := w.policy(l, 2), w.policy(l, 1)
	w.rule(first)
	w.rule(second)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		l.DefaultPoolID, first.RedirectPoolID = &p.ID, &p.ID
		return errors.Join(
			db.Update(ctx, tx, l, "default_pool_id"),
			db.Update(ctx, tx, first, "redirect_pool_id"),
			tx.SetTags(ctx, lb.ID, []string{"b", "a", "b"}),
			tx.SetTags(ctx, first.ID, []string{"deep"}),
			tx.SetSNIs(ctx, l.ID, []string{"ref2", "ref1"}),
			tx.SetCIDRs(ctx, l.ID, []string{"2001:db8::/32", "192.0.2.0/24"}),
			tx.SetVIPSecurityGroups(ctx, lb.ID, []string{"sg2", "sg1"}),
			tx.AddStatistics(ctx, []db.ListenerStatistics{{ListenerID: l.ID, AmphoraID: "a"}}),
			tx.Emit(ctx, db.Event{LoadBalancerID: lb.ID}),
		)
	})
	return lb
}

func TestDeleteTakesAllAlong(t *testing.T) {
	each(t, func(w *world) {
		lb := furnish(w)
		stays := furnish(w)
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			return errors.Join(db.Delete[db.LoadBalancer](ctx, tx, lb.ID), db.Delete[db.LoadBalancer](ctx, tx, lb.ID))
		})
		for table, want := range map[string]string{
			"load_balancer": "1", "vip": "1", "additional_vip": "2", "vip_security_group": "2", "vrrp_group": "1", "pool": "1",
			"member": "2", "health_monitor": "1", "session_persistence": "1", "listener": "1", "l7policy": "2", "l7rule": "2",
			"tags": "3", "sni": "2", "listener_cidr": "2", "listener_statistics": "1", "ottavino_event": "1",
		} {
			if got := texts(w.t, w.Store, "SELECT COUNT(*) FROM "+table); got[0] != want {
				w.t.Errorf("%s: got %s rows left, want the other load balancer's %s", table, got[0], want)
			}
		}
		pool := texts(w.t, w.Store, "SELECT id FROM pool")[0]
		w.tx(func(ctx context.Context, tx *db.Tx) error { return db.Delete[db.Pool](ctx, tx, pool) })
		got := texts(w.t, w.Store, "SELECT default_pool_id FROM listener UNION ALL SELECT redirect_pool_id FROM l7policy")
		if !slices.Equal(got, []string{"", "", ""}) {
			w.t.Errorf("got %q, want no reference to the deleted pool", got)
		}
		get[db.LoadBalancer](w, stays.ID)
	})
}

func TestTree(t *testing.T) {
	each(t, func(w *world) {
		lb := furnish(w)
		must(w, &db.FlavorProfile{ID: "fp", Name: "n", ProviderName: "amphora", FlavorData: "{}"})
		must(w, &db.Flavor{ID: "f", Name: "n", FlavorProfileID: "fp"})
		lb.FlavorID = ptr("f")
		w.tx(func(ctx context.Context, tx *db.Tx) error { return db.Update(ctx, tx, lb, "flavor_id") })
		a := w.amphora(lb, db.Allocated)
		gone := w.amphora(lb, db.Deleted)
		must(w, &db.AmphoraMemberPort{PortID: "mp", AmphoraID: a.ID})
		must(w, &db.AmphoraMemberPort{PortID: "old", AmphoraID: gone.ID})
		queries := 0
		if err := w.OnRead(func() { queries++ }); err != nil {
			w.t.Fatal(err)
		}
		tree := func() *db.Tree {
			queries = 0
			var tree *db.Tree
			w.see(func(ctx context.Context, tx *db.Tx) (err error) {
				tree, err = tx.Tree(ctx, lb.ID)
				return err
			})
			return tree
		}
		got := tree()
		assertTree(w.t, got)
		few := queries
		for i := range 20 {
			p := w.pool(lb)
			w.member(p, "192.0.2.1")
			w.rule(w.policy(w.listener(lb, 8000+i), 1))
		}
		if got := tree(); len(got.Listeners) != 21 || len(got.Pools) != 21 || queries != few || few == 0 {
			w.t.Errorf("got %d listeners, %d pools by %d queries; want 21, 21 by %d", len(got.Listeners), len(got.Pools), queries, few)
		}
	})
}

func assertTree(t *testing.T, got *db.Tree) {
	t.Helper()
	l, p := got.Listeners[0], got.Pools[0]
	type flat struct {
		VIP, Flavor, Default, Amphora, Port string
		VIPs, SGs, SNIs, CIDRs, Members     []string
		Positions                           []int
		Rules                               int
	}
	have := flat{
		VIP: *got.VIP.IPAddress, Flavor: got.Flavor.ID, Default: *l.DefaultPoolID, Amphora: got.Amphorae[0].Status,
		Port: got.MemberPorts[0].PortID, SGs: got.VIPSGs, CIDRs: l.CIDRs,
	}
	for _, v := range got.AdditionalVIPs {
		have.VIPs = append(have.VIPs, v.SubnetID)
	}
	for _, s := range l.SNIs {
		have.SNIs = append(have.SNIs, s.TLSContainerID)
	}
	for _, m := range p.Members {
		have.Members = append(have.Members, *m.IPAddress)
	}
	for _, pol := range l.Policies {
		have.Positions = append(have.Positions, pol.Position)
		have.Rules += len(pol.Rules)
	}
	want := flat{
		VIP: "192.0.2.1", Flavor: "fp", Default: p.ID, Amphora: db.Allocated, Port: "mp",
		VIPs: []string{"s1", "s2"}, SGs: []string{"sg1", "sg2"}, SNIs: []string{"ref1", "ref2"},
		CIDRs: []string{"192.0.2.0/24", "2001:db8::/32"}, Members: []string{"192.0.2.12", "192.0.2.11"},
		Positions: []int{1, 2}, Rules: 2,
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
	if len(got.Amphorae) != 1 || len(got.MemberPorts) != 1 || got.VRRP == nil || p.Persistence == nil || *p.Monitor.HTTPVersion != 1.1 {
		t.Errorf("got tree %+v", got)
	}
}

func TestPlacePolicy(t *testing.T) {
	each(t, func(w *world) {
		l := w.listener(w.balancer("p", db.Active), 80)
		var ids []string
		for range 4 {
			ids = append(ids, w.policy(l, 2147483647).ID)
		}
		order := func(id string, position *int) []string {
			w.tx(func(ctx context.Context, tx *db.Tx) error { return tx.PlacePolicy(ctx, l.ID, id, position) })
			got := texts(w.t, w.Store, "SELECT id FROM l7policy ORDER BY position")
			if p := texts(w.t, w.Store, "SELECT position FROM l7policy ORDER BY position"); !slices.Equal(p, []string{"1", "2", "3", "4"}) {
				w.t.Errorf("got positions %v, want 1 to 4", p)
			}
			return got
		}
		for _, c := range []struct {
			id       int
			position *int
			want     []int
		}{
			{-1, nil, []int{0, 1, 2, 3}}, {3, ptr(1), []int{3, 0, 1, 2}}, {3, ptr(3), []int{0, 1, 3, 2}},
			{0, nil, []int{1, 3, 2, 0}}, {2, ptr(99), []int{1, 3, 0, 2}}, {2, ptr(0), []int{2, 1, 3, 0}},
		} {
			id := ""
			if c.id >= 0 {
				id = ids[c.id]
			}
			var want []string
			for _, i := range c.want {
				want = append(want, ids[i])
			}
			if got := order(id, c.position); !slices.Equal(got, want) {
				w.t.Errorf("placing %d: got %v, want %v", c.id, got, want)
			}
		}
	})
}

func TestPeerPortAndUsers(t *testing.T) {
	each(t, func(w *world) {
		lb := w.balancer("p", db.Active)
		p := w.pool(lb)
		byDefault, byPolicy, byNothing, off := w.listener(lb, 1), w.listener(lb, 2), w.listener(lb, 3), w.listener(lb, 4)
		redirecting, disabled, bare := w.policy(byPolicy, 1), w.policy(off, 1), w.policy(byNothing, 1)
		w.rule(redirecting)
		w.rule(disabled)
		disabled.Enabled, byDefault.DefaultPoolID, byDefault.PeerPort = false, &p.ID, ptr(1030)
		redirecting.RedirectPoolID, disabled.RedirectPoolID, bare.RedirectPoolID = &p.ID, &p.ID, &p.ID
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			if port, err := tx.PeerPort(ctx, lb.ID); err != nil || port != 1025 {
				w.t.Errorf("got %d, %v, want 1025 for the first listener", port, err)
			}
			err := db.Update(ctx, tx, byDefault, "default_pool_id", "peer_port")
			for _, x := range []*db.L7Policy{redirecting, disabled, bare} {
				err = errors.Join(err, db.Update(ctx, tx, x, "redirect_pool_id", "enabled"))
			}
			if port, e := tx.PeerPort(ctx, lb.ID); e != nil || port != 1031 {
				w.t.Errorf("got %d, %v, want the highest and one more", port, e)
			}
			users, e := tx.ListenersOfPool(ctx, p.ID)
			if want := []string{byDefault.ID, byPolicy.ID}; !slices.Equal(users, want) {
				w.t.Errorf("got users %v, want %v", users, want)
			}
			root, e2 := tx.LoadBalancerOf(ctx, db.KindL7Policy, bare.ID)
			if root != lb.ID {
				w.t.Errorf("got root %q, want %q", root, lb.ID)
			}
			return errors.Join(err, e, e2)
		})
	})
}

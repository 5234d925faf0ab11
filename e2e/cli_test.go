package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/db/dbtest"
)

// TestDebianClient works as a tenant with Debian's openstack client: create, show, list, update and
// delete of each of the five resources with --wait, and the status tree.
func TestDebianClient(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	cli := l.client(t, l.sandbox.Settings().Tenant)

	lb := cli.object("create", "--name", "web", "--vip-subnet-id", l.subnetID(), "--wait")
	cli.want(lb, "provisioning_status", "ACTIVE")
	listener := cli.object("listener", "create", "--name", "http", "--protocol", "HTTP", "--protocol-port", "80", "--wait", "web")
	cli.want(listener, "protocol_port", 80)
	pool := cli.object("pool", "create", "--name", "servers", "--lb-algorithm", "ROUND_ROBIN",
		"--listener", "http", "--protocol", "HTTP", "--session-persistence", "type=SOURCE_IP", "--wait")
	cli.want(pool, "lb_algorithm", "ROUND_ROBIN")
	member := cli.object("member", "create", "--name", "one", "--address", "10.10.10.250", "--protocol-port", "80",
		"--subnet-id", l.subnetID(), "--wait", "servers")
	cli.want(member, "address", "10.10.10.250")
	monitor := cli.object("healthmonitor", "create", "--name", "alive", "--delay", "5", "--timeout", "3", "--max-retries", "2",
		"--type", "HTTP", "--url-path", "/alive", "--wait", "servers")
	cli.want(monitor, "url_path", "/alive")

	for _, c := range []struct {
		set, show []string
		key       string
		value     any
	}{
		{[]string{"set", "--description", "a shop", "--wait", "web"}, []string{"show", "web"}, "description", "a shop"},
		{[]string{"listener", "set", "--connection-limit", "500", "--wait", "http"}, []string{"listener", "show", "http"}, "connection_limit", 500},
		{[]string{"pool", "set", "--lb-algorithm", "LEAST_CONNECTIONS", "--wait", "servers"}, []string{"pool", "show", "servers"}, "lb_algorithm", "LEAST_CONNECTIONS"},
		{[]string{"member", "set", "--weight", "9", "--wait", "servers", "one"}, []string{"member", "show", "servers", "one"}, "weight", 9},
		{[]string{"healthmonitor", "set", "--delay", "7", "--wait", "alive"}, []string{"healthmonitor", "show", "alive"}, "delay", 7},
	} {
		cli.run(c.set...)
		shown := cli.object(c.show...)
		cli.want(shown, c.key, c.value)
		cli.want(shown, "provisioning_status", "ACTIVE")
	}
	for _, list := range [][]string{{"list"}, {"listener", "list"}, {"pool", "list"}, {"member", "list", "servers"}, {"healthmonitor", "list"}} {
		var rows []map[string]any
		cli.decode(&rows, list...)
		if len(rows) != 1 {
			t.Errorf("openstack loadbalancer %s: got %d rows, want 1", strings.Join(list, " "), len(rows))
		}
	}

	var tree struct {
		LoadBalancer struct {
			Name      string `json:"name"`
			Listeners []struct {
				Pools []struct {
					Members []struct{ Address string } `json:"members"`
				} `json:"pools"`
			} `json:"listeners"`
		} `json:"loadbalancer"`
	}
	if err := json.Unmarshal([]byte(cli.run("status", "show", "web")), &tree); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%+v", tree.LoadBalancer); got != "{Name:web Listeners:[{Pools:[{Members:[{Address:10.10.10.250}]}]}]}" {
		t.Errorf("status tree: got %s", got)
	}

	l.amphoraCommands(lb)

	for _, gone := range [][]string{
		{"healthmonitor", "delete", "--wait", "alive"}, {"member", "delete", "--wait", "servers", "one"},
		{"pool", "delete", "--wait", "servers"}, {"listener", "delete", "--wait", "http"}, {"delete", "--wait", "web"},
	} {
		cli.run(gone...)
	}
	var rows []map[string]any
	if cli.decode(&rows, "list"); len(rows) != 0 {
		t.Errorf("after delete: got %v, want no load balancer", rows)
	}
	l.assertNoLeaks()
}

// amphoraCommands looks at the statistics of a load balancer's amphora, then has it fail and removes it.
func (l *lab) amphoraCommands(lb map[string]any) {
	l.t.Helper()
	admin := l.client(l.t, l.sandbox.Settings().Admin)
	id := fmt.Sprint(admin.row("amphora", "list", "--loadbalancer", fmt.Sprint(lb["id"]))["id"])
	within(l.t, 30*time.Second, "the amphora has sent statistics", func() bool {
		_, err := admin.try("amphora", "stats", "show", id)
		return err == nil
	})
	admin.want(admin.object("amphora", "stats", "show", "--listener", "http", id), "request_errors", 0)

	store := dbtest.Open(l.t, db.Config{URL: l.db})
	err := store.Tx(l.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		a, err := db.Get[db.Amphora](ctx, tx, id)
		if err != nil {
			return err
		}
		a.Status = db.Error
		return db.Update(ctx, tx, a, "status")
	})
	if err != nil {
		l.t.Fatal(err)
	}
	admin.run("amphora", "delete", "--wait", id)
	if out, err := admin.try("amphora", "show", id); err == nil {
		l.t.Errorf("after delete: got %s", out)
	}
	within(l.t, 30*time.Second, "another amphora serves", func() bool {
		return admin.row("amphora", "list", "--loadbalancer", fmt.Sprint(lb["id"]))["status"] == "ALLOCATED"
	})
}

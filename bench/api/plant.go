package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// What is planted: projects of so many load balancers each. Each load balancer has a VIP, a listener, a pool, two members and
// a health monitor; the first of all has manyMembers instead.
const (
	listed      = 50 // load balancers of the list that is measured with several clients
	manyMembers = 100
	members     = 2
)

// listSizes are the lists by which growth is judged.
var listSizes = []int{10, 100, 1000}

// Kinds of objects, as their ids begin.
const (
	project = iota + 1
	balancer
	listener
	pool
	member
	monitor
	subnet
)

// id is the id of the n-th object of a kind, on all servers.
func id(kind, n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", kind, n) }

// projectOf is the project that has n load balancers.
func projectOf(n int) string { return id(project, n) }

// plant fills a database.
func plant(ctx context.Context, db *sql.DB) error {
	t := map[string]*table{}
	for _, name := range order {
		t[name] = &table{name: name}
	}
	n := 0
	for _, size := range append([]int{listed}, listSizes...) {
		for range size {
			plantBalancer(t, n, projectOf(size))
			n++
		}
	}
	for _, name := range order {
		if err := t[name].insert(ctx, db); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// order is that in which rows may name each other.
var order = []string{"load_balancer", "vip", "pool", "listener", "member", "health_monitor"}

// planted is the moment at which all rows were made.
var planted = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)

func plantBalancer(t map[string]*table, n int, projectID string) {
	alike := row{
		"project_id": projectID, "enabled": true, "provisioning_status": "ACTIVE", "operating_status": "ONLINE",
		"created_at": planted, "updated_at": planted,
	}
	t["load_balancer"].add(alike, row{
		"id": id(balancer, n), "name": fmt.Sprintf("lb-%d", n), "description": "", "topology": "SINGLE", "provider": "amphora",
	})
	t["vip"].add(row{
		"load_balancer_id": id(balancer, n), "ip_address": fmt.Sprintf("10.1.%d.%d", n/250, n%250+1), "port_id": id(balancer, n),
		"subnet_id": id(subnet, 0), "network_id": id(subnet, 1), "octavia_owned": true,
	})
	t["pool"].add(alike, row{
		"id": id(pool, n), "name": "servers", "description": "", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN",
		"load_balancer_id": id(balancer, n), "tls_enabled": false,
	})
	t["listener"].add(alike, row{
		"id": id(listener, n), "name": "http", "description": "", "protocol": "HTTP", "protocol_port": 80, "connection_limit": -1,
		"load_balancer_id": id(balancer, n), "default_pool_id": id(pool, n), "peer_port": 1025, "timeout_client_data": 50000,
		"timeout_member_connect": 5000, "timeout_member_data": 50000, "timeout_tcp_inspect": 0, "client_authentication": "NONE",
	})
	count := members
	if n == 0 {
		count = manyMembers
	}
	for i := range count {
		t["member"].add(alike, row{
			"id": id(member, n*manyMembers+i), "pool_id": id(pool, n), "ip_address": fmt.Sprintf("10.2.0.%d", i+1),
			"protocol_port": 80, "weight": 1, "name": "", "backup": false,
		})
	}
	t["health_monitor"].add(alike, row{
		"id": id(monitor, n), "pool_id": id(pool, n), "name": "", "type": "TCP", "delay": 5, "timeout": 3, "fall_threshold": 3, "rise_threshold": 3,
	})
}

// reset are the statements after which all is as planted: what the requests made is gone, and what they changed or
// deleted is ACTIVE, since no worker has acted on it.
func reset(own []string) []string {
	out := []string{
		"DELETE FROM vip WHERE load_balancer_id IN (SELECT id FROM load_balancer WHERE name = '" + made + "')",
		"DELETE FROM load_balancer WHERE name = '" + made + "'",
		"DELETE FROM member WHERE name = '" + made + "'",
	}
	for _, t := range own {
		out = append(out, "DELETE FROM "+t)
	}
	for _, t := range order {
		if t != "vip" {
			out = append(out, "UPDATE "+t+" SET provisioning_status = 'ACTIVE' WHERE provisioning_status <> 'ACTIVE'")
		}
	}
	return out
}

// row is a row by column.
type row map[string]any

// table collects rows. All have the columns of the first.
type table struct {
	name    string
	columns []string
	values  []any
}

func (t *table) add(parts ...row) {
	all := row{}
	for _, part := range parts {
		for column, value := range part {
			all[column] = value
		}
	}
	if t.columns == nil {
		for column := range all {
			t.columns = append(t.columns, column)
		}
	}
	for _, column := range t.columns {
		t.values = append(t.values, all[column])
	}
}

// insert writes the rows, many per statement.
func (t *table) insert(ctx context.Context, db *sql.DB) error {
	const most = 200
	one := "(?" + strings.Repeat(", ?", len(t.columns)-1) + ")"
	for rest := t.values; len(rest) > 0; {
		n := min(len(rest)/len(t.columns), most)
		//nolint:gosec // our own names
		query := "INSERT INTO " + t.name + " (" + strings.Join(t.columns, ", ") + ") VALUES " + one + strings.Repeat(", "+one, n-1)
		if _, err := db.ExecContext(ctx, query, rest[:n*len(t.columns)]...); err != nil {
			return err
		}
		rest = rest[n*len(t.columns):]
	}
	return nil
}

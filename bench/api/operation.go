package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// made is the name of what requests make, by which it is found and removed.
const made = "made"

// operation is a request that is measured. The n-th request of a round is for the n-th load balancer.
type operation struct {
	name    string
	method  string // "" is GET
	path    func(n int) string
	body    func(n int) any // nil = none
	status  int             // that is expected
	objects int             // how many an answer describes, by their operating_status; 0 = not counted
	lists   int             // load balancers that an answer lists
	// writes says that a load balancer can be asked once only, until its rows are ACTIVE again.
	writes bool
	// clients are how many ask at once, each in a measurement of its own.
	clients []int
}

const (
	balancers = "/v2.0/lbaas/loadbalancers"
	pools     = "/v2.0/lbaas/pools"
)

func operations() []operation {
	all := []operation{
		listOf(listed),
		{name: "show", path: one, status: http.StatusOK, objects: 1},
		{name: "list of 100 members", path: fixed(pools + "/" + id(pool, 0) + "/members"), status: http.StatusOK, objects: manyMembers},
		{
			name: "status tree, 100 members", path: fixed(balancers + "/" + id(balancer, 0) + "/status"), status: http.StatusOK,
			objects: manyMembers + 4, // with their load balancer, listener, pool and monitor
		},
		{name: "create", method: http.MethodPost, path: fixed(balancers), body: newBalancer, status: http.StatusCreated, objects: 1, writes: true},
		{name: "update", method: http.MethodPut, path: one, body: newDescription, status: http.StatusOK, objects: 1, writes: true},
		{name: "batch of 100 members", method: http.MethodPut, path: batchPath, body: newMembers, status: http.StatusAccepted, writes: true},
		{name: "delete, cascade", method: http.MethodDelete, path: cascade, status: http.StatusNoContent, writes: true},
	}
	for i := range all {
		all[i].clients = []int{1, 8, 64}
	}
	for _, n := range listSizes {
		op := listOf(n)
		op.clients = []int{1}
		all = append(all, op)
	}
	return all
}

// listOf lists the load balancers of a project that has n.
func listOf(n int) operation {
	return operation{
		name: fmt.Sprintf("list of %d", n), path: fixed(balancers + "?project_id=" + projectOf(n)), status: http.StatusOK,
		objects: n, lists: n,
	}
}

func fixed(path string) func(int) string { return func(int) string { return path } }

// nth is a load balancer for the n-th request, not the one with many members.
func nth(n int) int { return n%(everybody()-1) + 1 }

// everybody is how many load balancers there are.
func everybody() int {
	sum := listed
	for _, n := range listSizes {
		sum += n
	}
	return sum
}

func one(n int) string       { return balancers + "/" + id(balancer, nth(n)) }
func cascade(n int) string   { return one(n) + "?cascade=true" }
func batchPath(n int) string { return pools + "/" + id(pool, nth(n)) + "/members" }

func newBalancer(int) any {
	return map[string]any{"loadbalancer": map[string]any{"name": made, "vip_subnet_id": id(subnet, 0), "project_id": id(project, 0)}}
}

func newDescription(n int) any {
	return map[string]any{"loadbalancer": map[string]any{"description": fmt.Sprintf("described by request %d", n)}}
}

func newMembers(int) any {
	list := make([]any, manyMembers)
	for i := range list {
		list[i] = map[string]any{"name": made, "address": fmt.Sprintf("10.3.0.%d", i+1), "protocol_port": 80}
	}
	return map[string]any{"members": list}
}

// ask sends the n-th request and looks at the answer.
func (p *peer) ask(ctx context.Context, op operation, n int) error {
	var body io.Reader
	if op.body != nil {
		text, err := json.Marshal(op.body(n))
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, op.method, p.url+op.path(n), body)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return err
	}
	if resp.StatusCode != op.status {
		return fmt.Errorf("%s %s: got %s, want %d: %.300s", r.Method, r.URL, resp.Status, op.status, text)
	}
	if got := strings.Count(string(text), `"operating_status"`); op.objects > 0 && got != op.objects {
		return fmt.Errorf("%s %s: got %d objects, want %d", r.Method, r.URL, got, op.objects)
	}
	return nil
}

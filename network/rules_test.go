package network_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/network"
	"github.com/ottavino/ottavino/sandbox/rest"
)

// rules words a group's ingress rules, sorted.
func (f *fixture) rules(t *testing.T, groupID string) []string {
	t.Helper()
	s := cloud.Service{Session: f.Session, Endpoint: cloud.Endpoint{Type: "network"}}
	type rule struct {
		Direction, Protocol, Ethertype string
		Min                            *int    `json:"port_range_min"`
		Prefix                         *string `json:"remote_ip_prefix"`
	}
	found, err := cloud.List[rule](t.Context(), s, cloud.Call{
		Op: "list", Path: "security-group-rules", Query: map[string][]string{"security_group_id": {groupID}, "direction": {"ingress"}},
	}, "security_group_rules")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range found {
		line := r.Ethertype + " " + r.Protocol
		if r.Min != nil {
			line += fmt.Sprintf(" %d", *r.Min)
		}
		if r.Prefix != nil {
			line += " " + *r.Prefix
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

func TestSyncRules(t *testing.T) {
	f, ctx := newFixture(t), t.Context()
	group, err := f.neutron.CreateSecurityGroup(ctx, "lb-1", "")
	if err != nil {
		t.Fatal(err)
	}
	tcp := func(port int, remote string) network.Rule {
		return network.Rule{Protocol: "tcp", Port: port, Remote: remote, EtherType: "IPv4"}
	}
	vrrp := network.Rule{Protocol: "112", EtherType: "IPv4"}
	for _, step := range []struct {
		name   string
		want   []network.Rule
		writes int
		have   []string
	}{
		{"first", []network.Rule{tcp(80, ""), tcp(443, "10.0.0.0/8"), vrrp}, 3, []string{"IPv4 112", "IPv4 tcp 443 10.0.0.0/8", "IPv4 tcp 80"}},
		{"same", []network.Rule{vrrp, tcp(443, "10.1.2.3/8"), tcp(80, "0.0.0.0/0"), tcp(80, "")}, 0, []string{"IPv4 112", "IPv4 tcp 443 10.0.0.0/8", "IPv4 tcp 80"}},
		{"other", []network.Rule{{Protocol: "udp", Port: 53, EtherType: "IPv6"}, vrrp}, 3, []string{"IPv4 112", "IPv6 udp 53"}},
		{"none", nil, 2, nil},
	} {
		before := f.Count(t, "POST /v2.0/security-group-rules") + f.Count(t, "DELETE /v2.0/security-group-rules")
		if err := f.neutron.SyncRules(ctx, group, step.want); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.have, f.rules(t, group)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		after := f.Count(t, "POST /v2.0/security-group-rules") + f.Count(t, "DELETE /v2.0/security-group-rules")
		if after-before != step.writes {
			t.Errorf("%s: got %d writes, want %d", step.name, after-before, step.writes)
		}
	}
	wantClass(t, f.neutron.SyncRules(ctx, "no-such-group", []network.Rule{vrrp}), cloud.Gone)
}

func TestSyncRulesKeepsForeignRules(t *testing.T) {
	f, ctx := newFixture(t), t.Context()
	group, err := f.neutron.CreateSecurityGroup(ctx, "lb-1", "")
	if err != nil {
		t.Fatal(err)
	}
	s := cloud.Service{Session: f.Session, Endpoint: cloud.Endpoint{Type: "network"}}
	for _, rule := range []map[string]any{
		{"direction": "ingress", "ethertype": "IPv4", "protocol": "icmp"},
		{"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22, "remote_group_id": group},
		{"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 1, "port_range_max": 9},
	} {
		rule["security_group_id"] = group
		err := s.Do(ctx, cloud.Call{
			Op: "create", Method: http.MethodPost, Path: "security-group-rules", In: map[string]any{"security_group_rule": rule},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.neutron.SyncRules(ctx, group, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"IPv4 icmp", "IPv4 tcp 22"}, f.rules(t, group)); diff != "" {
		t.Errorf("the range alone was ours (-want +got):\n%s", diff)
	}
}

// Another process may have made a rule between our list and our create.
func TestSyncRulesMeetsDuplicates(t *testing.T) {
	exists := `{"NeutronError": {"type": "SecurityGroupRuleExists", "message": "Security group rule already exists."}}`
	quota := `{"NeutronError": {"type": "OverQuota", "message": "Quota exceeded for resources: ['security_group_rule']."}}`
	other := `{"NeutronError": {"type": "Busy", "message": "try later"}}`
	for _, tc := range []struct {
		name, body string
		want       cloud.Class // -1 = success
	}{{"exists", exists, -1}, {"quota", quota, cloud.Quota}, {"other conflict", other, cloud.Conflict}} {
		t.Run(tc.name, func(t *testing.T) {
			f, ctx := newFixture(t), t.Context()
			group, err := f.neutron.CreateSecurityGroup(ctx, "lb-1", "")
			if err != nil {
				t.Fatal(err)
			}
			f.Hub.Inject(rest.Fault{Method: "POST", Path: "security-group-rules", Status: 409, Body: tc.body, Times: 1})
			err = f.neutron.SyncRules(ctx, group, []network.Rule{
				{Protocol: "tcp", Port: 80, EtherType: "IPv4"}, {Protocol: "tcp", Port: 81, EtherType: "IPv4"},
			})
			if tc.want >= 0 {
				wantClass(t, err, tc.want)
				return
			}
			if err != nil || !slices.Equal(f.rules(t, group), []string{"IPv4 tcp 81"}) {
				t.Errorf("got %v, rules %q: the rest was to be made", err, f.rules(t, group))
			}
		})
	}
}

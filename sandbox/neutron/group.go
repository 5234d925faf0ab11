package neutron

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ottavino/ottavino/sandbox/rest"
)

func (n *Neutron) groupResource() *rest.Resource[SecurityGroup] {
	return &rest.Resource[SecurityGroup]{
		Path: "/v2.0/security-groups", Singular: "security_group", Plural: "security_groups", Items: n.groups,
		ID: func(v *SecurityGroup) *string { return &v.ID },
		Default: func(*rest.Request) SecurityGroup {
			return SecurityGroup{Stateful: true, Rules: []Rule{}, Tags: []string{}}
		},
		Create: func(r *rest.Request, v *SecurityGroup) error {
			if err := n.admit(r, "security_group", &v.TenantID, &v.ProjectID); err != nil {
				return err
			}
			if v.Name == DefaultGroup {
				return rest.Conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
			}
			n.defaultRules(v)
			return nil
		},
		Update:  func(_ *rest.Request, old SecurityGroup, v *SecurityGroup) error { v.Rules = old.Rules; return nil },
		Delete:  func(_ *rest.Request, v SecurityGroup) error { return n.groupFree(v) },
		Visible: func(r *rest.Request, v SecurityGroup) bool { return seen(r, v.ProjectID, false) },
		Missing: missing("SecurityGroupNotFound", "Security group"),
	}
}

// defaultRules are the two egress rules that every new group comes with.
func (n *Neutron) defaultRules(v *SecurityGroup) {
	v.Rules = nil
	for _, family := range []string{"IPv4", "IPv6"} {
		rule := Rule{ID: rest.NewID(), SecurityGroupID: v.ID, TenantID: v.TenantID, ProjectID: v.ProjectID, Direction: "egress", Ethertype: family}
		n.rules.Put(rule.ID, rule)
		v.Rules = append(v.Rules, rule)
	}
}

// DefaultGroup is the name of the group that a project's ports are in unless they are told another.
const DefaultGroup = "default"

// defaultGroup is a project's, made when it is needed first: its ports reach everybody, and each other.
func (n *Neutron) defaultGroup(projectID string) string {
	for _, g := range n.groups.Where(func(g SecurityGroup) bool { return g.ProjectID == projectID && g.Name == DefaultGroup }) {
		return g.ID
	}
	v := SecurityGroup{
		ID: rest.NewID(), Name: DefaultGroup, Description: "Default security group", TenantID: projectID, ProjectID: projectID,
		Stateful: true, Tags: []string{},
	}
	n.defaultRules(&v)
	for _, family := range []string{"IPv4", "IPv6"} {
		rule := Rule{
			ID: rest.NewID(), SecurityGroupID: v.ID, TenantID: projectID, ProjectID: projectID, Direction: "ingress", Ethertype: family,
			RemoteGroupID: &v.ID,
		}
		n.rules.Put(rule.ID, rule)
		v.Rules = append(v.Rules, rule)
	}
	n.groups.Put(v.ID, v)
	return v.ID
}

// joinDefault puts a port that names no groups into its project's, unless it is the network's own.
func (n *Neutron) joinDefault(v *Port) {
	if v.SecurityGroups != nil {
		return
	}
	v.SecurityGroups = []string{}
	if v.PortSecurity && !strings.HasPrefix(v.DeviceOwner, "network:") {
		v.SecurityGroups = append(v.SecurityGroups, n.defaultGroup(v.ProjectID))
	}
}

func (n *Neutron) groupFree(v SecurityGroup) error {
	users := n.ports.Where(func(p Port) bool { return slices.Contains(p.SecurityGroups, v.ID) })
	if len(users) > 0 {
		return rest.Conflict("SecurityGroupInUse", "Security Group %s in use.", v.ID)
	}
	for _, r := range v.Rules {
		n.rules.Delete(r.ID)
	}
	return nil
}

func (n *Neutron) ruleResource() *rest.Resource[Rule] {
	return &rest.Resource[Rule]{
		Path: "/v2.0/security-group-rules", Singular: "security_group_rule", Plural: "security_group_rules", Items: n.rules,
		ID:      func(v *Rule) *string { return &v.ID },
		Default: func(*rest.Request) Rule { return Rule{Ethertype: "IPv4"} },
		Create:  func(_ *rest.Request, v *Rule) error { return n.addRule(v) },
		Delete:  func(_ *rest.Request, v Rule) error { n.dropRule(v); return nil },
		Visible: func(r *rest.Request, v Rule) bool { return seen(r, v.ProjectID, false) },
		Missing: missing("SecurityGroupRuleNotFound", "Security group rule"),
	}
}

func (n *Neutron) addRule(v *Rule) error {
	group, ok := n.groups.Get(v.SecurityGroupID)
	if !ok {
		return missing("SecurityGroupNotFound", "Security group")(v.SecurityGroupID)
	}
	if v.Direction != "ingress" && v.Direction != "egress" {
		return rest.BadRequest("Invalid input for direction. Reason: '%s' is not in ['ingress', 'egress'].", v.Direction)
	}
	if err := v.check(); err != nil {
		return err
	}
	for _, r := range group.Rules {
		if r.same(*v) {
			return rest.Conflict("SecurityGroupRuleExists", "Security group rule already exists. Rule id is %s.", r.ID)
		}
	}
	v.TenantID, v.ProjectID = group.TenantID, group.ProjectID
	if err := n.room(v.ProjectID, "security_group_rule"); err != nil {
		return err
	}
	group.Rules = append(slices.Clone(group.Rules), *v)
	n.groups.Put(group.ID, group)
	return nil
}

// check refuses what cannot be enforced. An address is a prefix of itself.
func (r *Rule) check() error {
	if _, ok := r.ProtocolNumber(); !ok {
		return rest.BadRequest("Security group rule protocol %s not supported. Only protocol values %s and integer representations [0 to 255] are supported.",
			value(r.Protocol), strings.Join(slices.Sorted(maps.Keys(protocols)), ", "))
	}
	if r.RemoteIPPrefix == nil {
		return nil
	}
	prefix, err := netip.ParsePrefix(*r.RemoteIPPrefix)
	if addr, single := netip.ParseAddr(*r.RemoteIPPrefix); single == nil {
		prefix, err = addr.Prefix(addr.BitLen())
	}
	if err != nil {
		return rest.BadRequest("Invalid input for remote_ip_prefix. Reason: '%s' is not a valid IP subnet.", *r.RemoteIPPrefix)
	}
	if prefix.Addr().Is6() != (r.Ethertype == "IPv6") {
		return rest.BadRequest("Conflicting value ethertype %s for CIDR %s", r.Ethertype, *r.RemoteIPPrefix)
	}
	text := prefix.String()
	r.RemoteIPPrefix = &text
	return nil
}

// protocols are Neutron's names.
var protocols = map[string]int{
	"ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "icmpv6": 58, "igmp": 2, "ip": 0, "ipip": 4, "ipv6-encap": 41,
	"ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46,
	"sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}

// ProtocolNumber is the rule's; -1 means any. "icmp" of IPv6 is ICMPv6.
func (r Rule) ProtocolNumber() (n int, ok bool) {
	name := strings.ToLower(value(r.Protocol))
	if name == "" || name == "any" {
		return -1, true
	}
	if n, ok = protocols[name]; !ok {
		var err error
		n, err = strconv.Atoi(name)
		ok = err == nil && n >= 0 && n <= 255
	}
	if n == protocols["icmp"] && r.Ethertype == "IPv6" {
		n = protocols["icmpv6"]
	}
	return n, ok
}

func (n *Neutron) dropRule(v Rule) {
	group, ok := n.groups.Get(v.SecurityGroupID)
	if !ok {
		return
	}
	group.Rules = slices.DeleteFunc(slices.Clone(group.Rules), func(r Rule) bool { return r.ID == v.ID })
	n.groups.Put(group.ID, group)
}

// same is Neutron's idea of a duplicate: no remote is the same as everywhere.
func (r Rule) same(o Rule) bool {
	return r.key() == o.key()
}

func (r Rule) key() string {
	prefix := value(r.RemoteIPPrefix)
	if prefix == "0.0.0.0/0" || prefix == "::/0" {
		prefix = ""
	}
	return strings.ToLower(fmt.Sprint(r.Direction, "|", r.Ethertype, "|", value(r.Protocol), "|", number(r.PortRangeMin), "|",
		number(r.PortRangeMax), "|", prefix, "|", value(r.RemoteGroupID)))
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func number(i *int) int {
	if i == nil {
		return -1
	}
	return *i
}

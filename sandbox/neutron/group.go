package neutron

import (
	"fmt"
	"slices"
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

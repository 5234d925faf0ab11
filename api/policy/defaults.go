package policy

import (
	"maps"
	"slices"
)

// CallPrefix begins the names of the rules that calls ask for, as in
// os_load-balancer_api:listener:post.
const CallPrefix = "os_load-balancer_api:"

const (
	prefix    = "load-balancer:" // of base rules and of most personas
	adminRule = "context_is_admin"
)

// defaults are Octavia's rules by name; with old ones the Advanced RBAC roles pass as well.
func defaults(old bool) []Rule {
	texts := defaultTexts(old)
	var rules []Rule
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		rules = append(rules, Rule{Name: name, Value: texts[name]})
	}
	return rules
}

func defaultTexts(old bool) map[string]string {
	rules := personas()
	if old {
		for name, text := range oldPersonas() {
			rules[name] = "(" + rules[name] + ") or (" + text + ")"
		}
	}
	maps.Copy(rules, bases())
	for kind, actions := range calls() {
		for action, base := range actions {
			rules[CallPrefix+kind+":"+action] = "rule:" + prefix + base
		}
	}
	rules[CallPrefix+"member:get_all"] = "rule:" + prefix + "read or rule:service"
	return rules
}

// personas are Keystone's default roles.
func personas() map[string]string {
	return map[string]string{
		adminRule:                     "role:admin",
		"service":                     "role:service",
		"project-member":              "role:member and project_id:%(project_id)s",
		"project-reader":              "role:reader and project_id:%(project_id)s",
		prefix + "owner":              "project_id:%(project_id)s",
		prefix + "admin":              "is_admin:True or role:admin",
		prefix + "global_observer":    "role:admin",
		prefix + "member_and_owner":   "rule:project-member",
		prefix + "observer_and_owner": "rule:project-reader",
		prefix + "quota-admin":        "role:admin",
	}
}

// oldPersonas are the roles of Octavia's own before Keystone had default roles.
func oldPersonas() map[string]string {
	return map[string]string{
		adminRule:                     "role:admin or role:load-balancer_admin",
		prefix + "admin":              "is_admin:True or role:admin or role:load-balancer_admin",
		prefix + "global_observer":    "role:load-balancer_global_observer",
		prefix + "member_and_owner":   "role:load-balancer_member and rule:load-balancer:owner",
		prefix + "observer_and_owner": "role:load-balancer_observer and rule:load-balancer:owner",
		prefix + "quota-admin":        "role:load-balancer_quota_admin",
	}
}

// bases are what calls are allowed by.
func bases() map[string]string {
	const own = "rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer or rule:load-balancer:member_and_owner or "
	const admin = "rule:load-balancer:admin"
	return map[string]string{
		prefix + "read":              own + admin,
		prefix + "read-global":       "rule:load-balancer:global_observer or " + admin,
		prefix + "write":             "rule:load-balancer:member_and_owner or " + admin,
		prefix + "read-quota":        own + "rule:load-balancer:quota-admin or " + admin,
		prefix + "read-quota-global": "rule:load-balancer:global_observer or rule:load-balancer:quota-admin or " + admin,
		prefix + "write-quota":       "rule:load-balancer:quota-admin or " + admin,
	}
}

// calls name the base rule of each call, by type and action.
func calls() map[string]map[string]string {
	write := map[string]string{"post": "write", "put": "write", "delete": "write"}
	admin := map[string]string{"post": "admin", "put": "admin", "delete": "admin"}
	read := map[string]string{"get_all": "read", "get_one": "read"}
	global := map[string]string{"get_all-global": "read-global"}
	profile := merge(admin, map[string]string{"get_all": "admin", "get_one": "admin"})
	capabilities := map[string]string{"get_all": "admin"}
	return map[string]map[string]string{
		"loadbalancer": merge(write, read, global, map[string]string{
			"get_stats": "read", "get_status": "read", "put_failover": "admin",
			// Octavia has none of these.
			"get_work": "read", "get_events:deleted": "admin",
			"put_work_retry": "admin", "put_work_reset": "admin", "put_work_cancel": "admin",
			"post:vip_sg_ids": "write", "put:vip_sg_ids": "write",
		}),
		"listener":      merge(write, read, global, map[string]string{"get_stats": "read"}),
		"pool":          merge(write, read, global),
		"healthmonitor": merge(write, read, global),
		"l7policy":      merge(write, read, global),
		"l7rule":        merge(write, read),
		"member":        merge(write, read),
		"quota": {
			"get_all": "read-quota", "get_one": "read-quota", "get_defaults": "read-quota",
			"get_all-global": "read-quota-global", "put": "write-quota", "delete": "write-quota",
		},
		"flavor":                     merge(admin, read),
		"availability-zone":          merge(admin, read),
		"flavor-profile":             profile,
		"availability-zone-profile":  profile,
		"provider":                   {"get_all": "read"},
		"provider-flavor":            capabilities,
		"provider-availability-zone": capabilities,
		"amphora": {
			"get_all": "admin", "get_one": "admin", "delete": "admin",
			"put_config": "admin", "put_failover": "admin", "get_stats": "admin",
		},
	}
}

func merge(sets ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, s := range sets {
		maps.Copy(out, s)
	}
	return out
}

package db

// octaviaTables are Octavia's tables at octaviaHead, referenced ones first. Sizes and names,
// odd ones too, are upstream's.
func octaviaTables() []table {
	var all []table
	for _, group := range [][]table{
		lookupTables(), choiceTables(), balancerTables(), poolTables(), listenerTables(), policyTables(),
		amphoraTables(), singleTables(),
	} {
		all = append(all, group...)
	}
	return all
}

// choiceTables are flavors and availability zones, what an operator offers to choose from.
func choiceTables() []table {
	return []table{
		{
			name: "flavor_profile", primary: "id",
			columns: []column{id("id"), text("name", 255), text("provider_name", 255), text("flavor_data", 4096)},
			rows:    [][]any{{Placeholder, "DELETED-PLACEHOLDER", Deleted, "{}"}},
		},
		{
			name: "flavor", primary: "id",
			columns: []column{
				id("id"), text("name", 255), text("description", 255).opt(), boolean("enabled"),
				id("flavor_profile_id").refs("flavor_profile.id", "fk_flavor_flavor_profile_id"),
			},
			indexes: []index{unique("uq_flavor_name", "name")},
			rows:    [][]any{{Placeholder, "DELETED-PLACEHOLDER", "Placeholder for DELETED LBs with DELETED flavors", false, Placeholder}},
		},
		{
			name: "availability_zone_profile", primary: "id",
			columns: []column{
				id("id"), text("name", 255), text("provider_name", 255), text("availability_zone_data", 4096),
			},
			rows: [][]any{{Placeholder, "DELETED-PLACEHOLDER", Deleted, "{}"}},
		},
		{
			name: "availability_zone", primary: "name",
			columns: []column{
				text("name", 255), text("description", 255).opt(), boolean("enabled"),
				id("availability_zone_profile_id").refs("availability_zone_profile.id", "fk_az_az_profile_id"),
			},
			rows: [][]any{{Placeholder, "Placeholder for DELETED LBs with DELETED availability zones", false, Placeholder}},
		},
	}
}

// balancerTables are the load balancer and its VIPs.
func balancerTables() []table {
	return []table{
		{
			name: "load_balancer", primary: "id",
			columns: []column{
				id("project_id").opt(), id("id"), text("name", 255).opt(), text("description", 255).opt(),
				provisioning("load_balancer"), operating("load_balancer"), boolean("enabled"),
				id("topology").opt().refs("lb_topology.name", "fk_lb_topology_name"),
				id("server_group_id").opt(), datetime("created_at").opt(), datetime("updated_at").opt(),
				text("provider", 64).opt(),
				id("flavor_id").opt().refs("flavor.id", "fk_loadbalancer_flavor_id"),
				text("availability_zone", 255).opt().refs("availability_zone.name", "fk_load_balancer_availability_zone_name"),
			},
		},
		{
			name: "vip", primary: "load_balancer_id",
			columns: []column{
				id("load_balancer_id").refs("load_balancer.id", "fk_vip_load_balancer_id"),
				text("ip_address", 64).opt(), id("port_id").opt(), id("subnet_id").opt(), id("network_id").opt(),
				id("qos_policy_id").opt(), boolean("octavia_owned").opt(), text("vnic_type", 64).byDefault("'normal'"),
			},
		},
		{
			name: "additional_vip", primary: "load_balancer_id,subnet_id",
			columns: []column{
				id("load_balancer_id").refs("load_balancer.id", "fk_add_vip_load_balancer_id"),
				text("ip_address", 64).opt(), id("port_id").opt(), id("subnet_id"), id("network_id").opt(),
			},
			indexes: []index{{name: "ix_additional_vip_load_balancer_id", columns: "load_balancer_id"}},
		},
		{
			name: "vip_security_group", primary: "load_balancer_id,sg_id",
			columns: []column{
				id("load_balancer_id").refs("vip.load_balancer_id", "fk_vip_sg_vip_lb_id"), id("sg_id"),
			},
		},
		{
			name: "vrrp_group", primary: "load_balancer_id",
			columns: []column{
				id("load_balancer_id").refs("load_balancer.id", "fk_vrrp_group_load_balancer_id"),
				id("vrrp_group_name").opt(),
				text("vrrp_auth_type", 16).opt().refs("vrrp_auth_method.name", "fk_load_balancer_vrrp_auth_method_name"),
				id("vrrp_auth_pass").opt(), integer("advert_int").opt(),
			},
		},
	}
}

// poolTables are pools and what belongs to them.
func poolTables() []table {
	return []table{
		{
			name: "pool", primary: "id",
			columns: []column{
				id("project_id").opt(), id("id"), text("name", 255).opt(), text("description", 255).opt(),
				text("protocol", 16).refs("protocol.name", "fk_pool_protocol_name"),
				text("lb_algorithm", 255).refs("algorithm.name", "fk_pool_algorithm_name"),
				operating("pool"), boolean("enabled"), id("load_balancer_id").opt().refs("load_balancer.id", ""),
				datetime("created_at").opt(), datetime("updated_at").opt(), provisioning("pool"),
				text("tls_certificate_id", 255).opt(), text("ca_tls_certificate_id", 255).opt(),
				text("crl_container_id", 255).opt(), boolean("tls_enabled").byDefault("false"),
				text("tls_ciphers", 2048).opt(), text("tls_versions", 512).opt(), text("alpn_protocols", 512).opt(),
			},
		},
		{
			name: "member", primary: "id",
			columns: []column{
				id("project_id").opt(), id("id"), id("pool_id").refs("pool.id", "fk_member_pool_id"),
				id("subnet_id").opt(), text("ip_address", 64).opt(), integer("protocol_port"), integer("weight").opt(),
				operating("member"), boolean("enabled"), datetime("created_at").opt(), datetime("updated_at").opt(),
				provisioning("member"), text("name", 255).opt(), text("monitor_address", 64).opt(),
				integer("monitor_port").opt(), boolean("backup"), text("vnic_type", 64).byDefault("'normal'"),
			},
			indexes: []index{unique("uq_member_pool_id_address_protocol_port", "pool_id,ip_address,protocol_port")},
		},
		{
			name: "health_monitor", primary: "id",
			columns: []column{
				id("pool_id").refs("pool.id", "fk_health_monitor_pool_id"),
				id("type").refs("health_monitor_type.name", "fk_health_monitor_health_monitor_type_name"),
				integer("delay"), integer("timeout"), integer("fall_threshold"), integer("rise_threshold"),
				text("http_method", 16).opt(), text("url_path", 255).opt(), text("expected_codes", 64).opt(),
				boolean("enabled"), id("project_id").opt(), provisioning("health_monitor"), text("name", 255).opt(),
				id("id"), datetime("created_at").opt(), datetime("updated_at").opt(), operating("health_monitor"),
				column{name: "http_version", typ: typeFloat}.opt(), text("domain_name", 255).opt(),
			},
			indexes: []index{unique("uq_health_monitor_pool", "pool_id")},
		},
		{
			name: "session_persistence", primary: "pool_id",
			columns: []column{
				id("pool_id").refs("pool.id", "fk_session_persistence_pool_id"),
				text("type", 16).refs("session_persistence_type.name", "fk_session_persistence_session_persistence_type_name"),
				text("cookie_name", 255).opt(), integer("persistence_timeout").opt(), text("persistence_granularity", 64).opt(),
			},
		},
	}
}

// listenerTables are listeners and what belongs to them.
func listenerTables() []table {
	return []table{
		{
			name: "listener", primary: "id",
			columns: []column{
				id("project_id").opt(), id("id"), text("name", 255).opt(), text("description", 255).opt(),
				text("protocol", 16).refs("protocol.name", "fk_listener_protocol_name"),
				integer("protocol_port"), integer("connection_limit").opt(),
				id("load_balancer_id").opt().refs("load_balancer.id", "fk_listener_load_balancer_id"),
				text("tls_certificate_id", 255).opt(),
				id("default_pool_id").opt().refs("pool.id", "fk_listener_pool_id"),
				provisioning("listener"), operating("listener"), boolean("enabled"), integer("peer_port").opt(),
				column{name: "insert_headers", typ: typeBlob}.opt(),
				datetime("created_at").opt(), datetime("updated_at").opt(),
				integer("timeout_client_data").opt(), integer("timeout_member_connect").opt(),
				integer("timeout_member_data").opt(), integer("timeout_tcp_inspect").opt(),
				text("client_ca_tls_certificate_id", 255).opt(),
				text("client_authentication", 10).byDefault("'NONE'").refs("client_authentication_mode.name", ""),
				text("client_crl_container_id", 255).opt(), text("tls_ciphers", 2048).opt(),
				text("tls_versions", 512).opt(), text("alpn_protocols", 512).opt(),
				integer("hsts_max_age").opt(), boolean("hsts_include_subdomains").opt(), boolean("hsts_preload").opt(),
			},
			indexes: []index{unique("uq_listener_load_balancer_id_protocol_port", "load_balancer_id,protocol,protocol_port")},
		},
		{
			name: "listener_cidr", primary: "listener_id,cidr",
			columns: []column{id("listener_id").refs("listener.id", "fk_listener_cidr_listener_id"), text("cidr", 64)},
		},
		{
			name: "sni", primary: "listener_id,tls_container_id",
			columns: []column{
				id("listener_id").refs("listener.id", "fk_sni_listener_id"), text("tls_container_id", 128), integer("position").opt(),
			},
		},
		{
			name: "listener_statistics", primary: "listener_id,amphora_id",
			columns: []column{
				id("listener_id"), big("bytes_in"), big("bytes_out"), integer("active_connections"),
				big("total_connections"), id("amphora_id"), big("request_errors"),
			},
			indexes: []index{{name: "fk_listener_statistic_amphora_id", columns: "amphora_id"}},
		},
	}
}

// policyTables are L7 policies and rules.
func policyTables() []table {
	return []table{
		{
			name: "l7policy", primary: "id",
			columns: []column{
				id("id"), text("name", 255).opt(), text("description", 255).opt(),
				id("listener_id").refs("listener.id", "fk_l7policy_listener_id"),
				id("action").refs("l7policy_action.name", "fk_l7policy_l7policy_action_name"),
				id("redirect_pool_id").opt().refs("pool.id", "fk_l7policy_pool_id"),
				text("redirect_url", 255).opt(), integer("position"), boolean("enabled"), provisioning("l7policy"),
				datetime("created_at").opt(), datetime("updated_at").opt(), id("project_id").opt(),
				operating("l7policy"), text("redirect_prefix", 255).opt(), integer("redirect_http_code").opt(),
			},
		},
		{
			name: "l7rule", primary: "id",
			columns: []column{
				id("id"), id("l7policy_id").refs("l7policy.id", "fk_l7rule_l7policy_id"),
				id("type").refs("l7rule_type.name", "fk_l7rule_l7rule_type_name"),
				id("compare_type").refs("l7rule_compare_type.name", "fk_l7rule_l7rule_compare_type_name"),
				text("key", 255).opt(), text("value", 255), boolean("invert"), provisioning("l7rule"),
				datetime("created_at").opt(), datetime("updated_at").opt(), id("project_id").opt(),
				boolean("enabled").byDefault("true"), operating("l7rule"),
			},
		},
	}
}

// amphoraTables are amphorae and what is known about them.
func amphoraTables() []table {
	return []table{
		{
			name: "amphora", primary: "id",
			columns: []column{
				id("id"), id("compute_id").opt(),
				id("status").refs("provisioning_status.name", "fk_amphora_provisioning_status_name"),
				id("load_balancer_id").opt().refs("load_balancer.id", "fk_amphora_load_balancer_id"),
				text("lb_network_ip", 64).opt(), text("vrrp_ip", 64).opt(), text("ha_ip", 64).opt(),
				id("vrrp_port_id").opt(), id("ha_port_id").opt(),
				id("role").opt().refs("amphora_roles.name", "fk_amphora_roles_name"),
				datetime("cert_expiration").opt(), boolean("cert_busy"), text("vrrp_interface", 16).opt(),
				integer("vrrp_id").opt(), integer("vrrp_priority").opt(), text("cached_zone", 255).opt(),
				datetime("created_at").opt(), datetime("updated_at").opt(), id("image_id").opt(),
				text("compute_flavor", 255).opt(),
			},
		},
		{
			name: "amphora_member_port", primary: "port_id",
			columns: []column{
				id("port_id"), id("amphora_id").refs("amphora.id", "fk_member_port_amphora_id"), id("network_id").opt(),
				datetime("created_at").opt(), datetime("updated_at").opt(),
			},
			indexes: []index{{name: "ix_amphora_member_port_amphora_id", columns: "amphora_id"}},
		},
		{
			name: "amphora_health", primary: "amphora_id",
			columns: []column{id("amphora_id"), datetime("last_update"), boolean("busy")},
		},
		{
			name: "amphora_build_request", primary: "amphora_id",
			columns: []column{id("amphora_id"), integer("priority").opt(), datetime("created_time"), text("status", 16)},
		},
		{
			name: "amphora_build_slots", primary: "id",
			columns: []column{{name: "id", typ: typeSerial}, integer("slots_used").opt()},
			rows:    [][]any{{1, 0}},
		},
	}
}

// singleTables belong to nothing else.
func singleTables() []table {
	var counters []column
	for _, c := range []string{
		"health_monitor", "load_balancer", "listener", "member", "pool", "in_use_health_monitor",
		"in_use_load_balancer", "in_use_listener", "in_use_member", "in_use_pool",
		"l7policy", "l7rule", "in_use_l7policy", "in_use_l7rule",
	} {
		counters = append(counters, integer(c).opt())
	}
	return []table{
		{name: "quotas", primary: "project_id", columns: append([]column{id("project_id")}, counters...)},
		{
			name: "tags", primary: "resource_id,tag", columns: []column{id("resource_id"), text("tag", 255)},
			indexes: []index{{name: "ix_tags_tag", columns: "tag"}},
		},
		{name: "spares_pool", primary: "updated_at", columns: []column{datetime("updated_at").byDefault("CURRENT_TIMESTAMP")}},
	}
}

// ottavinoTables are ours beside Octavia's.
func ottavinoTables() []table {
	return []table{
		{
			name: "ottavino_work", primary: "load_balancer_id",
			columns: []column{
				id("load_balancer_id"), big("generation"), big("applied_generation"), millis("run_after"),
				integer("attempts"), long("last_error"), text("lease_owner", 255), big("lease_token"),
				millis("lease_until"), text("request_id", 255),
			},
			indexes: []index{
				{name: "ix_ottavino_work_run_after", columns: "run_after"},
				{name: "ix_ottavino_work_lease_until", columns: "lease_until"},
			},
		},
		{
			name: "ottavino_event", primary: "id",
			columns: []column{
				{name: "id", typ: typeSerial}, id("load_balancer_id"), id("project_id"), text("object_kind", 36),
				id("object_id"), text("type", 16), text("reason", 255), long("message"), text("request_id", 255),
				integer("count"), datetime("first_at"), datetime("last_at"),
			},
			indexes: []index{
				{name: "ix_ottavino_event_load_balancer_id", columns: "load_balancer_id,id"},
				{name: "ix_ottavino_event_object_id", columns: "object_id,id"},
			},
		},
	}
}

// projectIndexes are ours on Octavia's tables: without them every tenant's list and every
// count against a quota reads the whole table.
func projectIndexes() map[string]index {
	out := map[string]index{}
	for _, t := range []string{
		"load_balancer", "listener", "pool", "member", "health_monitor", "l7policy", "l7rule",
	} {
		out[t] = index{name: "ix_ottavino_" + t + "_project_id", columns: "project_id"}
	}
	return out
}

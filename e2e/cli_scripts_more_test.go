package e2e_test

func l7Script() []step {
	return []step{
		{args: "create --name l7-lb --vip-subnet-id $subnet", save: "lb"},
		{args: "listener create --name l7-lis --protocol HTTP --protocol-port 80 l7-lb", save: "listener"},
		{args: "pool create --name l7-pool --loadbalancer l7-lb --protocol HTTP --lb-algorithm ROUND_ROBIN", save: "pool"},
		{
			args: "l7policy create --name pol --description first --action REDIRECT_TO_URL --redirect-url http://example.com/ " +
				"--redirect-http-code 301 --position 1 --tag one --wait l7-lis",
			want: has{
				"name": "pol", "description": "first", "action": "REDIRECT_TO_URL", "redirect_url": "http://example.com/",
				"redirect_http_code": 301, "position": 1, "listener_id": "$listener", "tags": "one", "admin_state_up": true,
				"provisioning_status": "ACTIVE",
			},
			save: "policy",
		},
		{args: "l7policy create --name front --action REDIRECT_PREFIX --redirect-prefix https://example.com --position 1 l7-lis", save: "front"},
		{args: "l7policy create --name last --action REJECT --disable l7-lis", want: has{"position": 3, "admin_state_up": false}, save: "last"},
		{args: "l7policy list --listener l7-lis", want: has{"id": "$policy", "position": 2, "project_id": "$project"}, rows: 3},
		{args: "l7policy list --tags one", want: has{"id": "$policy", "action": "REDIRECT_TO_URL"}, rows: 1},
		{
			args: "l7policy set --name pol-new --description second --action REDIRECT_TO_POOL --redirect-pool l7-pool --position 3 " +
				"--disable --tag two pol",
		},
		{args: "l7policy show pol-new", want: has{
			"description": "second", "action": "REDIRECT_TO_POOL", "redirect_pool_id": "$pool", "redirect_url": nil, "position": 3,
			"admin_state_up": false, "tags": "one\ntwo",
		}},
		{args: "l7policy set --redirect-http-code 307 front"},
		{args: "l7policy show front", want: has{"redirect_http_code": 307, "redirect_prefix": "https://example.com"}},
		{args: "l7policy unset --redirect-http-code front"},
		{args: "l7policy show front", want: has{"redirect_http_code": nil}},
		{args: "l7policy unset --name --description --all-tag pol-new"},
		{args: "l7policy show $policy", want: has{"name": "", "description": "", "tags": ""}},

		{
			args: "l7rule create --type HEADER --compare-type EQUAL_TO --key X-Colour --value blue --invert --tag one $policy",
			want: has{"type": "HEADER", "compare_type": "EQUAL_TO", "key": "X-Colour", "value": "blue", "invert": true, "tags": "one", "admin_state_up": true},
			save: "rule",
		},
		{args: "l7rule create --type PATH --compare-type REGEX --value /a(/b)*$ --disable $policy", want: has{"admin_state_up": false}, save: "path"},
		{args: "l7rule create --type HEADER --compare-type EQUAL_TO --value blue $policy", fails: "--type HEADER requires --key"},
		{args: "l7rule list $policy", want: has{"id": "$rule", "key": "X-Colour", "invert": true, "project_id": "$project"}, rows: 2},
		{args: "l7rule list --tags one $policy", want: has{"id": "$rule"}, rows: 1},
		{args: "l7rule set --type COOKIE --compare-type STARTS_WITH --key taste --value swe --disable --tag two --wait $policy $rule"},
		{args: "l7rule show $policy $rule", want: has{
			"type": "COOKIE", "compare_type": "STARTS_WITH", "key": "taste", "value": "swe", "admin_state_up": false, "tags": "one\ntwo",
		}},
		{args: "l7rule unset --invert --tag one $policy $rule"},
		{args: "l7rule show $policy $rule", want: has{"invert": false, "tags": "two"}},
		{args: "l7rule delete $policy $path"},
		{args: "l7rule delete --wait $policy $rule"},
		{args: "l7rule show $policy $rule", fails: "(HTTP 400)"},
		{args: "l7policy delete front"},
		{args: "l7policy delete last"},
		{args: "l7policy delete --wait $policy"},
		{args: "l7policy show $policy", fails: "Unable to locate"},
		{args: "delete --cascade --wait l7-lb"},
	}
}

func quotaScript() []step {
	return []step{
		{args: "quota defaults show", want: has{
			"load_balancer": -1, "listener": -1, "pool": -1, "health_monitor": -1, "member": -1, "l7policy": -1, "l7rule": -1,
		}},
		{args: "quota show other", want: has{"load_balancer": -1, "l7rule": -1}},
		{
			args: "quota set --loadbalancer 1 --listener 2 --pool 3 --member 4 --healthmonitor 5 --l7policy 6 --l7rule 7 other",
			want: has{"load_balancer": 1, "listener": 2, "pool": 3, "member": 4, "health_monitor": 5, "l7policy": 6, "l7rule": 7},
		},
		{args: "quota show other", want: has{"load_balancer": 1, "listener": 2, "pool": 3, "member": 4, "health_monitor": 5, "l7policy": 6, "l7rule": 7}},
		{args: "quota list --project other", want: has{"project_id": "$other", "load_balancer": 1, "l7rule": 7}, rows: 1},
		{args: "quota unset --loadbalancer --l7rule other"},
		{args: "quota show other", want: has{"load_balancer": -1, "listener": 2, "l7policy": 6, "l7rule": -1}},
		{args: "quota unset --listener --pool --member --healthmonitor --l7policy other"},
		{args: "quota show other", want: has{"listener": -1, "pool": -1, "member": -1, "health_monitor": -1, "l7policy": -1}},
		{args: "quota set --listener 9 other", want: has{"listener": 9}},
		{args: "quota reset other"},
		{args: "quota show other", want: has{"listener": -1}},
		{args: "quota set other", fails: "Missing required argument"},
	}
}

func providerScript() []step {
	return []step{
		{args: "provider list", want: has{"name": "amphora"}},
		{args: "provider capability list amphora", want: has{"type": "flavor", "name": "loadbalancer_topology"}},
		{args: "provider capability list amphora --flavor", want: has{"type": "flavor", "name": "compute_flavor"}},
		{args: "provider capability list amphora --availability-zone", want: has{"type": "availability_zone", "name": "compute_zone"}},
		{args: "provider capability list unknown", fails: "(HTTP 400)"},
	}
}

func flavorScript() []step {
	return []step{
		{
			args: `flavorprofile create --name fp --provider amphora --flavor-data {"loadbalancer_topology":"ACTIVE_STANDBY"}`,
			want: has{"name": "fp", "provider_name": "amphora", "flavor_data": `{"loadbalancer_topology":"ACTIVE_STANDBY"}`},
			save: "profile",
		},
		{args: `flavorprofile create --name bad --provider amphora --flavor-data {"colour":"blue"}`, fails: "'colour' was unexpected) (HTTP 501)"},
		{args: "flavorprofile list --name fp --provider amphora", want: has{"id": "$profile"}, rows: 1},
		{args: `flavorprofile set --name fp-new --provider amphora --flavor-data {"loadbalancer_topology":"SINGLE"} fp`},
		{args: "flavorprofile show fp-new", want: has{"id": "$profile", "flavor_data": `{"loadbalancer_topology":"SINGLE"}`}},
		{
			args: "flavor create --name fl --flavorprofile fp-new --description first --enable",
			want: has{"name": "fl", "flavor_profile_id": "$profile", "description": "first", "enabled": true},
			save: "flavor",
		},
		{args: "flavor list --name fl --flavorprofile fp-new --enable", want: has{"id": "$flavor", "enabled": true}, rows: 1},
		{args: "flavorprofile delete fp-new", fails: "(HTTP 409)"},
		{args: `flavorprofile set --flavor-data {"loadbalancer_topology":"SINGLE"} fp-new`, fails: "(HTTP 409)"},
		{args: "create --name fl-lb --vip-subnet-id $subnet --flavor fl --wait", want: has{"flavor_id": "$flavor", "provisioning_status": "ACTIVE"}},
		{args: "list --flavor fl", want: has{"name": "fl-lb"}, rows: 1},
		{args: "flavor delete fl", fails: "(HTTP 409)"},
		{args: "delete --wait fl-lb"},
		{args: "flavor set --name fl-new --disable fl"},
		{args: "flavor show fl-new", want: has{"id": "$flavor", "enabled": false, "description": "first"}},
		{args: "flavor unset --description fl-new"},
		{args: "flavor show fl-new", want: has{"description": ""}},
		{args: "create --name fl-lb --vip-subnet-id $subnet --flavor fl-new", fails: "(HTTP 400)"},
		{args: "flavor delete fl-new"},
		{args: "flavor show fl-new", fails: "Unable to locate"},
		{args: "flavorprofile delete fp-new"},
		{args: "flavorprofile show fp-new", fails: "Unable to locate"},
	}
}

func zoneScript() []step {
	return []step{
		{
			args: `availabilityzoneprofile create --name zp --provider amphora --availability-zone-data {"compute_zone":"nova"}`,
			want: has{"name": "zp", "provider_name": "amphora", "availability_zone_data": `{"compute_zone":"nova"}`},
			save: "profile",
		},
		{args: `availabilityzoneprofile create --name bad --provider amphora --availability-zone-data {"colour":"blue"}`, fails: "'colour' was unexpected) (HTTP 501)"},
		{args: "availabilityzoneprofile list --name zp --provider amphora", want: has{"id": "$profile"}, rows: 1},
		{args: `availabilityzoneprofile set --name zp-new --provider amphora zp`},
		{args: "availabilityzoneprofile show zp-new", want: has{"id": "$profile", "availability_zone_data": `{"compute_zone":"nova"}`}},
		{
			args: "availabilityzone create --name az --availabilityzoneprofile zp-new --description first --enable",
			want: has{"name": "az", "availability_zone_profile_id": "$profile", "description": "first", "enabled": true},
		},
		{args: "availabilityzone list --name az --availabilityzoneprofile zp-new --enable", want: has{"name": "az", "enabled": true}, rows: 1},
		{args: "availabilityzoneprofile delete zp-new", fails: "(HTTP 409)"},
		{args: "create --name az-lb --vip-subnet-id $subnet --availability-zone az --wait", want: has{"availability_zone": "az", "provisioning_status": "ACTIVE"}},
		{args: "list --availability-zone az", want: has{"name": "az-lb"}, rows: 1},
		{args: "availabilityzone delete az", fails: "(HTTP 409)"},
		{args: "delete --wait az-lb"},
		{args: "availabilityzone set --description second --disable az"},
		{args: "availabilityzone show az", want: has{"enabled": false, "description": "second"}},
		{args: "availabilityzone unset --description az"},
		{args: "availabilityzone show az", want: has{"description": ""}},
		{args: "create --name az-lb --vip-subnet-id $subnet --availability-zone az", fails: "(HTTP 400)"},
		{args: "availabilityzone delete az"},
		{args: "availabilityzone show az", fails: "status 1"},
		{args: "availabilityzoneprofile delete zp-new"},
		{args: "availabilityzoneprofile show zp-new", fails: "Unable to locate"},
	}
}

func amphoraScript() []step {
	return []step{
		{args: "create --name amp-lb --vip-subnet-id $subnet --wait", save: "lb"},
		{args: "amphora list --loadbalancer amp-lb --role STANDALONE --status ALLOCATED", want: has{"loadbalancer_id": "$lb", "role": "STANDALONE"}, rows: 1, save: "amphora"},
		{args: "amphora list --long --loadbalancer amp-lb", want: has{"id": "$amphora", "status": "ALLOCATED"}, rows: 1},
		{args: "amphora show $amphora", want: has{"loadbalancer_id": "$lb", "status": "ALLOCATED", "role": "STANDALONE", "cert_busy": false}},
		{args: "amphora configure $amphora --wait"},
		{args: "amphora delete $amphora", fails: "(HTTP 409)"},
		{args: "amphora failover $amphora --wait"},
		{args: "amphora show $amphora", fails: "(HTTP 404)", soon: true},
		{args: "amphora list --loadbalancer amp-lb", want: has{"status": "ALLOCATED"}, rows: 1, save: "next"},
		{args: "amphora stats show $next", fails: "(HTTP 404)"},
		{args: "failover --wait amp-lb"},
		{args: "amphora show $next", fails: "(HTTP 404)", soon: true},
		{args: "delete --cascade --wait amp-lb"},
	}
}

package e2e_test

// scripts call all commands. Each makes what it needs and leaves nothing.
func scripts() []script {
	return []script{
		{name: "load balancer", steps: loadBalancerScript()},
		{name: "listener", steps: listenerScript()},
		{name: "pool", steps: poolScript()},
		{name: "member", steps: memberScript()},
		{name: "health monitor", steps: healthMonitorScript()},
		{name: "l7", steps: l7Script()},
		{name: "quota", admin: true, steps: quotaScript()},
		{name: "provider", admin: true, steps: providerScript()},
		{name: "flavor", admin: true, steps: flavorScript()},
		{name: "availability zone", admin: true, steps: zoneScript()},
		{name: "amphora", admin: true, steps: amphoraScript()},
	}
}

func loadBalancerScript() []step {
	return []step{
		{
			args: "create --name lb --description first --vip-subnet-id $subnet --vip-address 10.10.77.7 --provider amphora " +
				"--additional-vip subnet-id=$second,ip-address=10.11.0.77 --vip-qos-policy-id slow --tag one --tag two --wait",
			want: has{
				"name": "lb", "description": "first", "vip_address": "10.10.77.7", "vip_subnet_id": "$subnet", "vip_network_id": "$network",
				"vip_qos_policy_id": "$policy", "provider": "amphora", "admin_state_up": true, "provisioning_status": "ACTIVE",
				"tags": "one\ntwo", "flavor_id": nil, "availability_zone": nil,
			},
			save: "lb",
		},
		{args: "show lb", want: has{"id": "$lb", "name": "lb", "provisioning_status": "ACTIVE", "listeners": ""}},
		{args: "list --name lb", want: has{"id": "$lb", "vip_address": "10.10.77.7", "project_id": "$project", "provider": "amphora"}, rows: 1},
		{args: "list --tags one,two --vip-subnet-id $subnet --provisioning-status ACTIVE --enable", want: has{"id": "$lb"}, rows: 1},
		{args: "list --any-tags two,other --vip-qos-policy-id slow --vip-network-id tenant-net", want: has{"id": "$lb"}, rows: 1},
		{args: "list --name lb --not-any-tags one", rows: none},
		{args: "set --name other --description second --disable --tag three lb"},
		{args: "show other", want: has{"id": "$lb", "description": "second", "admin_state_up": false, "tags": "one\nthree\ntwo"}},
		{args: "unset --name --description --vip-qos-policy-id --tag one other"},
		{args: "show $lb", want: has{"name": "", "description": "", "vip_qos_policy_id": nil, "tags": "three\ntwo"}},
		{args: "set --name lb --enable --no-tag $lb"},
		{args: "show lb", want: has{"tags": "", "admin_state_up": true}},
		{args: "stats show lb", want: has{"active_connections": 0, "bytes_in": 0, "bytes_out": 0, "request_errors": 0, "total_connections": 0}},
		{args: "status show lb"},
		{args: "failover lb", fails: "(HTTP 403)"},
		{args: "delete --cascade --wait lb"},
		{args: "show lb", fails: "Unable to locate lb in loadbalancers"},
		{args: "create --name lb", fails: "Missing required argument"},
		{args: "create --name lb --vip-subnet-id $subnet --flavor none", fails: "Unable to locate none in flavors"},
	}
}

func listenerScript() []step {
	return []step{
		{args: "create --name lis-lb --vip-network-id tenant-net", want: has{"provisioning_status": "PENDING_CREATE"}, save: "lb"},
		{args: "pool create --name lis-pool --loadbalancer lis-lb --protocol HTTP --lb-algorithm ROUND_ROBIN", save: "pool"},
		{
			args: "listener create --name lis --description first --protocol HTTP --protocol-port 80 --connection-limit 500 " +
				"--insert-headers X-Forwarded-For=true,X-Forwarded-Port=true --default-pool lis-pool --timeout-client-data 1000 " +
				"--timeout-member-connect 2000 --timeout-member-data 3000 --timeout-tcp-inspect 4 --allowed-cidr 10.0.0.0/8 " +
				"--allowed-cidr 192.168.0.0/16 --tag one --enable lis-lb",
			want: has{
				"name": "lis", "description": "first", "protocol": "HTTP", "protocol_port": 80, "connection_limit": 500,
				"default_pool_id": "$pool", "timeout_client_data": 1000, "timeout_member_connect": 2000, "timeout_member_data": 3000,
				"timeout_tcp_inspect": 4, "allowed_cidrs": "10.0.0.0/8\n192.168.0.0/16", "loadbalancers": "$lb", "tags": "one",
				"insert_headers": "X-Forwarded-For=true\nX-Forwarded-Port=true", "admin_state_up": true, "client_authentication": "NONE",
			},
			save: "listener",
		},
		{args: "listener create --name lis-2 --protocol HTTP --protocol-port 80 lis-lb", fails: "(HTTP 409)"},
		{args: "listener create --protocol UDP --protocol-port 53 --wait lis-lb", want: has{"provisioning_status": "ACTIVE"}, save: "udp"},
		{args: "listener list --loadbalancer lis-lb", want: has{"id": "$listener", "protocol_port": 80}, rows: 2},
		{args: "listener list --name lis --tags one --enable", want: has{"id": "$listener", "default_pool_id": "$pool", "project_id": "$project"}, rows: 1},
		{args: "listener show lis", want: has{"id": "$listener", "provisioning_status": "ACTIVE"}},
		{
			args: "listener set --name lis-new --description second --connection-limit 9 --insert-headers X-Forwarded-Proto=true --disable " +
				"--timeout-client-data 9000 --timeout-member-connect 8000 --timeout-member-data 7000 --timeout-tcp-inspect 6 " +
				"--allowed-cidr 10.1.0.0/16 --tls-version TLSv1.3 --tls-ciphers ECDHE-RSA-AES128-GCM-SHA256 --alpn-protocol http/1.1 --tag two lis",
		},
		{args: "listener show lis-new", want: has{
			"description": "second", "connection_limit": 9, "insert_headers": "X-Forwarded-Proto=true", "admin_state_up": false,
			"timeout_client_data": 9000, "timeout_member_connect": 8000, "timeout_member_data": 7000, "timeout_tcp_inspect": 6,
			"allowed_cidrs": "10.1.0.0/16", "tls_versions": "TLSv1.3", "tls_ciphers": "ECDHE-RSA-AES128-GCM-SHA256",
			"alpn_protocols": "http/1.1", "tags": "one\ntwo",
		}},
		{
			args: "listener unset --name --description --connection-limit --default-pool --insert-headers --timeout-client-data " +
				"--timeout-member-connect --timeout-member-data --timeout-tcp-inspect --allowed-cidrs --tls-versions --tls-ciphers " +
				"--alpn-protocols --client-ca-tls-container-ref --client-crl-container-ref " +
				"--default-tls-container-ref --sni-container-refs --all-tag lis-new",
		},
		{args: "listener show $listener", want: has{
			"name": "", "description": "", "connection_limit": -1, "default_pool_id": nil, "insert_headers": nil, "tags": "",
			"timeout_client_data": 50000, "timeout_member_connect": 5000, "timeout_member_data": 50000, "timeout_tcp_inspect": 0,
			"allowed_cidrs": nil,
		}},
		{args: "listener unset --client-authentication $listener", fails: "requires a client CA container reference. (HTTP 400)"},
		{args: "listener stats show $listener", want: has{"active_connections": 0, "bytes_in": 0, "total_connections": 0}},
		{args: "listener delete $udp"},
		{args: "listener delete $listener"},
		{args: "delete --cascade --wait lis-lb"},
		{args: "listener show $listener", fails: "Unable to locate"},
	}
}

func poolScript() []step {
	return []step{
		{args: "create --name pool-lb --vip-subnet-id $subnet", save: "lb"},
		{args: "listener create --name pool-lis --protocol HTTP --protocol-port 80 pool-lb", save: "listener"},
		{
			args: "pool create --name pool --description first --listener pool-lis --protocol HTTP --lb-algorithm LEAST_CONNECTIONS " +
				"--session-persistence type=APP_COOKIE,cookie_name=monster --enable-tls --tls-version TLSv1.2 --tls-version TLSv1.3 " +
				"--tls-ciphers ECDHE-RSA-AES128-GCM-SHA256 --alpn-protocol http/1.1 --tag one",
			want: has{
				"name": "pool", "description": "first", "protocol": "HTTP", "lb_algorithm": "LEAST_CONNECTIONS", "listeners": "$listener",
				"loadbalancers": "$lb", "tls_enabled": true, "tls_versions": "TLSv1.2\nTLSv1.3", "alpn_protocols": "http/1.1",
				"tls_ciphers": "ECDHE-RSA-AES128-GCM-SHA256", "tags": "one", "healthmonitor_id": "", "members": "",
			},
			save: "pool",
		},
		{args: "pool create --name udp --loadbalancer pool-lb --protocol UDP --lb-algorithm SOURCE_IP_PORT", fails: "(HTTP 501)"},
		{args: "pool create --name free --loadbalancer pool-lb --protocol TCP --lb-algorithm SOURCE_IP --disable --wait", want: has{"provisioning_status": "ACTIVE"}, save: "free"},
		{args: "pool list --loadbalancer pool-lb", want: has{"id": "$pool", "protocol": "HTTP", "admin_state_up": true}, rows: 2},
		{args: "pool list --tags one", want: has{"id": "$pool", "lb_algorithm": "LEAST_CONNECTIONS", "project_id": "$project"}, rows: 1},
		{
			args: "pool set --name pool-new --description second --lb-algorithm SOURCE_IP --session-persistence type=SOURCE_IP --disable " +
				"--disable-tls --tls-version TLSv1.3 --tls-ciphers ECDHE-RSA-AES256-GCM-SHA384 --alpn-protocol h2 --tag two pool",
		},
		{args: "pool show pool-new", want: has{
			"description": "second", "lb_algorithm": "SOURCE_IP", "admin_state_up": false, "tls_enabled": false, "tls_versions": "TLSv1.3",
			"tls_ciphers": "ECDHE-RSA-AES256-GCM-SHA384", "alpn_protocols": "h2", "tags": "one\ntwo",
		}},
		{
			args: "pool unset --name --description --session-persistence --tls-versions --tls-ciphers --alpn-protocols " +
				"--ca-tls-container-ref --crl-container-ref --tls-container-ref --tag one pool-new",
		},
		{args: "pool show $pool", want: has{"name": "", "description": "", "session_persistence": nil, "tags": "two"}},
		{args: "pool delete free"},
		{args: "pool delete --wait $pool"},
		{args: "pool show $pool", fails: "Unable to locate"},
		{args: "delete --cascade --wait pool-lb"},
	}
}

func memberScript() []step {
	return []step{
		{args: "create --name mem-lb --vip-subnet-id $subnet", save: "lb"},
		{args: "pool create --name mem-pool --loadbalancer mem-lb --protocol TCP --lb-algorithm ROUND_ROBIN", save: "pool"},
		{
			args: "member create --name mem --address 192.0.2.10 --protocol-port 8080 --weight 7 --subnet-id $subnet --monitor-port 8081 " +
				"--monitor-address 192.0.2.11 --enable-backup --tag one --wait mem-pool",
			want: has{
				"name": "mem", "address": "192.0.2.10", "protocol_port": 8080, "weight": 7, "subnet_id": "$subnet", "monitor_port": 8081,
				"monitor_address": "192.0.2.11", "backup": true, "tags": "one", "admin_state_up": true, "provisioning_status": "ACTIVE",
			},
			save: "member",
		},
		{args: "member create --address 192.0.2.10 --protocol-port 8080 mem-pool", fails: "(HTTP 409)"},
		{args: "member create --address nowhere --protocol-port 80 mem-pool", fails: "(HTTP 400)"},
		{args: "member create --address 2001:db8::5 --protocol-port 80 --disable mem-pool", want: has{"weight": 1, "admin_state_up": false}, save: "six"},
		{args: "member list mem-pool", want: has{"id": "$member", "address": "192.0.2.10", "protocol_port": 8080, "weight": 7, "project_id": "$project"}, rows: 2},
		{args: "member list --tags one mem-pool", want: has{"id": "$member"}, rows: 1},
		{args: "member show mem-pool mem", want: has{"id": "$member"}},
		{args: "member set --name mem-new --weight 0 --monitor-port 9 --monitor-address 192.0.2.12 --disable-backup --disable --tag two mem-pool mem"},
		{args: "member show mem-pool mem-new", want: has{
			"weight": 0, "monitor_port": 9, "monitor_address": "192.0.2.12", "backup": false, "admin_state_up": false, "tags": "one\ntwo",
		}},
		{args: "member unset --name --weight --backup --monitor-port --monitor-address --all-tag mem-pool mem-new"},
		{args: "member show mem-pool $member", want: has{
			"name": "", "weight": 1, "backup": false, "monitor_port": nil, "monitor_address": nil, "tags": "",
		}},
		{args: "member delete mem-pool $six"},
		{args: "member delete --wait mem-pool $member"},
		{args: "member show mem-pool $member", fails: "Unable to locate"},
		{args: "delete --cascade --wait mem-lb"},
	}
}

func healthMonitorScript() []step {
	return []step{
		{args: "create --name mon-lb --vip-subnet-id $subnet", save: "lb"},
		{args: "pool create --name mon-pool --loadbalancer mon-lb --protocol HTTP --lb-algorithm ROUND_ROBIN", save: "pool"},
		{
			args: "healthmonitor create --name mon --delay 5 --timeout 4 --max-retries 3 --max-retries-down 2 --type HTTP --http-method HEAD " +
				"--http-version 1.1 --domain-name example.com --expected-codes 200,204 --url-path /alive --tag one --wait mon-pool",
			want: has{
				"name": "mon", "delay": 5, "timeout": 4, "max_retries": 3, "max_retries_down": 2, "type": "HTTP", "http_method": "HEAD",
				"http_version": 1.1, "domain_name": "example.com", "expected_codes": "200,204", "url_path": "/alive", "pools": "$pool",
				"tags": "one", "admin_state_up": true, "provisioning_status": "ACTIVE",
			},
			save: "monitor",
		},
		{args: "healthmonitor create --delay 5 --timeout 4 --max-retries 3 --type TCP mon-pool", fails: "(HTTP 409)"},
		{args: "pool show mon-pool", want: has{"healthmonitor_id": "$monitor"}},
		{args: "healthmonitor list --tags one", want: has{"id": "$monitor", "name": "mon", "type": "HTTP", "project_id": "$project"}, rows: 1},
		{
			args: "healthmonitor set --name mon-new --delay 9 --timeout 8 --max-retries 7 --max-retries-down 6 --http-method POST " +
				"--http-version 1.1 --domain-name example.org --expected-codes 200-204 --url-path /well --disable --tag two mon",
		},
		{args: "healthmonitor show mon-new", want: has{
			"delay": 9, "timeout": 8, "max_retries": 7, "max_retries_down": 6, "http_method": "POST", "http_version": 1.1, "domain_name": "example.org",
			"expected_codes": "200-204", "url_path": "/well", "admin_state_up": false, "tags": "one\ntwo",
		}},
		{
			args: "healthmonitor unset --name --domain-name --expected-codes --http-method --http-version --max-retries-down --url-path " +
				"--tag one mon-new",
		},
		{args: "healthmonitor show $monitor", want: has{
			"name": "", "domain_name": nil, "expected_codes": "200", "http_method": "GET", "max_retries_down": 3, "url_path": "/", "tags": "two",
		}},
		{args: "healthmonitor delete --wait $monitor"},
		{args: "healthmonitor show $monitor", fails: "Unable to locate"},
		{args: "delete --cascade --wait mon-lb"},
	}
}

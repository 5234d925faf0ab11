package haproxy_test

import (
	"net/netip"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/haproxy"
)

// init adds the combinations in which upstream's own tests see its template.
func init() {
	on := func(name string, change func(lb *amphora.LoadBalancer)) {
		goldens[name] = func(lb *amphora.LoadBalancer, _ *haproxy.Options) { change(lb) }
	}
	options := func(name string, change func(lb *amphora.LoadBalancer, o *haproxy.Options)) { goldens[name] = change }

	on("tls-suites", func(lb *amphora.LoadBalancer) {
		t := terminated(lb)
		t.Ciphers, t.Versions = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256", []string{"TLSv1.3"}
		lb.Pools[0].TLS = &amphora.PoolTLS{Ciphers: "TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256", Versions: []string{"TLSv1.2", "TLSv1.3"}}
	})
	on("tls-no-ciphers", func(lb *amphora.LoadBalancer) { terminated(lb).Ciphers = "" })
	on("tls-no-versions", func(lb *amphora.LoadBalancer) { terminated(lb).Versions = nil })
	on("tls-bare", func(lb *amphora.LoadBalancer) {
		t := terminated(lb)
		t.Ciphers, t.Versions, t.ALPN = "", nil, nil
	})
	on("tls-hsts-max-age", func(lb *amphora.LoadBalancer) { terminated(lb).HSTS = &amphora.HSTS{MaxAge: 300} })
	on("tls-client-auth-mandatory", func(lb *amphora.LoadBalancer) {
		t := terminated(lb)
		t.ClientCAFile, t.ClientAuth = caFile, "MANDATORY"
	})
	on("tls-rules", func(lb *amphora.LoadBalancer) {
		t := terminated(lb)
		t.ClientCAFile, t.ClientAuth = caFile, "OPTIONAL"
		lb.Listeners[0].Policies = reject("SSL_VERIFY_RESULT", "", "0")
		more := reject("SSL_DN_FIELD", "STREET", "road a")
		more[0].Rules[0].ID, more[0].Rules[0].CompareType = "r2", "REGEX"
		lb.Listeners[0].Policies[0].Rules = append(lb.Listeners[0].Policies[0].Rules, more[0].Rules...)
	})
	on("prometheus-tls", func(lb *amphora.LoadBalancer) {
		terminated(lb)
		lb.Listeners[0].Protocol, lb.Listeners[0].DefaultPoolID, lb.Pools = "PROMETHEUS", "", nil
	})

	on("additional-vips", func(lb *amphora.LoadBalancer) {
		lb.AdditionalVIPs = []netip.Addr{netip.MustParseAddr("10.10.20.100"), netip.MustParseAddr("2001:db8::2")}
	})
	on("timeouts", func(lb *amphora.LoadBalancer) {
		l := &lb.Listeners[0]
		l.TimeoutClientData, l.TimeoutMemberConnect, l.TimeoutMemberData, l.TimeoutTCPInspect = 2, 1, 3, 4
	})
	on("timeouts-unset", func(lb *amphora.LoadBalancer) {
		l := &lb.Listeners[0]
		l.TimeoutClientData, l.TimeoutMemberConnect, l.TimeoutMemberData, l.TimeoutTCPInspect = 0, 0, 0, 0
	})
	options("timeouts-configured", func(lb *amphora.LoadBalancer, o *haproxy.Options) {
		l := &lb.Listeners[0]
		l.TimeoutClientData, l.TimeoutMemberConnect, l.TimeoutMemberData, l.TimeoutTCPInspect = 0, 0, 0, 0
		o.TimeoutClientData, o.TimeoutMemberConnect, o.TimeoutMemberData, o.TimeoutTCPInspect = 60000, 7000, 80000, 90
	})
	on("limited", func(lb *amphora.LoadBalancer) { lb.Listeners[0].ConnectionLimit = 2014 })
	options("logs-elsewhere", func(_ *amphora.LoadBalancer, o *haproxy.Options) {
		o.UserLogFacility, o.AdministrativeLogFacility, o.UserLogFormat = 3, 4, `{{ project_id }} {{ lb_id }} %f %ci %{+Q}r "%ST"`
	})
	options("tls-cache", func(lb *amphora.LoadBalancer, o *haproxy.Options) {
		terminated(lb)
		lb.Listeners[0].ConnectionLimit = 2000
		o.MemoryKiB = 160 << 10
	})

	on("backup", func(lb *amphora.LoadBalancer) {
		p := &lb.Pools[0]
		p.Monitor = monitor("HTTP")
		p.Monitor.HTTPVersion = 1.0
		p.Members[1].Backup, p.Members[1].MonitorAddress, p.Members[1].MonitorPort = true, netip.MustParseAddr("192.168.1.1"), 9000
	})
	on("member-disabled", func(lb *amphora.LoadBalancer) { lb.Pools[0].Members[0].Enabled = false })
	on("monitor-disabled", func(lb *amphora.LoadBalancer) {
		lb.Pools[0].Monitor = monitor("HTTP")
		lb.Pools[0].Monitor.Enabled = false
	})
	on("no-members", func(lb *amphora.LoadBalancer) { lb.Pools[0].Members = nil })
	on("hello-monitor", func(lb *amphora.LoadBalancer) {
		lb.Listeners[0].Protocol, lb.Listeners[0].Port, lb.Pools[0].Protocol = "HTTPS", 443, "HTTPS"
		lb.Pools[0].Monitor = monitor("TLS-HELLO")
	})
	on("https-persistent", func(lb *amphora.LoadBalancer) {
		lb.Listeners[0].Protocol, lb.Listeners[0].Port, lb.Pools[0].Protocol = "HTTPS", 443, "HTTPS"
		lb.Pools[0].Persistence = &amphora.Persistence{Type: "SOURCE_IP"}
	})
	options("app-cookie-active-standby", func(lb *amphora.LoadBalancer, _ *haproxy.Options) {
		lb.Topology = "ACTIVE_STANDBY"
		lb.Pools[0].Persistence = &amphora.Persistence{Type: "APP_COOKIE", CookieName: "JSESSIONID"}
		lb.Peers = []amphora.Peer{{AmphoraID: version26.AmphoraID, Address: netip.MustParseAddr("2001:db8::5")}}
	})
	on("proxy", func(lb *amphora.LoadBalancer) { lb.Pools[0].Protocol = "PROXY" })
	on("members-certificate", func(lb *amphora.LoadBalancer) {
		lb.Pools[0].TLS = &amphora.PoolTLS{CertificateFile: certFile, ALPN: []string{"h2", "http/1.1"}}
		lb.Pools[0].Monitor = monitor("HTTP")
	})
	on("members-verified", func(lb *amphora.LoadBalancer) {
		lb.Pools[0].TLS = &amphora.PoolTLS{CAFile: caFile, Ciphers: "ECDHE-RSA-AES256-GCM-SHA384", Versions: []string{"TLSv1.2"}}
	})
	on("two-listeners-one-pool", func(lb *amphora.LoadBalancer) {
		second := lb.Listeners[0]
		second.ID, second.Port = "20000000-0000-4000-8000-000000000002", 8080
		lb.Listeners = append(lb.Listeners, second)
	})
	on("l7-disabled-parts", func(lb *amphora.LoadBalancer) {
		p := reject("PATH", "", "/a")
		off := p[0].Rules[0]
		off.ID, off.Enabled = "r2", false
		p[0].Rules = append(p[0].Rules, off)
		none := reject("PATH", "", "/b")[0]
		none.ID, none.Enabled = "p2", false
		unused := reject("PATH", "", "/c")[0]
		unused.ID, unused.Rules[0].ID, unused.Rules[0].Enabled = "p3", "r3", false
		lb.Listeners[0].Policies = append(p, none, unused)
	})
	on("l7-redirect-codes", func(lb *amphora.LoadBalancer) {
		for i, code := range []int{301, 302, 303, 307, 308} {
			p := reject("PATH", "", "/a")[0]
			p.ID, p.Rules[0].ID = "p"+string(rune('1'+i)), "r"+string(rune('1'+i))
			p.Action, p.RedirectPrefix, p.RedirectHTTPCode = "REDIRECT_PREFIX", "https://example.com", code
			lb.Listeners[0].Policies = append(lb.Listeners[0].Policies, p)
		}
	})
}

//go:build interop

package e2e_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"

	"github.com/ottavino/ottavino/internal/certtest"
)

// TestUpstreamAgent drives the agent of Debian's python3-octavia, which has nothing beyond API 1.0, through the life of a load balancer.
func TestUpstreamAgent(t *testing.T) {
	installed(t, "amphora-agent", "amphora-interface", "ipvsadm", "haproxy")
	image, err := filepath.Abs("testdata/upstream-amphora")
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, labOptions{instances: true, agent: image, conf: quickHealth + quickRotation})
	l.serve()
	l.showConsoles()
	s := l.begin()
	s.isWatched()
	s.isCounted()
	s.isConfiguredAnew()
	s.isRotated()
	s.memberChanges()
	s.policyDecides()
	s.reachesAnotherNetwork()
	s.servesManyKinds()
	s.terminates()
	s.refusesOne()
	s.speaksPlainly(9) // from listener to TLS listener, what needs no haproxy.cfg aside
	s.amphoraDies()
	s.speaksPlainly(1)
	s.end()
}

// refusesOne has haproxy refuse a listener, whose key is too short: it is in ERROR, its sibling serves, and goes on when it is gone.
func (s *story) refusesOne() {
	s.t.Helper()
	weak := s.tlsLab.listener(8443, s.actor.pool, listeners.CreateOpts{DefaultTlsContainerRef: s.store(certtest.Weak(s.t, "weak").Bundle())})
	within(s.t, 30*time.Second, "the listener is in ERROR", func() bool {
		l, err := listeners.Get(s.t.Context(), s.tenant, weak).Extract()
		return err == nil && l.ProvisioningStatus == "ERROR"
	})
	s.site.active()
	s.site.addMember()
	if err := listeners.Delete(s.t.Context(), s.tenant, weak).ExtractErr(); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
}

// api10 are the requests that API 1.0 has, as far as drivers use them.
var api10 = regexp.MustCompile(`^(GET /|GET /1\.0/(info|details|listeners)|(GET|PUT) /1\.0/loadbalancer/[^/]+(/[^/]+)?/haproxy|` +
	`PUT /1\.0/loadbalancer/[^/]+/(start|stop|reload)|DELETE /1\.0/listeners/[^/]+|(GET|PUT|DELETE) /1\.0/loadbalancer/[^/]+/certificates/[^/]+|` +
	`POST /1\.0/plug/(vip/[^/]+|network)|PUT /1\.0/(certificate|config)) HTTP/1\.1$`)

// accessLine is a line of the agent's log of requests.
var accessLine = regexp.MustCompile(`"([A-Z]+ /\S* HTTP/1\.1)" (\d{3}) `)

// speaksPlainly tests that the agent was asked only for what API 1.0 has, and that every change was an upload and a reload.
func (s *story) speaksPlainly(changes int) {
	s.t.Helper()
	text := must[[]byte](s.t)(s.sandbox.Exec(s.t.Context(), s.site.amphora(), "cat", "/var/log/amphora-agent.log"))
	uploads, reloads := 0, 0
	for _, m := range accessLine.FindAllStringSubmatch(string(text), -1) {
		request, code := m[1], m[2]
		if !api10.MatchString(request) || code == "405" || code[0] == '5' {
			s.t.Errorf("the agent was asked for %s and answered %s", request, code)
		}
		if strings.HasPrefix(request, "PUT") && strings.Contains(request, "/haproxy ") {
			uploads++
		}
		if strings.Contains(request, "/reload ") {
			reloads++
		}
	}
	if uploads < changes || reloads < uploads {
		s.t.Errorf("the agent got %d configurations and %d reloads, want as many as %d changes", uploads, reloads, changes)
	}
}

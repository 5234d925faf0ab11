package e2e_test

import (
	"testing"
	"time"

	"github.com/ottavino/ottavino/demo"
)

// TestDemo plays the story of `make demo`: it checks all it tells.
func TestDemo(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	err := demo.Run(t.Context(), demo.Options{API: l.tenant, SubnetID: l.subnetID(), Lab: l.demoLab(), Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAgentDiesUnderTraffic kills the agent in an amphora, again and again, while requests flow
// through the VIP. haproxy outlives it; no request fails; and the agent that comes back
// takes changes.
func TestAgentDiesUnderTraffic(t *testing.T) {
	l := newLab(t, labOptions{instances: true})
	l.serve()
	site := l.site(2)
	stop := site.keepAsking()
	for range 3 {
		if err := l.sandbox.KillAgent(t.Context(), site.amphora()); err != nil {
			t.Fatal(err)
		}
		site.addMember()
	}
	answers := stop()
	if answers.failed > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", answers.failed, answers.total, answers.first)
	}
	if answers.total < 50 || len(answers.by) != 5 {
		t.Errorf("got %d answers of %d backends, want more than 50 of 5", answers.total, len(answers.by))
	}
	site.remove()
	l.assertNoLeaks()
}

// TestAmphoraDies crashes a whole amphora: it is replaced and traffic flows again.
func TestAmphoraDies(t *testing.T) {
	l := newLab(t, labOptions{instances: true, conf: "[health_manager]\nheartbeat_timeout = 3\nheartbeat_interval = 1\nhealth_check_interval = 1\n"})
	l.serve()
	site := l.site(1)
	old := site.amphora()
	if err := l.sandbox.KillInstance(old); err != nil {
		t.Fatal(err)
	}
	within(t, 60*time.Second, "another amphora answers through the VIP", func() bool {
		_, err := site.ask()
		return err == nil && site.amphora() != old
	})
	site.remove()
	l.assertNoLeaks()
}

package agent_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/amphora/keepalived"
)

// testUDPTrouble is about what keepalived cannot do, and about what is left of one that was killed.
func testUDPTrouble(t *testing.T) {
	r := newRig(t)
	r.nic()
	if err := r.plug(); err != nil {
		t.Fatal(err)
	}
	one := r.udpEcho("one")
	t.Run("a keepalived that starts is no pool that is down", func(t *testing.T) {
		r.serves(r.udpConfig(monitored))
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan string, 1)
		go func() {
			for ctx.Err() == nil {
				if m := r.agent.MeasureUDP(); len(m.Listeners) != 1 || m.Pools[udpPool].Status != "UP" {
					told <- fmt.Sprint(m)
					return
				}
			}
			told <- ""
		}()
		for range 2 {
			r.serves(r.udpConfig(monitored, one.member()))
			r.serves(r.udpConfig(monitored))
		}
		cancel()
		if wrong := <-told; wrong != "" {
			t.Errorf("meanwhile a heartbeat would tell %s", wrong)
		}
	})
	t.Run("keepalived does not serve", func(t *testing.T) {
		good := r.udpConfig(nil, one.member())
		r.serves(good)
		r.untilAnswered("one")
		bad := []byte(strings.Replace(string(good), "virtual_server group ipv4-group", "virtual_server group other", 1))
		var err error
		for range 3 { // a controller that is told so asks again, and waits for a while only
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			err = r.driver.ApplyListener(ctx, r.target, udpListener, bad)
			cancel()
		}
		if err == nil {
			t.Errorf("got no error, and the kernel has %s", r.inside("cat", "/proc/net/ip_vs"))
		}
		r.serves(good)
		r.untilAnswered("one")
	})
	t.Run("a killed keepalived leaves nothing to a disabled listener", func(t *testing.T) {
		r.serves(r.udpConfig(nil, one.member()))
		r.stop()
		r.killKeepalived()
		cfg, err := keepalived.Render(amphora.LoadBalancer{ID: lbID, Enabled: true, Listeners: []amphora.Listener{{ID: udpListener, Protocol: "UDP", Port: udpPort}}},
			udpListener, keepalived.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(r.udpFile(".conf"), cfg, 0o644); err != nil {
			t.Fatal(err)
		}
		r.run()
		if got := r.inside("cat", "/proc/net/ip_vs"); strings.Contains(got, "UDP ") {
			t.Errorf("of a disabled listener the kernel has %s", got)
		}
	})
}

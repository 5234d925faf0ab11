package amphora_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ottavino/ottavino/amphora"
)

// TestSetRules compares what is sent with what agents expect: exactly three keys, and a list when there is nothing to say.
func TestSetRules(t *testing.T) {
	t.Parallel()
	a := newAgent(t, amphoraID, map[string]answer{
		"PUT /1.0/interface/10.0.0.5/rules": ok(`{}`), "PUT /1.0/interface/2001:db8::5/rules": ok(`{}`),
	})
	d := driver(t, a, nil)
	cidr := "192.0.2.0/24"
	rules := []amphora.FirewallRule{{Protocol: "TCP", CIDR: &cidr, Port: 80}, {Protocol: "UDP", Port: 53}}
	if err := d.SetRules(t.Context(), a.target(), netip.MustParseAddr("10.0.0.5"), rules); err != nil {
		t.Error(err)
	}
	if err := d.SetRules(t.Context(), a.target(), netip.MustParseAddr("2001:db8::5"), nil); err != nil {
		t.Error(err)
	}
	for call, want := range map[string]string{
		"PUT /1.0/interface/10.0.0.5/rules":    `[{"protocol":"TCP","cidr":"192.0.2.0/24","port":80},{"protocol":"UDP","cidr":null,"port":53}]`,
		"PUT /1.0/interface/2001:db8::5/rules": `[]`,
	} {
		if diff := cmp.Diff(decoded(t, want), decoded(t, a.bodies[call])); diff != "" {
			t.Errorf("%s: %s", call, diff)
		}
	}
}

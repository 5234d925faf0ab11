package haproxy_test

import (
	"slices"
	"testing"

	"github.com/ottavino/ottavino/amphora/haproxy"
)

const twoListeners = `# Configuration for loadbalancer x
global
    daemon

frontend L1
    bind 10.0.0.1:80
    default_backend P1:L1

backend P1:L1
    server M1 10.0.0.2:80

frontend L2
    bind 10.0.0.1:81

backend P1:L2
    server M1 10.0.0.2:80
`

func TestCulprits(t *testing.T) {
	t.Parallel()
	for complaint, want := range map[string][]string{
		"": nil,
		"[ALERT] (1) : config : [/x/haproxy.cfg.new:6] : no":                                     {"L1"},
		"[ALERT] (1) : config : [/x/haproxy.cfg.new:10] : no":                                    {"L1"},
		"[ALERT] (1) : config : [/x/haproxy.cfg:13] : no":                                        {"L2"},
		"[ALERT] (1) : config : [/x/haproxy.cfg:3] : no":                                         nil,
		"[ALERT] (1) : config : [/x/haproxy.cfg:99] : no":                                        nil,
		"[ALERT] (1) : config : [/x/agent.conf:6] : no":                                          nil,
		"[WARNING] (1) : [/x/haproxy.cfg:6] : hm\n[ALERT] (1) : [/x/haproxy.cfg:13] : no":        {"L2"},
		"[ALERT] (1) : [/x/haproxy.cfg:6] : no\n[ALERT] (1) : [/x/haproxy.cfg:13] : no":          {"L1", "L2"},
		"Error reloading haproxy: frontend L2: cannot bind 10.0.0.1:81: address already in use":  {"L2"},
		"Error reloading haproxy: 'server P1:L2/M1' : invalid":                                   {"L2"},
		"Error storing haproxy configuration: write /x/haproxy.cfg.new: no space left on device": nil,
	} {
		if got := haproxy.Culprits([]byte(twoListeners), complaint); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", complaint, got, want)
		}
	}
}

func TestWithSections(t *testing.T) {
	t.Parallel()
	second := "\nfrontend L2\n    bind 10.0.0.1:81\n\nbackend P1:L2\n    server M1 10.0.0.2:80\n"
	for _, c := range []struct {
		cfg, listener, want string
		ok                  bool
	}{
		{"global\n    daemon\n", "L2", "global\n    daemon\n" + second, true},
		{"global\n    daemon\n", "L3", "global\n    daemon\n", false},
		{"", "L2", "# Configuration for loadbalancer x\n\nglobal\n    daemon\n" + second, true},
	} {
		got, ok := haproxy.WithSections([]byte(c.cfg), []byte(twoListeners), []string{c.listener})
		if string(got) != c.want || ok != c.ok {
			t.Errorf("%q and %s: got %t, %q, want %t, %q", c.cfg, c.listener, ok, got, c.ok, c.want)
		}
	}
}

package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/qos/policies"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"

	"github.com/ottavino/ottavino/sandbox"
)

// TestDebianCommands calls every load balancer command that Debian's openstack client has.
func TestDebianCommands(t *testing.T) {
	t.Parallel()
	all := newCommands(t)
	l := newLab(t, labOptions{})
	l.serve()
	st := l.sandbox.Settings()
	vars := l.scriptVars()
	t.Run("scripts", func(t *testing.T) {
		for _, s := range scripts() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				who := st.Tenant
				if s.admin {
					who = st.Admin
				}
				cli := l.client(t, who)
				cli.called = all.note
				cli.play(s.steps, maps.Clone(vars))
			})
		}
	})
	if left := all.left(); len(left) > 0 {
		t.Errorf("commands that no script has called: %s", strings.Join(left, ", "))
	}
	if !t.Failed() {
		l.assertNoLeaks()
	}
}

// commands are the client's commands and whether they were called.
type commands struct {
	mu     sync.Mutex
	called map[string]bool
}

// newCommands asks the client's plugin which commands there are.
func newCommands(t *testing.T) *commands {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), python, "testdata/commands.py", "commands").Output()
	if err != nil {
		t.Fatalf("list the commands of python3-octaviaclient: %v", err)
	}
	c := &commands{called: map[string]bool{}}
	for name := range strings.Lines(string(out)) {
		c.called[strings.TrimSpace(name)] = false
	}
	return c
}

// note marks the command with the longest name that the arguments begin with.
func (c *commands) note(args []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := len(args); n > 0; n-- {
		name := "loadbalancer " + strings.Join(args[:n], " ")
		if _, ok := c.called[name]; ok {
			c.called[name] = true
			return
		}
	}
}

func (c *commands) left() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.called, func(_ string, called bool) bool { return called })
	return slices.Sorted(maps.Keys(c.called))
}

// has are columns of what a command prints.
type has map[string]any

// none is the number of rows of an empty list.
const none = -1

// step is a command and what it must do.
type step struct {
	args  string // $name stands for a variable
	want  has    // columns of the object, or of a row of the list, that it prints; nil = none is asked for
	rows  int    // of the list; 0 = any number, none = none
	save  string // the variable that keeps the object's id
	fails string // the command must fail and say this
	soon  bool   // it fails so before long
}

type script struct {
	name  string
	admin bool
	steps []step
}

// scriptVars makes what the scripts need of Neutron.
func (l *lab) scriptVars() map[string]string {
	l.t.Helper()
	st := l.sandbox.Settings()
	neutron := l.neutron(st.Tenant)
	policy, err := policies.Create(l.t.Context(), neutron, policies.CreateOpts{Name: "slow"}).Extract()
	if err != nil {
		l.t.Fatal(err)
	}
	second, err := subnets.Create(l.t.Context(), l.neutron(st.Admin), subnets.CreateOpts{
		Name: "second", NetworkID: st.NetworkID, CIDR: "10.11.0.0/24", IPVersion: gophercloud.IPv4,
	}).Extract()
	if err != nil {
		l.t.Fatal(err)
	}
	return map[string]string{
		"subnet": l.subnetID(), "second": second.ID, "network": st.NetworkID, "policy": policy.ID, "project": st.Tenant.ProjectID, "other": st.Other.ProjectID,
	}
}

func (l *lab) neutron(who sandbox.Login) *gophercloud.ServiceClient {
	l.t.Helper()
	n, err := openstack.NewNetworkV2(l.login(who).ProviderClient, gophercloud.EndpointOpts{Region: l.sandbox.Settings().Region})
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

// play runs a script.
func (c *client) play(steps []step, vars map[string]string) {
	c.t.Helper()
	for _, s := range steps {
		args := strings.Fields(os.Expand(s.args, func(name string) string { return vars[name] }))
		switch {
		case s.fails != "":
			c.fail(s, args)
		case s.want == nil && s.save == "" && s.rows == 0:
			c.run(args...)
		default:
			object := c.check(s, args, vars)
			if s.save != "" {
				vars[s.save] = fmt.Sprint(object["id"])
			}
		}
	}
}

// fail runs a command that must fail.
func (c *client) fail(s step, args []string) {
	c.t.Helper()
	_, err := c.try(args...)
	if s.soon {
		within(c.t, 20*time.Second, s.args+" fails", func() bool {
			if err == nil {
				_, err = c.try(args...)
			}
			return err != nil
		})
	}
	if err == nil || !strings.Contains(err.Error(), s.fails) {
		c.t.Errorf("%s: got %v, want failure with %q", s.args, err, s.fails)
	}
}

// check runs a command that prints an object or a list, and returns the object or row that is wanted.
func (c *client) check(s step, args []string, vars map[string]string) map[string]any {
	c.t.Helper()
	var raw json.RawMessage
	c.decode(&raw, args...)
	rows := []map[string]any{{}}
	into := any(&rows)
	if raw[0] != '[' {
		into = &rows[0]
	}
	if err := json.Unmarshal(raw, into); err != nil {
		c.t.Fatalf("%s: %v", s.args, err)
	}
	if s.rows != 0 && len(rows) != max(s.rows, 0) {
		c.t.Errorf("%s: got %d rows, want %d: %s", s.args, len(rows), s.rows, raw)
	}
	if s.rows == none {
		return nil
	}
	for _, row := range rows {
		if s.want.in(row, vars) {
			return row
		}
	}
	c.t.Fatalf("%s: want %v in %s", s.args, s.want, raw)
	return nil
}

func (h has) in(row map[string]any, vars map[string]string) bool {
	for column, want := range h {
		got, ok := row[column]
		if !ok || plain(got) != os.Expand(plain(want), func(name string) string { return vars[name] }) {
			return false
		}
	}
	return true
}

// plain is a column as text. Versions of the client differ in whether they print lists and references as such.
func plain(v any) string {
	var lines []string
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		for _, e := range v {
			lines = append(lines, plain(e))
		}
	case map[string]any:
		if id, ok := v["id"]; ok {
			return plain(id)
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			lines = append(lines, key+"="+plain(v[key]))
		}
	default:
		return fmt.Sprint(v)
	}
	return strings.Join(lines, "\n")
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// offload: haproxy's and the agent's logs arrive where operators want them.
func (t *trial) offload() error {
	for i, want := range []string{lbID, "agent started"} {
		if err := t.logs[i].SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		buffer := make([]byte, 1<<16)
		for {
			n, _, err := t.logs[i].ReadFrom(buffer)
			if err != nil {
				return fmt.Errorf("no log with %q arrives: %w", want, err)
			}
			if strings.Contains(string(buffer[:n]), want) {
				break
			}
		}
	}
	fmt.Println("logs           of haproxy and of the agent arrive")
	return nil
}

// grown: the root file system has the flavor's disk.
func (t *trial) grown() error {
	const least = diskSize>>20 - 300
	said, err := t.machine.shell.run("df -m --output=size / | tail -n1")
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(said)
	if err != nil || size < least {
		return fmt.Errorf("the root file system has %s MiB, want %d: %w", said, least, errors.Join(err, errors.New("it did not grow")))
	}
	fmt.Printf("disk           %d MiB\n", size)
	return nil
}

// bounded: more logs than the disk has room for leave it room. Their messages are long, because the machine may be slow.
func (t *trial) bounded() error {
	const most = 200 // MiB
	const flood = `yes "$(head -c 7900 /dev/zero | tr '\0' x)" | head -n 18000 | ` +
		"logger -u /run/rsyslog/octavia/log -p local7.info --size 8000 -t "
	for program, log := range map[string]string{"haproxy": "haproxy.log", "another": "syslog"} {
		if _, err := t.machine.shell.run(flood + program); err != nil {
			return fmt.Errorf("write logs: %w", err)
		}
		err := until(t.ctx, patience, func() error {
			_, err := t.machine.shell.run("test -e /var/log/" + log + ".1")
			return err
		})
		if err != nil {
			return fmt.Errorf("%s is not set aside when it is full: %w", log, err)
		}
	}
	said, err := t.machine.shell.run("du -sm /var/log | cut -f1")
	if err != nil {
		return err
	}
	used, err := strconv.Atoi(said)
	if err != nil || used > most {
		return fmt.Errorf("logs take %s MiB, want %d at most: %w", said, most, errors.Join(err, errors.New("too many")))
	}
	fmt.Printf("logs           take %d MiB after 270\n", used)
	return nil
}

// load asks the VIP all the time.
type load struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	asked  int
	failed error
}

func (t *trial) load() *load {
	ctx, stop := context.WithCancel(t.ctx)
	l := &load{stop: stop}
	l.done.Go(func() {
		for ctx.Err() == nil {
			if _, err := t.ask(); err != nil {
				l.failed = errors.Join(l.failed, err)
			}
			l.asked++
		}
	})
	return l
}

func (l *load) end() error {
	l.stop()
	l.done.Wait()
	return l.failed
}

// outlives: haproxy is a unit and does not care what becomes of the agent; changes are made under traffic.
func (t *trial) outlives() error {
	const pid = "systemctl show --property=MainPID --value " + haproxyUnit
	before, err := t.machine.shell.run("systemctl is-active " + haproxyUnit + " && systemctl is-enabled " + haproxyUnit + " && " + pid)
	if err != nil {
		return fmt.Errorf("haproxy is no unit: %w", err)
	}
	l := t.load()
	defer l.stop()
	steps := []func() error{
		func() error { _, err := t.machine.shell.run("systemctl restart amphora-agent"); return err },
		func() error { _, err := t.answers(patience); return err },
		func() error { return t.configure(1, 1000) }, // another member, by commands
		func() error { _, err := t.machine.shell.run("systemctl kill --signal=KILL amphora-agent"); return err },
		func() error { _, err := t.answers(patience); return err },
		func() error { return t.configure(1, 1001) }, // by a reload
		func() error { return t.traffic("from another member", 1) },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d under traffic: %w", i, err)
		}
	}
	if err := l.end(); err != nil {
		return fmt.Errorf("requests failed while the agent was restarted, crashed and changed haproxy: %w", err)
	}
	after, err := t.machine.shell.run(pid)
	if err != nil || !strings.HasSuffix(before, after) {
		return fmt.Errorf("haproxy was\n%s\nand is %s, %w", before, after, errors.Join(err, errors.New("another")))
	}
	fmt.Printf("agent          restarted and killed, two changes, %d requests, none failed\n", l.asked)
	return nil
}

// revived: a haproxy that is killed comes back, with the agent and without.
func (t *trial) revived() error {
	const kill = "systemctl kill --kill-who=all --signal=KILL " + haproxyUnit
	for _, c := range []struct{ when, command string }{
		{"after haproxy was killed", kill}, {"after haproxy was killed without the agent", "systemctl stop amphora-agent; " + kill},
	} {
		if _, err := t.machine.shell.run(c.command); err != nil {
			return err
		}
		if err := t.traffic(c.when, 1); err != nil {
			return err
		}
	}
	_, err := t.machine.shell.run("systemctl start amphora-agent")
	return err
}

// standsBy: keepalived is a unit, and comes back when it is killed.
func (t *trial) standsBy() error {
	if _, err := t.answers(patience); err != nil {
		return err
	}
	const conf = "vrrp_instance one {\n interface eth1\n virtual_router_id 1\n priority 100\n nopreempt\n unicast_src_ip " + base +
		"\n unicast_peer {\n 10.0.3.99\n }\n virtual_ipaddress {\n 10.0.3.60\n }\n}\n"
	if err := errors.Join(t.driver.UploadVRRP(t.ctx, t.target, []byte(conf)), t.driver.VRRP(t.ctx, t.target, "start")); err != nil {
		return err
	}
	const pid = "systemctl is-active octavia-keepalived.service && systemctl show --property=MainPID --value octavia-keepalived.service"
	before, err := t.machine.shell.run(pid)
	if err != nil {
		return fmt.Errorf("keepalived is no unit: %w", err)
	}
	if _, err := t.machine.shell.run("systemctl kill --kill-who=main --signal=KILL octavia-keepalived.service"); err != nil {
		return err
	}
	err = until(t.ctx, patience, func() error {
		after, err := t.machine.shell.run(pid)
		if err == nil && after == before {
			err = errors.New("it was not killed")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("keepalived does not come back: %w", err)
	}
	fmt.Println("keepalived     is a unit and came back")
	return nil
}

// reset: nobody tells the amphora anything: it knows what it was doing, and what it was told a moment before.
func (t *trial) reset() error {
	if err := t.configure(0, 1002); err != nil {
		return err
	}
	again := time.Now()
	if err := t.machine.reset(); err != nil {
		return err
	}
	if err := t.traffic("after a reset, as it was told a moment before", 0); err != nil {
		return err
	}
	fmt.Printf("reset          %.1f s until traffic flows again\n", time.Since(again).Seconds())
	if err := t.machine.shell.await(bootPatience); err != nil {
		return fmt.Errorf("reach the shell after a reset: %w", err)
	}
	if _, err := t.answers(patience); err != nil {
		return fmt.Errorf("agent does not answer after a reset: %w", err)
	}
	state, err := t.machine.shell.run("systemctl is-active " + haproxyUnit + " octavia-keepalived.service amphora-netns.service " + lvsUnit)
	if err != nil {
		return fmt.Errorf("not everything runs after a reset: %w: %s", err, state)
	}
	return t.echoed("after a reset")
}

package agentconf

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"time"
)

// Rsyslog renders 10-rsyslog.conf: where the amphora's logs go besides its own disk. It is
// empty when nothing is to be forwarded and local storage is on. A target that is not
// host:port is an error.
func Rsyslog(l Logging) ([]byte, error) {
	var b bytes.Buffer
	if err := ruleset(&b, l, "tenant_forwarding", l.TenantTargets); err != nil {
		return nil, fmt.Errorf("tenant log targets: %w", err)
	}
	if err := ruleset(&b, l, "admin_forwarding", l.AdminTargets); err != nil {
		return nil, fmt.Errorf("admin log targets: %w", err)
	}
	if len(l.TenantTargets) > 0 {
		fmt.Fprintf(&b, "local%d.=info call tenant_forwarding\n", l.UserFacility)
	}
	if len(l.AdminTargets) > 0 {
		selector := fmt.Sprintf("local%d.*", l.AdministrativeFacility)
		if l.ForwardAll {
			selector = fmt.Sprintf("*.*;local%d.none", l.UserFacility)
		}
		fmt.Fprintf(&b, "%s call admin_forwarding\n", selector)
	}
	if l.DisableLocal {
		b.WriteString("*.* stop\n")
	}
	return b.Bytes(), nil
}

// ruleset writes a queue with one action per target; each but the first acts only while the
// one before it is suspended.
func ruleset(b *bytes.Buffer, l Logging, name string, targets []string) error {
	if len(targets) == 0 {
		return nil
	}
	fmt.Fprintf(b, "ruleset(name=%q queue.type=\"linkedList\" queue.size=\"%d\") {\n", name, cmp.Or(l.QueueSize, 10000))
	for i, target := range targets {
		host, port, err := net.SplitHostPort(target)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "  action(type=\"omfwd\" target=%q port=%q protocol=%q action.resumeRetryCount=\"%d\" action.resumeInterval=\"%d\"",
			host, port, cmp.Or(l.Protocol, "UDP"), l.RetryCount,
			int(cmp.Or(l.RetryInterval, 2*time.Second)/time.Second))
		if i > 0 {
			b.WriteString(" action.execOnlyWhenPreviousIsSuspended=\"on\"")
		}
		b.WriteString(")\n")
	}
	b.WriteString("}\n")
	return nil
}

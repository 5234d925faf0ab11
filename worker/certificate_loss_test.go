package worker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/internal/certtest"
	"github.com/ottavino/ottavino/sandbox"
	"github.com/ottavino/ottavino/worker"
)

// TestVanishedSecretBreaksNothing: not another change, and not a successor of the amphora.
func TestVanishedSecretBreaksNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	r.active(id)
	www := certtest.Issue(t, nil, "www")
	ref := r.deposit(www.Bundle())
	listener := r.terminated(id, 443, []string{ref})
	r.active(id)
	r.cloud.ForgetSecret(ref)
	r.recheck(id)
	r.until("the owner is told", func() bool { return len(r.events(listener, "SecretLost")) > 0 })
	heal := r.cloud.Inject(sandbox.Fault{Method: "GET", Path: "/payload", Status: 403, Body: "{}"})
	r.recheck(id)
	r.until("the owner is told that it is private", func() bool {
		return slices.ContainsFunc(r.events(listener, "SecretLost"), func(e db.Event) bool { return strings.Contains(e.Message, "Barbican answers 403") })
	})
	heal()
	r.active(id)
	r.member(id, "10.10.0.251")
	r.active(id)
	if cfg := r.config(id); !strings.Contains(cfg, "10.10.0.251:80") || !strings.Contains(cfg, listener) {
		t.Errorf("got the configuration %s, want the new member and the listener", cfg)
	}
	// The API marks a listener whose member changes; that is no reason to look for its certificate either.
	r.failOver(id)
	r.active(id)
	if len(r.files(id)[fileOf(www)]) == 0 {
		t.Error("the successor has no certificate")
	}
	e := r.events(listener, "SecretLost")[0]
	if e.Type != "Warning" || !strings.Contains(e.Message, ref+": Barbican answers 404: the last good copy is served") {
		t.Errorf("got the event %+v", e)
	}
	r.remove(id)
	if n := len(r.copies(id)); n != 0 {
		t.Errorf("%d copies outlive the load balancer", n)
	}
}

// TestSlowKeyManager: that it takes its time for each of many certificates does not keep them from being served.
func TestSlowKeyManager(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.SecretTimeout = 500 * time.Millisecond })
	id := r.balancer()
	r.active(id)
	var refs []string
	for i := range 40 {
		refs = append(refs, r.deposit(certtest.Issue(t, nil, fmt.Sprint("www", i)).Bundle()))
	}
	heal := r.cloud.Inject(sandbox.Fault{Service: "key-manager", Delay: 100 * time.Millisecond})
	defer heal()
	listener := r.terminated(id, 443, refs)
	r.active(id)
	if n := len(r.copies(id)); n != len(refs) {
		t.Errorf("got %d copies, want %d", n, len(refs))
	}
	if e := r.events(listener, "NotApplicable"); len(e) > 0 {
		t.Errorf("got the events %+v", e)
	}
	r.remove(id)
}

// TestLostSecretsAreNoFlood: what is told of several secrets in turn does not push other events out of those that are kept.
func TestLostSecretsAreNoFlood(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.SecretInterval = 5 * time.Millisecond })
	id := r.balancer()
	r.active(id)
	refs := []string{r.deposit(certtest.Issue(t, nil, "www").Bundle()), r.deposit(certtest.Issue(t, nil, "shop").Bundle())}
	listener := r.terminated(id, 443, refs)
	r.active(id)
	for _, ref := range refs {
		r.cloud.ForgetSecret(ref)
	}
	count := func() (n int) {
		for _, e := range r.events(listener, "SecretLost") {
			n += e.Count
		}
		return n
	}
	r.until("the owner was told ten times", func() bool { return count() >= 10 })
	if n := len(r.events(listener, "SecretLost")); n != 2 {
		t.Errorf("got %d events, want one of each secret", n)
	}
	r.remove(id)
}

// TestNothingIsCutOff: where there are no copies, as on a load balancer that another service leaves, a drift check takes nobody
// out of service whose secret cannot be read, and a change of the reference waits before it does.
func TestNothingIsCutOff(t *testing.T) {
	t.Parallel()
	for reason, fault := range map[string]int{"SecretUnavailable": 503, "SecretLost": 404} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			id := r.balancer()
			r.active(id)
			ref := r.deposit(certtest.Issue(t, nil, "www").Bundle())
			listener := r.terminated(id, 443, []string{ref})
			r.active(id)
			heal := r.cloud.Inject(sandbox.Fault{Method: "GET", Path: "/payload", Status: fault, Body: "{}"})
			r.tx(func(ctx context.Context, tx *db.Tx) error {
				if err := tx.ForgetSecretCopies(ctx, id, nil); err != nil {
					return err
				}
				return tx.Schedule(ctx, id, tx.Now())
			})
			r.until("the owner is told, more than once", func() bool {
				e := r.events(listener, reason)
				return len(e) > 0 && e[0].Count > 1
			})
			if of, _ := r.listenerStatus(id, listener); of != db.Active || !strings.Contains(r.config(id), listener) {
				t.Errorf("the listener is %s, and its amphora runs %s", of, r.config(id))
			}
			heal()
			r.until("there is a copy", func() bool { return len(r.copies(id)) == 1 })
			r.remove(id)
		})
	}
}

// TestNewReferenceWaits: a key manager that fails just after the API has followed a new reference cuts nobody off for a while.
func TestNewReferenceWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.RetryBudget = 1000 })
	id := r.balancer()
	r.active(id)
	old, renewed := certtest.Issue(t, nil, "www"), certtest.Issue(t, nil, "www")
	listener := r.terminated(id, 443, []string{r.deposit(old.Bundle())})
	r.active(id)
	ref := r.deposit(renewed.Bundle())
	heal := r.barbicanFails()
	l := r.tree(id).Listeners[1]
	if l.ID != listener {
		l = r.tree(id).Listeners[0]
	}
	r.alter(id, func(ctx context.Context, tx *db.Tx) error {
		l.TLSCertificateID, l.ProvisioningStatus = &ref, db.PendingUpdate
		return db.Update(ctx, tx, &l.Listener, "tls_certificate_id", "provisioning_status")
	})
	r.until("the owner is told", func() bool { return len(r.events(listener, "SecretUnavailable")) > 0 })
	if len(r.files(id)[fileOf(old)]) == 0 || !strings.Contains(r.config(id), listener) {
		t.Error("the listener is not served as before")
	}
	heal()
	r.active(id)
	if files := r.files(id); len(files[fileOf(renewed)]) == 0 || len(files[fileOf(old)]) != 0 {
		t.Error("the new certificate did not take the old one's place")
	}
	r.remove(id)
}

// barbicanFails makes all reads of secrets fail.
func (r *rig) barbicanFails() (heal func()) {
	return r.cloud.Inject(sandbox.Fault{Method: "GET", Path: "/payload", Status: 503, Body: "{}"})
}

// TestUnreachableKeyManager: what has a copy goes on with it; what has none waits, then shows ERROR, and heals by itself; others
// are served meanwhile.
func TestUnreachableKeyManager(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	r.active(id)
	old := r.terminated(id, 443, []string{r.deposit(certtest.Issue(t, nil, "www").Bundle())})
	r.active(id)
	ref := r.deposit(certtest.Issue(t, nil, "shop").Bundle())
	heal := r.barbicanFails()
	r.recheck(id)
	r.until("the owner of the old one is told", func() bool { return len(r.events(old, "SecretUnavailable")) > 0 })
	fresh := r.terminated(id, 444, []string{ref})
	r.member(id, "10.10.0.251")
	r.until("the others are served", func() bool {
		cfg := r.config(id)
		return strings.Contains(cfg, "10.10.0.251:80") && strings.Contains(cfg, old)
	})
	r.awaitStatus(id, fresh, db.Error)
	if n := len(r.events(fresh, "SecretUnavailable")); n == 0 {
		t.Error("the owner of the new one is not told why it is retried")
	}
	if of, _ := r.listenerStatus(id, old); of != db.Active {
		t.Errorf("the old one is %s", of)
	}
	if strings.Contains(r.config(id), fresh) {
		t.Error("the new one is configured without its certificate")
	}
	heal()
	r.awaitStatus(id, fresh, db.Active)
	if !strings.Contains(r.config(id), fresh) {
		t.Error("the new one is not configured")
	}
	r.remove(id)
}

package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/internal/certtest"
	"github.com/ottavino/ottavino/secret"
	"github.com/ottavino/ottavino/worker"
)

const certDir = "/var/lib/octavia/certs/"

// TestTLSIsServed: all material of a listener and a pool reaches the amphora before the configuration that names it, and
// nothing of it is readable elsewhere.
func TestTLSIsServed(t *testing.T) {
	t.Parallel()
	for _, lists := range []bool{false, true} {
		t.Run(fmt.Sprintf("lists=%t", lists), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.agent.lists = lists
			id := r.balancer()
			r.active(id)
			ca := certtest.Issue(t, nil, "ca")
			www, shop, ours := certtest.Issue(t, ca, "www"), certtest.Issue(t, ca, "shop"), certtest.Issue(t, ca, "ours")
			list := ca.Revokes(shop)
			caRef, listRef, oursRef := r.deposit(pemOf(ca)), r.deposit(list), r.deposit(ours.Bundle())
			pool := r.tree(id).Pools[0]
			r.alter(id, func(ctx context.Context, tx *db.Tx) error {
				pool.TLSEnabled, pool.TLSCertificateID, pool.CATLSCertificateID, pool.CRLContainerID = true, &oursRef, &caRef, &listRef
				pool.TLSVersions = ptr("TLSv1.3")
				return db.Update(ctx, tx, &pool.Pool, "tls_enabled", "tls_certificate_id", "ca_tls_certificate_id", "crl_container_id", "tls_versions")
			})
			r.active(id)
			r.agent.plan(nil)
			listener := r.terminated(id, 443, []string{r.deposit(www.Bundle()), r.deposit(shop.Bundle())}, func(l *db.Listener) {
				l.DefaultPoolID, l.ClientCATLSCertificateID, l.ClientCRLContainerID, l.ClientAuthentication = &pool.ID, &caRef, &listRef, "MANDATORY"
				l.TLSCiphers, l.TLSVersions, l.ALPNProtocols = ptr("ECDHE-ECDSA-AES128-GCM-SHA256"), ptr("TLSv1.2,TLSv1.3"), ptr("h2,http/1.1")
				l.HSTSMaxAge, l.HSTSIncludeSubdomains = ptr(60), ptr(true)
			})
			r.active(id)

			dir := certDir + id + "/"
			files := r.files(id)
			if got, want := string(files[listener+".pem"]), dir+fileOf(www)+"\n"+dir+fileOf(shop)+"\n"; got != want {
				t.Errorf("got the list %q, want %q", got, want)
			}
			if got := string(files[fileOf(www)]); !strings.HasPrefix(got, string(pemOf(www))+"\n-----BEGIN EC PRIVATE KEY-----") {
				t.Errorf("got the bundle %q", got)
			}
			for _, f := range []string{fileOf(shop), fileOf(ours), fileName(pemOf(ca)), fileName(list)} {
				if len(files[f]) == 0 {
					t.Errorf("the amphora has no file %s", f)
				}
			}
			if len(files) != 6 {
				t.Errorf("got %d files, want 6", len(files))
			}
			cfg := r.config(id)
			for _, want := range []string{
				":443 ssl crt-list " + dir + listener + ".pem ca-file " + dir + fileName(pemOf(ca)) + " verify required crl-file " + dir + fileName(list) +
					" ciphers ECDHE-ECDSA-AES128-GCM-SHA256 no-sslv3 no-tlsv10 no-tlsv11 alpn h2,http/1.1",
				`Strict-Transport-Security "max-age=60; includeSubDomains;"`,
				" ssl crt " + dir + fileOf(ours) + " ca-file " + dir + fileName(pemOf(ca)) + " crl-file " + dir + fileName(list) +
					" verify required sni ssl_fc_sni no-sslv3 no-tlsv10 no-tlsv11 no-tlsv12",
			} {
				if !strings.Contains(cfg, want) {
					t.Errorf("the configuration lacks %q:\n%s", want, cfg)
				}
			}
			calls := r.agent.made()
			put, run := slices.Index(calls, "put certificate "+listener+".pem"), slices.Index(calls, "apply")
			if first := slices.Index(calls, "put certificate "+fileOf(www)); first < 0 || first > put || put > run {
				t.Errorf("got the calls %v, want the certificate, its list, and then the configuration", calls)
			}
			copies := r.copies(id)
			if len(copies) != 5 {
				t.Errorf("got %d copies, want 5", len(copies))
			}
			for _, c := range copies {
				if strings.Contains(string(c.Content), "PRIVATE") || strings.Contains(string(c.Content), "BEGIN") {
					t.Error("a copy is readable")
				}
			}
			if strings.Contains(r.log.String(), "PRIVATE KEY") {
				t.Error("a key was logged")
			}
			if n := len(r.events(listener, "CertificateExpires")); n != 0 {
				t.Errorf("got %d warnings of certificates that are good for long", n)
			}

			// The last user takes files and copies along.
			r.agent.plan(nil)
			r.alter(id, func(ctx context.Context, tx *db.Tx) error {
				pool.TLSEnabled = false
				if err := db.Update(ctx, tx, &pool.Pool, "tls_enabled"); err != nil {
					return err
				}
				return tx.MarkPending(ctx, db.KindListener, db.PendingDelete, listener)
			})
			r.until("the listener is gone", func() bool { of, lb := r.listenerStatus(id, listener); return of == "" && lb == db.Active })
			if files, copies := r.files(id), r.copies(id); len(files) != 0 || len(copies) != 0 {
				t.Errorf("left: %d files, %d copies", len(files), len(copies))
			}
			r.remove(id)
		})
	}
}

// TestBadSecretBlamesItsUser and nobody else; when it is mended, the user heals.
func TestBadSecretBlamesItsUser(t *testing.T) {
	t.Parallel()
	www := certtest.Issue(t, nil, "www")
	for name, c := range map[string]struct {
		bundle, ca []byte
		want       string
	}{
		"no PKCS12": {bundle: []byte("nonsense"), want: "certificate "},
		"no CA":     {ca: []byte("nonsense"), want: "there is no CERTIFICATE in PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *worker.Config) { c.DriftInterval = 20 * time.Millisecond })
			id := r.balancer()
			r.active(id)
			bundle, ca := www.Bundle(), pemOf(www)
			bundleRef, caRef := r.deposit(bundle), r.deposit(ca)
			if c.bundle != nil {
				r.cloud.ReplaceSecret(bundleRef, c.bundle)
			} else {
				r.cloud.ReplaceSecret(caRef, c.ca)
			}
			bad := r.terminated(id, 443, []string{bundleRef}, func(l *db.Listener) {
				l.ClientCATLSCertificateID, l.ClientAuthentication = &caRef, "OPTIONAL"
			})
			good := r.terminated(id, 444, []string{r.deposit(bundle)})
			r.awaitStatus(id, bad, db.Error)
			r.awaitStatus(id, good, db.Active)
			if e := r.events(bad, "NotApplicable"); len(e) == 0 || !strings.Contains(e[0].Message, c.want) {
				t.Errorf("got the events %+v, want one with %q", e, c.want)
			}
			if cfg := r.config(id); strings.Contains(cfg, bad) || !strings.Contains(cfg, good) {
				t.Errorf("got %s, want the good one alone", cfg)
			}
			r.cloud.ReplaceSecret(bundleRef, bundle)
			r.cloud.ReplaceSecret(caRef, ca)
			r.awaitStatus(id, bad, db.Active)
			r.remove(id)
		})
	}
}

// TestRotationIsPushed without anybody's doing.
func TestRotationIsPushed(t *testing.T) {
	t.Parallel()
	for _, lists := range []bool{false, true} {
		t.Run(fmt.Sprintf("lists=%t", lists), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *worker.Config) { c.SecretInterval = 20 * time.Millisecond })
			r.agent.lists = lists
			id := r.balancer()
			r.active(id)
			old, renewed := certtest.Issue(t, nil, "www"), certtest.IssueFor(t, time.Hour*24*200, nil, "www")
			ref := r.deposit(old.Bundle())
			listener := r.terminated(id, 443, []string{ref})
			r.active(id)
			before := r.config(id)
			var applied atomic.Int32
			r.agent.plan(func(_ int, op string) (error, bool) {
				if op == "apply" {
					if applied.Add(1) == 1 { // the files are there by then, and the configuration is the same
						return agentError(500, false), false
					}
				}
				return nil, false
			})
			r.cloud.ReplaceSecret(ref, renewed.Bundle())
			r.until("the owner is told", func() bool { return len(r.events(listener, "CertificateRotated")) > 0 })
			files := r.files(id)
			if list := string(files[listener+".pem"]); !strings.Contains(list, fileOf(renewed)) || strings.Contains(list, fileOf(old)) {
				t.Errorf("got the list %s", list)
			}
			if _, ok := files[fileOf(old)]; ok || len(files[fileOf(renewed)]) == 0 {
				t.Errorf("old file there: %t, new file: %d bytes", ok, len(files[fileOf(renewed)]))
			}
			if r.config(id) != before {
				t.Error("the configuration has changed, which the test is not about")
			}
			calls := r.agent.made()
			if up := slices.Index(calls, "upload"); up < 0 || !slices.Contains(calls[up:], "apply") || applied.Load() < 2 {
				t.Errorf("got the calls %v, want the configuration tested and haproxy reloaded", calls)
			}
			if of, lb := r.listenerStatus(id, listener); of != db.Active || lb != db.Active {
				t.Errorf("the listener is %s, the load balancer %s", of, lb)
			}
			r.remove(id)
		})
	}
}

// refusal is what an agent answers to a configuration that haproxy does not take.
func refusal(output string) error {
	return &amphora.AgentError{Op: "test", Status: 400, Message: output, Err: errors.New("HTTP 400")}
}

// TestCopiesChangeKeys: what an older key has encrypted is read, and encrypted anew before the key is taken away.
func TestCopiesChangeKeys(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	r.active(id)
	listener := r.terminated(id, 443, []string{r.deposit(certtest.Issue(t, nil, "www").Bundle())})
	r.active(id)
	older, err := secret.NewSealer([]string{oldKey})
	if err != nil {
		t.Fatal(err)
	}
	newer, err := secret.NewSealer([]string{newKey})
	if err != nil {
		t.Fatal(err)
	}
	opens := func() (row db.SecretCopy, plain []byte, err error) {
		for _, row = range r.copies(id) {
			plain, err = newer.Open(row.Content, row.ID)
		}
		return row, plain, err
	}
	row, plain, err := opens()
	if err != nil {
		t.Fatal(err)
	}
	row.Content = older.Seal(plain, row.ID)
	r.tx(func(ctx context.Context, tx *db.Tx) error { return tx.PutSecretCopy(ctx, row) })
	r.recheck(id)
	r.until("the copy is under the new key", func() bool { _, _, err := opens(); return err == nil })
	if n := len(r.events(listener, "CertificateRotated")); n != 0 {
		t.Errorf("got %d events of a rotation that was none", n)
	}
	r.remove(id)
}

// TestBadSecretBlamesAPool: the pool is out, its listener stays.
func TestBadSecretBlamesAPool(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	r.active(id)
	pool, ref := r.tree(id).Pools[0], r.deposit([]byte("nonsense"))
	r.alter(id, func(ctx context.Context, tx *db.Tx) error {
		pool.TLSEnabled, pool.CATLSCertificateID, pool.ProvisioningStatus = true, &ref, db.PendingUpdate
		return db.Update(ctx, tx, &pool.Pool, "tls_enabled", "ca_tls_certificate_id", "provisioning_status")
	})
	r.until("the pool is in ERROR, and the rest ACTIVE", func() bool {
		t := r.tree(id)
		return t.Pools[0].ProvisioningStatus == db.Error && t.Listeners[0].ProvisioningStatus == db.Active &&
			t.LoadBalancer.ProvisioningStatus == db.Active
	})
	if e := r.events(pool.ID, "NotApplicable"); len(e) == 0 || !strings.Contains(e[0].Message, ref) {
		t.Errorf("got the events %+v, want one that names %s", e, ref)
	}
	if cfg := r.config(id); strings.Contains(cfg, pool.ID) || !strings.Contains(cfg, ":80") {
		t.Errorf("got %s, want the listener without the pool", cfg)
	}
	r.remove(id)
}

// TestWhatHAProxyRefuses: the last good certificate stays in use; who has none is blamed alone.
func TestWhatHAProxyRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.balancer()
	r.active(id)
	good, weak := certtest.Issue(t, nil, "www"), certtest.Issue(t, nil, "weak")
	ref := r.deposit(good.Bundle())
	listener := r.terminated(id, 443, []string{ref})
	r.active(id)
	holds := func() bool {
		for _, content := range r.files(id) {
			if strings.Contains(string(content), fileOf(weak)) {
				return true
			}
		}
		return false
	}
	r.agent.plan(func(_ int, op string) (error, bool) {
		if op == "upload" && holds() {
			return refusal("Invalid request: [ALERT] config\nerror processing line 1: unable to load '" + certDir + fileOf(weak) + "': ee key too small\nfatal"), false
		}
		return nil, false
	})
	r.cloud.ReplaceSecret(ref, weak.Bundle())
	r.recheck(id)
	r.until("the owner is told", func() bool { return len(r.events(listener, "CertificateRefused")) > 0 })
	if e := r.events(listener, "CertificateRefused")[0]; !strings.Contains(e.Message, "ee key too small: the last good copy is served") {
		t.Errorf("got the event %+v", e)
	}
	r.until("the list is that of the good one again", func() bool {
		list := string(r.files(id)[listener+".pem"])
		return strings.Contains(list, fileOf(good)) && !strings.Contains(list, fileOf(weak))
	})
	bad := r.terminated(id, 444, []string{r.deposit(weak.Bundle())})
	r.awaitStatus(id, bad, db.Error)
	if e := r.events(bad, "NotApplicable"); len(e) == 0 || !strings.Contains(e[0].Message, "ee key too small") {
		t.Errorf("got the events %+v", e)
	}
	if of, _ := r.listenerStatus(id, listener); of != db.Active {
		t.Errorf("its sibling is %s", of)
	}
	r.agent.plan(nil)
	r.remove(id)
}

// TestForgetfulAmphora: a RAM disk is empty after a reboot; the next look fills it and has haproxy started.
func TestForgetfulAmphora(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.DriftInterval = 20 * time.Millisecond })
	id := r.balancer()
	r.active(id)
	www := certtest.Issue(t, nil, "www")
	listener := r.terminated(id, 443, []string{r.deposit(www.Bundle())})
	r.active(id)
	r.agent.mu.Lock()
	clear(r.agent.files)
	r.agent.calls = nil
	r.agent.mu.Unlock()
	r.until("the files are back and haproxy was told", func() bool {
		files := r.files(id)
		return len(files[fileOf(www)]) > 0 && len(files[listener+".pem"]) > 0 && slices.Contains(r.agent.made(), "apply")
	})
	r.remove(id)
}

// TestStoppedHAProxyIsStarted although the agent holds all it needs, as when a worker died after it had filled the RAM disk.
func TestStoppedHAProxyIsStarted(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.DriftInterval = 20 * time.Millisecond })
	id := r.balancer()
	r.active(id)
	r.agent.plan(func(_ int, op string) (error, bool) {
		if op == "apply" {
			r.agent.stop(false)
		}
		return nil, false
	})
	r.agent.stop(true)
	r.until("haproxy was started", func() bool { return slices.Contains(r.agent.made(), "apply") })
	r.remove(id)
}

// TestExpiryIsAnnounced once a day, not at every look.
func TestExpiryIsAnnounced(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *worker.Config) { c.SecretInterval, c.DriftInterval = 5*time.Millisecond, 5*time.Millisecond })
	id := r.balancer()
	r.active(id)
	www := certtest.IssueFor(t, time.Hour*60, nil, "www")
	ref := r.deposit(www.Bundle())
	listener := r.terminated(id, 443, []string{ref})
	r.active(id)
	var row db.SecretCopy
	read := func() time.Time {
		for _, row = range r.copies(id) {
		}
		return row.CheckedAt
	}
	first := read()
	r.until("the secret was read again", func() bool { return read().After(first.Add(50 * time.Millisecond)) })
	events := r.events(listener, "CertificateExpires")
	want := "certificate " + ref + " expires at " + www.Cert.NotAfter.UTC().Format(time.RFC3339)
	if len(events) != 1 || events[0].Count != 1 || events[0].Message != want {
		t.Errorf("got %+v, want one event: %s", events, want)
	}
	row.CheckedAt = row.CheckedAt.Add(-24 * time.Hour)
	r.until("the owner is warned again a day later", func() bool {
		// Again and again: a pass that is under way writes down when it has looked.
		r.tx(func(ctx context.Context, tx *db.Tx) error { return tx.PutSecretCopy(ctx, row) })
		n := 0
		for _, e := range r.events(listener, "CertificateExpires") {
			n += e.Count
		}
		return n > 1
	})
	r.remove(id)
}

// TestEveryCertificateCallFails makes each call to the agent that brings a certificate fail once, before and after its
// effect.
func TestEveryCertificateCallFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.agent.lists = true
	bundle := certtest.Issue(t, nil, "www")
	ref := r.deposit(bundle.Bundle())
	live := func(plan func(n int, op string) (error, bool)) []string {
		t.Helper()
		id := r.balancer()
		r.active(id)
		r.agent.plan(plan)
		listener := r.terminated(id, 443, []string{ref})
		r.active(id)
		if files := r.files(id); len(files) != 2 || !strings.Contains(r.config(id), listener) {
			t.Errorf("got %d files and %s", len(files), r.config(id))
		}
		calls := r.agent.made()
		r.agent.plan(nil)
		r.remove(id)
		return calls
	}
	for n := range live(nil) {
		for _, after := range []bool{false, true} {
			live(func(k int, _ string) (error, bool) {
				if k == n {
					return agentError(500, false), after
				}
				return nil, false
			})
		}
	}
}

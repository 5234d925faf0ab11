package worker_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"sync"

	"github.com/google/uuid"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/internal/certtest"
)

// Keys of copies: the first of the two encrypts.
const newKey, oldKey = "insecure-key-do-not-use-this-key", "an-older-key-do-not-use-it-eithe"

// text is a log that tests read.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

func (f *flaky) Upload(ctx context.Context, t amphora.Target, lb string, cfg []byte) error {
	return f.do("upload", func() error { return f.Noop.Upload(ctx, t, lb, cfg) })
}

func (f *flaky) CertificateFiles(_ context.Context, t amphora.Target, _ string) (out map[string]string, err error) {
	err = f.do("list certificates", func() error {
		out = map[string]string{}
		for name, content := range f.held(t.AmphoraID) {
			out[name] = amphora.MD5(content)
		}
		return nil
	})
	return out, err
}

func (f *flaky) CertificateFile(_ context.Context, t amphora.Target, _, name string) (md5 string, ok bool, err error) {
	err = f.do("look at certificate", func() error {
		content, has := f.held(t.AmphoraID)[name]
		if ok = has; ok {
			md5 = amphora.MD5(content)
		}
		return nil
	})
	return md5, ok, err
}

func (f *flaky) PutCertificateFile(_ context.Context, t amphora.Target, _, name string, content []byte) error {
	return f.do("put certificate "+name, func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.files[t.AmphoraID] == nil {
			f.files[t.AmphoraID] = map[string][]byte{}
		}
		f.files[t.AmphoraID][name] = content
		return nil
	})
}

func (f *flaky) DeleteCertificateFile(_ context.Context, t amphora.Target, _, name string) error {
	return f.do("delete certificate "+name, func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.files[t.AmphoraID], name)
		return nil
	})
}

// held are an amphora's files, by name.
func (f *flaky) held(amphoraID string) map[string][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string][]byte{}
	for name, content := range f.files[amphoraID] {
		out[name] = content
	}
	return out
}

// stop says whether haproxy runs.
func (f *flaky) stop(stopped bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = stopped
}

// files are those of the amphora that serves.
func (r *rig) files(id string) map[string][]byte {
	r.t.Helper()
	for _, a := range r.tree(id).Amphorae {
		if a.Status == db.Allocated {
			return r.agent.held(a.ID)
		}
	}
	return nil
}

// pemOf is a certificate as it is in amphorae.
func pemOf(i *certtest.Issued) []byte { return bytes.TrimSpace(i.PEM()) }

// fileOf is the name that a certificate has in amphorae.
func fileOf(i *certtest.Issued) string { return fileName(pemOf(i)) }

func fileName(content []byte) string {
	sum := sha1.Sum(content)
	return hex.EncodeToString(sum[:]) + ".pem"
}

// deposit keeps a secret in Barbican.
func (r *rig) deposit(payload []byte) (ref string) {
	r.t.Helper()
	var out struct {
		Ref string `json:"secret_ref"`
	}
	err := r.keys.Do(r.t.Context(), cloud.Call{
		Op: "store secret", Method: http.MethodPost, Path: "secrets", Out: &out,
		In: map[string]any{
			"payload": base64.StdEncoding.EncodeToString(payload), "payload_content_encoding": "base64",
			"payload_content_type": "application/octet-stream",
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.Ref
}

// alter makes a change of a load balancer as the API does.
func (r *rig) alter(id string, fn func(ctx context.Context, tx *db.Tx) error) {
	r.t.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.BeginChange(ctx, id, db.AcceptPending); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}

// terminated adds a listener with certificates to a load balancer: the first is the default one.
func (r *rig) terminated(id string, port int, refs []string, tweak ...func(*db.Listener)) string {
	r.t.Helper()
	l := r.listener(uuid.NewString(), id, "TERMINATED_HTTPS", port, nil)
	l.TLSCertificateID = &refs[0]
	for _, change := range tweak {
		change(l)
	}
	r.alter(id, func(ctx context.Context, tx *db.Tx) error {
		if err := db.Insert(ctx, tx, l); err != nil {
			return err
		}
		return tx.SetSNIs(ctx, l.ID, refs[1:])
	})
	return l.ID
}

// member adds a member, as another change than that of a certificate.
func (r *rig) member(id, address string) {
	r.t.Helper()
	pool := r.tree(id).Pools[0].ID
	r.alter(id, func(ctx context.Context, tx *db.Tx) error {
		return db.Insert(ctx, tx, &db.Member{
			ID: uuid.NewString(), PoolID: pool, IPAddress: &address, ProtocolPort: 80, ProvisioningStatus: db.PendingCreate,
			OperatingStatus: db.NoMonitor, Enabled: true, VNICType: "normal",
		})
	})
}

// listenerStatus is a listener's provisioning status, "" without a row, and its load balancer's.
func (r *rig) listenerStatus(id, listener string) (of, balancer string) {
	r.t.Helper()
	t := r.tree(id)
	for _, l := range t.Listeners {
		if l.ID == listener {
			of = l.ProvisioningStatus
		}
	}
	return of, t.LoadBalancer.ProvisioningStatus
}

func (r *rig) awaitStatus(id, listener, status string) {
	r.t.Helper()
	r.until("the listener is "+status+" and the load balancer ACTIVE", func() bool {
		of, balancer := r.listenerStatus(id, listener)
		return of == status && balancer == db.Active
	})
}

// events are those about an object with a reason.
func (r *rig) events(object, reason string) []db.Event {
	r.t.Helper()
	var out []db.Event
	err := r.store.Read(r.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		out, err = db.Where[db.Event](ctx, tx, "object_id = ? AND reason = ?", object, reason)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *rig) copies(id string) map[string]db.SecretCopy {
	r.t.Helper()
	var out map[string]db.SecretCopy
	err := r.store.Read(r.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		out, err = tx.SecretCopies(ctx, id)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// recheck has secrets read anew, as a PUT that names a reference does.
func (r *rig) recheck(id string) {
	r.t.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		if err := tx.RecheckSecrets(ctx, id); err != nil {
			return err
		}
		return tx.Schedule(ctx, id, tx.Now())
	})
}

package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/secret"
)

// Secrets reads what users keep in the key manager, as the service. Errors are *secret.Error when the reference or what is
// behind it is wrong; anything else means that the manager cannot be asked now.
type Secrets interface {
	Bundle(ctx context.Context, ref string) (secret.Bundle, error)
	Secret(ctx context.Context, ref string) ([]byte, error)
}

// material is what a reference led to, as the amphora gets it.
type material struct {
	Name     string // of the file
	Content  []byte // of the file
	NotAfter *time.Time
}

func (m *material) is(o *material) bool {
	return o != nil && m.Name == o.Name && bytes.Equal(m.Content, o.Content)
}

// userSecret is what a pass knows of a reference.
type userSecret struct {
	wish
	row   db.SecretCopy // the copy, or what it will be
	users []object
	since time.Time // a bit before it was looked at last: what has been told since is repeated
	good  *material // the copy: it has been applied; nil = there is none
	fresh *material // read in this pass, and not the same
	err   error     // why neither is there, or only good
}

// used is what is applied; nil = nothing can be.
func (s *userSecret) used() *material {
	if s.fresh != nil {
		return s.fresh
	}
	return s.good
}

const readSecretsAtOnce = 8

// readSecrets makes what the load balancer refers to known: from copies, and from the key manager what has no copy, or
// one that is to be checked. Who refers to what cannot be had is blamed; who has a copy goes on with that.
func (p *pass) readSecrets(ctx context.Context) error {
	needs(p.tree, func(w wish, user object) {
		s := p.secretOf(w)
		if s == nil {
			s = p.openCopy(ctx, w)
			p.secrets = append(p.secrets, s)
		}
		s.users = append(s.users, user)
	})
	var due []*userSecret
	for _, s := range p.secrets {
		if s.good == nil || !p.Now().Before(s.row.NextAt) {
			due = append(due, s)
		}
	}
	if len(due) > 0 {
		if err := p.readDue(ctx, due); err != nil {
			return err
		}
	}
	for _, s := range p.secrets {
		if s.used() == nil {
			p.blameUsers(s)
		}
	}
	return nil
}

func (p *pass) secretOf(w wish) *userSecret {
	i := slices.IndexFunc(p.secrets, func(s *userSecret) bool { return s.wish == w })
	if i < 0 {
		return nil
	}
	return p.secrets[i]
}

func (p *pass) openCopy(ctx context.Context, w wish) *userSecret {
	lbID := p.tree.LoadBalancer.ID
	s := &userSecret{wish: w, row: db.SecretCopy{ID: db.SecretCopyID(lbID, w.kind, w.ref), LoadBalancerID: lbID}}
	row, ok := p.copies[s.row.ID]
	if !ok {
		return s
	}
	m, err := p.open(row)
	if err != nil {
		p.Log.WarnContext(ctx, "copy of a secret cannot be used: it is read anew", "reference", w.ref, "error", err)
		return s
	}
	s.row, s.since, s.good = row, row.CheckedAt.Add(-time.Minute), m
	return s
}

func (p *pass) open(row db.SecretCopy) (*material, error) {
	plain, err := p.Sealer.Open(row.Content, row.ID)
	if err != nil {
		return nil, err
	}
	m := &material{}
	return m, json.Unmarshal(plain, m)
}

// readDue asks the key manager, and writes down at once how that went, because a pass may end early. What is new is
// written down only when it has been applied.
func (p *pass) readDue(ctx context.Context, due []*userSecret) error {
	found := make([]*material, len(due))
	timeout := p.cfg.SecretTimeout
	for _, s := range due {
		if s.good == nil { // what is read now is only kept when all of it is there
			timeout += p.cfg.SecretTimeout / 10
		}
	}
	inner, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(readSecretsAtOnce)
	for i, s := range due {
		g.Go(func() error {
			one, done := context.WithTimeout(inner, p.cfg.SecretTimeout)
			defer done()
			if found[i], s.err = p.read(one, s.wish); one.Err() != nil {
				cancel() // who does not answer in this time is not waited for again and again
			}
			return nil
		})
	}
	_ = g.Wait() // errors are results
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, s := range due {
		p.countReading(ctx, s)
	}
	rows := make([]db.SecretCopy, len(due)) // the transaction may be made more than once
	err := p.write(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		for i, s := range due {
			if rows[i], err = p.noteReading(ctx, tx, s, found[i]); err != nil {
				return err
			}
		}
		return nil
	})
	for i, s := range due {
		if s.row = rows[i]; s.err == nil && !found[i].is(s.good) {
			s.fresh = found[i]
		}
	}
	return err
}

func (p *pass) countReading(ctx context.Context, s *userSecret) {
	result := "read"
	switch {
	case s.err != nil && final(s.err):
		result = "lost"
	case s.err != nil:
		result = "unavailable"
	}
	p.metrics.secrets.WithLabelValues(result).Inc()
	if s.err != nil {
		p.Log.WarnContext(ctx, "secret of a user not read", "reference", s.ref, "copy", s.good != nil, "error", s.err)
	}
}

func (p *pass) read(ctx context.Context, w wish) (*material, error) {
	if p.Secrets == nil {
		return nil, &secret.Error{Ref: w.ref, Reason: "there is no key manager"}
	}
	if w.kind == kindBundle {
		b, err := p.Secrets.Bundle(ctx, w.ref)
		if err != nil {
			return nil, err
		}
		return &material{Name: b.ID() + ".pem", Content: b.PEM(), NotAfter: &b.NotAfter}, nil
	}
	content, err := p.Secrets.Secret(ctx, w.ref)
	if err != nil {
		return nil, err
	}
	if !holdsPEM(content, pemTypes[w.kind]) {
		return nil, &secret.Error{Ref: w.ref, Kind: secret.Unfit, Reason: "there is no " + pemTypes[w.kind][0] + " in PEM"}
	}
	return &material{Name: secret.ID(content) + ".pem", Content: content}, nil
}

var pemTypes = map[string][]string{kindCA: {"CERTIFICATE", "X509 CERTIFICATE"}, kindCRL: {"X509 CRL"}}

func holdsPEM(text []byte, types []string) bool {
	for {
		block, rest := pem.Decode(text)
		if block == nil || slices.Contains(types, block.Type) {
			return block != nil
		}
		text = rest
	}
}

// noteReading tells those who use a secret what the key manager said of it, and returns what its copy is now: it is stored, unless
// it is new.
func (p *pass) noteReading(ctx context.Context, tx *db.Tx, s *userSecret, m *material) (db.SecretCopy, error) {
	if s.err != nil {
		return p.noteFailure(ctx, tx, s)
	}
	row := s.row
	if err := p.warnOfExpiry(ctx, tx, s, m.NotAfter); err != nil {
		return row, err
	}
	row.CheckedAt, row.NextAt, row.Failures = p.Now(), p.Now().Add(jitter(p.cfg.SecretInterval)), 0
	if !m.is(s.good) {
		return row, nil
	}
	return row, p.store(ctx, tx, row, m) // encrypted anew, in case that the first key is another now
}

// store writes a copy.
func (p *pass) store(ctx context.Context, tx *db.Tx, row db.SecretCopy, m *material) error {
	plain, err := json.Marshal(m)
	if err != nil {
		return err
	}
	row.Content, row.NotAfter = p.Sealer.Seal(plain, row.ID), m.NotAfter
	return tx.PutSecretCopy(ctx, row)
}

func (p *pass) noteFailure(ctx context.Context, tx *db.Tx, s *userSecret) (db.SecretCopy, error) {
	row, reason := s.row, "SecretUnavailable"
	wait := min(p.cfg.SecretInterval, p.cfg.RetryFirst<<min(row.Failures, 16))
	if final(s.err) {
		reason, wait = "SecretLost", p.cfg.SecretInterval
	}
	if s.good == nil {
		return row, nil // those who use it are blamed
	}
	if err := p.warnOfExpiry(ctx, tx, s, s.good.NotAfter); err != nil {
		return row, err
	}
	if err := p.tell(ctx, tx, s, s.since, "Warning", reason, s.err.Error()+": the last good copy is served"); err != nil {
		return row, err
	}
	row.CheckedAt, row.NextAt, row.Failures = p.Now(), p.Now().Add(jitter(wait)), row.Failures+1
	return row, tx.PutSecretCopy(ctx, row)
}

// final says that asking again changes nothing before somebody has done something.
func final(err error) bool {
	var said *secret.Error
	return errors.As(err, &said)
}

// tell records an event for each that uses a secret, or raises the one that it has been told since.
func (p *pass) tell(ctx context.Context, tx *db.Tx, s *userSecret, since time.Time, severity, reason, message string) error {
	for _, u := range s.users {
		if err := tx.Repeat(ctx, p.about(u.kind, u.id, severity, reason, message), since); err != nil {
			return err
		}
	}
	return nil
}

// warnOfExpiry tells once a day that a certificate is about to expire, or has.
func (p *pass) warnOfExpiry(ctx context.Context, tx *db.Tx, s *userSecret, notAfter *time.Time) error {
	if notAfter == nil || notAfter.Sub(p.Now()) > p.cfg.SecretExpiryBuffer {
		return nil
	}
	days := func(now time.Time) float64 { return math.Floor(notAfter.Sub(now).Hours() / 24) }
	told := s.good != nil && s.good.NotAfter != nil && s.good.NotAfter.Equal(*notAfter) &&
		notAfter.Sub(s.row.CheckedAt) <= p.cfg.SecretExpiryBuffer
	if told && days(s.row.CheckedAt) == days(p.Now()) {
		return nil
	}
	verb := "expires"
	if !notAfter.After(p.Now()) {
		verb = "expired"
	}
	return p.tell(ctx, tx, s, p.Now().Add(-36*time.Hour), "Warning", "CertificateExpires", fmt.Sprintf("certificate %s %s at %s", s.ref, verb, notAfter.UTC().Format(time.RFC3339)))
}

// blameUsers leaves out who refers to what cannot be had. When that may change by itself, the pass fails in the end, so that
// it is tried again soon.
func (p *pass) blameUsers(s *userSecret) {
	for _, u := range s.users {
		p.blame(u.kind, u.id, s.err.Error())
		if !final(s.err) {
			p.unread = &failure{"SecretUnavailable", u.kind, u.id, s.err}
		}
	}
}

// keepServing is why nothing is applied now: it would cut off who is served although nobody asked for that, or although its
// secret may be readable again in a moment. That takes a load balancer without copies, as another service leaves it,
// or a reference that has just been changed.
func (p *pass) keepServing(a *db.Amphora) error {
	if p.stopped(a) || a.Status != db.Allocated {
		return nil
	}
	for _, s := range p.secrets {
		if s.used() != nil || final(s.err) && !p.calm || !p.calm && p.lease.Attempts+1 >= p.cfg.RetryBudget {
			continue
		}
		reason := "SecretUnavailable"
		if final(s.err) {
			reason = "SecretLost"
		}
		for _, u := range s.users {
			if p.served(u) {
				return &failure{reason, u.kind, u.id, s.err}
			}
		}
	}
	return nil
}

// served says that an object is in effect, as far as its status tells.
func (p *pass) served(o object) bool {
	statuses := []db.ProvisioningStatus{db.Active, db.PendingUpdate}
	for _, l := range p.tree.Listeners {
		if l.ID == o.id {
			return slices.Contains(statuses, l.ProvisioningStatus)
		}
	}
	for _, t := range p.tree.Pools {
		if t.ID == o.id {
			return slices.Contains(statuses, t.ProvisioningStatus)
		}
	}
	return false
}

// awaitSecrets is why a pass that applied the rest has to be made again; nil = it need not, or it was tried often enough:
// then the objects concerned show ERROR, and drift checks go on trying.
func (p *pass) awaitSecrets() error {
	if p.unread == nil || !p.calm && p.lease.Attempts+1 >= p.cfg.RetryBudget {
		return nil
	}
	return p.unread
}

// keepSecrets stores what was applied as the last good copies, and forgets those that nobody needs any more.
func (p *pass) keepSecrets(ctx context.Context, tx *db.Tx) error {
	keep := make([]string, 0, len(p.secrets))
	for _, s := range p.secrets {
		keep = append(keep, s.row.ID)
		if s.fresh == nil || !p.applies(s) {
			continue
		}
		if err := p.store(ctx, tx, s.row, s.fresh); err != nil {
			return err
		}
		if s.good == nil {
			continue
		}
		if err := p.tell(ctx, tx, s, p.Now(), "Normal", "CertificateRotated", "what "+s.ref+" leads to has changed and is in use"); err != nil {
			return err
		}
	}
	for id := range p.copies {
		if !slices.Contains(keep, id) {
			return tx.ForgetSecretCopies(ctx, p.tree.LoadBalancer.ID, keep)
		}
	}
	return nil
}

// applies says that somebody who uses a secret is not left out.
func (p *pass) applies(s *userSecret) bool {
	return slices.ContainsFunc(s.users, func(u object) bool { return !p.isBlamed(u.kind, u.id) })
}

// nextLook is when a load balancer that needs nothing is looked at again; 0 = never.
func (p *pass) nextLook() time.Duration {
	next := p.Worker.nextLook()
	if next == 0 {
		return 0
	}
	if p.unread != nil {
		next = min(next, p.cfg.RetryMax)
	}
	for _, s := range p.secrets {
		if s.used() != nil {
			next = min(next, max(s.row.NextAt.Sub(p.Now()), time.Millisecond))
		}
	}
	return next
}

package worker

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/db"
)

// pushCertificates gives an agent the files it does not hold, and says whether there were any. held is all that the agent
// holds; nil when it does not tell.
func (p *pass) pushCertificates(ctx context.Context, a *db.Amphora, t amphora.Target, files []certificateFile) (held map[string]string, changed bool, err error) {
	lbID := p.tree.LoadBalancer.ID
	lists := slices.Contains(p.server[a.ID].Capabilities, amphora.CapabilityCertificates)
	if lists {
		if held, err = p.Agent.CertificateFiles(ctx, t, lbID); err != nil {
			return nil, false, err
		}
	}
	for _, f := range files {
		has := held[f.name]
		if !lists {
			if has, _, err = p.Agent.CertificateFile(ctx, t, lbID, f.name); err != nil {
				return nil, changed, err
			}
		}
		if has == amphora.MD5(f.content) {
			continue
		}
		if err := p.Agent.PutCertificateFile(ctx, t, lbID, f.name, f.content); err != nil {
			return nil, changed, err
		}
		changed = true
	}
	return held, changed, nil
}

// dropCertificates removes the files that nothing refers to any more. They do no harm where they are, so a failure waits for
// the next pass; and so do the files of who is left out, which may be served as it was.
func (p *pass) dropCertificates(ctx context.Context, t amphora.Target, files []certificateFile, held map[string]string) {
	for o := range p.blamed {
		if o.kind == db.KindListener || o.kind == db.KindPool {
			return
		}
	}
	stale := p.retired()
	for name := range held {
		stale = append(stale, name)
	}
	slices.Sort(stale)
	for _, name := range slices.Compact(stale) {
		if slices.ContainsFunc(files, func(f certificateFile) bool { return f.name == name }) {
			continue
		}
		if err := p.Agent.DeleteCertificateFile(ctx, t, p.tree.LoadBalancer.ID, name); err != nil {
			p.Log.WarnContext(ctx, "certificate that nobody needs any more not removed", "file", name, "error", err)
		}
	}
}

// retired are the names of files that the amphora may hold as far as our own notes say: of what was replaced or is to go.
func (p *pass) retired() []string {
	var names []string
	for _, s := range p.secrets {
		if s.fresh != nil && s.good != nil {
			names = append(names, s.good.Name)
		}
	}
	for id, row := range p.copies {
		if slices.ContainsFunc(p.secrets, func(s *userSecret) bool { return s.row.ID == id }) {
			continue
		}
		if m, err := p.open(row); err == nil {
			names = append(names, m.Name)
		}
	}
	for _, l := range p.tree.Listeners {
		if certificates, _, _ := listenerTLSRefs(l); l.ProvisioningStatus == db.PendingDelete && len(certificates) > 0 {
			names = append(names, l.ID+".pem")
		}
	}
	return names
}

// rotated says that the amphora has to take something that it has not been seen to run.
func (p *pass) rotated() bool {
	return slices.ContainsFunc(p.secrets, func(s *userSecret) bool { return s.fresh != nil && p.applies(s) })
}

// withoutRefused says whether haproxy's refusal is about users' files, and goes back to the last good copies of those; who has none
// is left out. What the key manager gave looked well, but haproxy has the last word: a key may be too short for it.
func (p *pass) withoutRefused(ctx context.Context, refusal error) (again bool, err error) {
	var said *amphora.AgentError
	if !errors.As(refusal, &said) || said.Status != http.StatusBadRequest && said.Status != http.StatusInternalServerError {
		return false, nil
	}
	for _, s := range p.secrets {
		m := s.used()
		if m == nil || !p.applies(s) || !strings.Contains(said.Message, m.Name) {
			continue
		}
		again = true
		s.err = errors.New("haproxy refuses " + s.ref + ": " + lineWith(said.Message, m.Name))
		if s.fresh == nil || s.good == nil {
			s.fresh, s.good = nil, nil
			for _, u := range s.users {
				p.blame(u.kind, u.id, s.err.Error())
			}
			continue
		}
		s.fresh = nil
		s.row.Failures++
		err := p.write(ctx, func(ctx context.Context, tx *db.Tx) error {
			if err := tx.PutSecretCopy(ctx, s.row); err != nil {
				return err
			}
			return p.tell(ctx, tx, s, s.since, "Warning", "CertificateRefused", s.err.Error()+": the last good copy is served")
		})
		if err != nil {
			return false, err
		}
	}
	return again, nil
}

// lineWith is the line of a text that holds a word.
func lineWith(text, word string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			return strings.TrimSpace(line)
		}
	}
	return text
}

package worker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ottavino/ottavino/amphora"
	"github.com/ottavino/ottavino/cloud"
	"github.com/ottavino/ottavino/compute"
	"github.com/ottavino/ottavino/db"
	"github.com/ottavino/ottavino/worker/agentconf"
)

// doomed says that an amphora is to be replaced, or on its way out already.
func doomed(a db.Amphora) bool { return a.Status == db.Error || a.Status == db.PendingDelete }

// wantedAmphora returns the amphora that serves or shall serve; it makes the row when there is none. Of
// several, which only a mistake can make, the oldest stays.
func (p *pass) wantedAmphora(ctx context.Context) (*db.Amphora, error) {
	var wanted *db.Amphora
	for i := range p.tree.Amphorae {
		a := &p.tree.Amphorae[i]
		switch {
		case doomed(*a):
		case wanted == nil:
			wanted = a
		default:
			if err := p.setStatus(ctx, a, db.PendingDelete); err != nil {
				return nil, err
			}
		}
	}
	if wanted != nil {
		return wanted, nil
	}
	row := db.Amphora{
		ID: p.NewID(), Status: db.PendingCreate, LoadBalancerID: &p.tree.LoadBalancer.ID, Role: ptr("STANDALONE"),
	}
	err := p.write(ctx, func(ctx context.Context, tx *db.Tx) error { return db.Insert(ctx, tx, &row) })
	if err != nil {
		return nil, err
	}
	p.tree.Amphorae = append(p.tree.Amphorae, row)
	return &p.tree.Amphorae[len(p.tree.Amphorae)-1], nil
}

func (p *pass) setStatus(ctx context.Context, a *db.Amphora, status string) error {
	a.Status = status
	return p.update(ctx, a, "status")
}

func (p *pass) update(ctx context.Context, a *db.Amphora, columns ...string) error {
	return p.write(ctx, func(ctx context.Context, tx *db.Tx) error { return db.Update(ctx, tx, a, columns...) })
}

// condemn has an amphora replaced and tells the owner why. The pass fails, so that a cloud that
// never gives a good one is asked ever less often.
func (p *pass) condemn(ctx context.Context, a *db.Amphora, reason, message string) error {
	a.Status = db.Error
	if err := p.update(ctx, a, "status"); err != nil {
		return err
	}
	return &failure{reason, db.KindAmphora, a.ID, errors.New(message)}
}

// ensureServer makes or finds the server of an amphora and waits until it is ACTIVE. One in service is looked
// at only when something seems wrong.
func (p *pass) ensureServer(ctx context.Context, a *db.Amphora) error {
	if inService(*a) && !p.calm && p.lease.Attempts == 0 {
		return nil
	}
	if a.ComputeID == nil {
		if err := p.createServer(ctx, a); err != nil {
			return err
		}
	}
	s, err := p.Compute.Server(ctx, *a.ComputeID)
	switch {
	case cloud.IsGone(err):
		return p.condemn(ctx, a, "ServerGone", "the server of the amphora is gone: another one is built")
	case err != nil:
		return err
	case s.TaskState == "deleting":
		return p.condemn(ctx, a, "ServerGone", "somebody deletes the server of the amphora: another one is built")
	case s.Status == compute.ServerError:
		return p.condemn(ctx, a, "ServerBuildFailed", "the server of the amphora is in ERROR: "+cmp.Or(s.Fault, "Nova gives no reason"))
	case s.Status == compute.ServerActive:
		return p.notePlace(ctx, a, s)
	case inService(*a):
		p.Log.WarnContext(ctx, "the server of a serving amphora is not ACTIVE", "server_status", string(s.Status))
		return nil
	}
	if p.Now().Sub(lateSince(a)) > p.cfg.ServerBudget {
		return p.condemn(ctx, a, "ServerBuildTimeout", fmt.Sprintf("the server is still %s after %s: another one is built", s.Status, p.cfg.ServerBudget))
	}
	return p.later("the server to be ACTIVE", lateSince(a), p.cfg.ServerWaitMax)
}

func inService(a db.Amphora) bool { return a.Status == db.Allocated || a.Status == db.FailoverStopped }

func created(a *db.Amphora) time.Time {
	if a.CreatedAt == nil {
		return time.Time{}
	}
	return *a.CreatedAt
}

// serverName is deterministic, so that a server whose creation was never answered is found again.
func (w *Worker) serverName(amphoraID string) string {
	if w.cfg.NameLength == 0 {
		return "amphora-" + amphoraID
	}
	var text strings.Builder
	for seed := []byte(amphoraID); text.Len() < w.cfg.NameLength; {
		sum := sha256.Sum256(seed)
		text.WriteString(base32.StdEncoding.EncodeToString(sum[:20]))
		seed = sum[:]
	}
	return "a" + text.String()[:w.cfg.NameLength-1]
}

// createServer adopts the server of the amphora's name, or makes it.
func (p *pass) createServer(ctx context.Context, a *db.Amphora) error {
	found, err := p.Compute.FindServers(ctx, p.serverName(a.ID))
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(s compute.Server) bool { return s.Status == compute.ServerDeleted || s.TaskState == "deleting" })
	if len(found) == 0 {
		if err := p.awaitBuildSlot(ctx, a); err != nil {
			return err
		}
		s, err := p.newServer(ctx, a)
		if err != nil && a.Status == db.Booting {
			err = errors.Join(err, p.setStatus(ctx, a, db.PendingCreate)) // others may build meanwhile
		}
		if err != nil {
			return err
		}
		found = []compute.Server{s}
	}
	a.ComputeID, a.Status = &found[0].ID, db.Booting
	return p.update(ctx, a, "compute_id", "status")
}

func (p *pass) newServer(ctx context.Context, a *db.Amphora) (compute.Server, error) {
	spec, notAfter, err := p.serverSpec(ctx, a)
	if err != nil {
		return compute.Server{}, err
	}
	// Written first: a server whose creation is not answered is found by its name, which tells none of this.
	a.ImageID, a.ComputeFlavor = &spec.ImageID, &spec.FlavorID
	columns := []string{"image_id", "compute_flavor"}
	if !notAfter.IsZero() {
		a.CertExpiration = ptr(notAfter.UTC())
		columns = append(columns, "cert_expiration")
	}
	if err := p.update(ctx, a, columns...); err != nil {
		return compute.Server{}, err
	}
	return p.Compute.CreateServer(ctx, spec)
}

// awaitBuildSlot ends the pass until few enough servers build. Who replaces an amphora looks more often than who makes a first one.
func (p *pass) awaitBuildSlot(ctx context.Context, a *db.Amphora) error {
	if p.cfg.BuildLimit <= 0 || a.Status == db.Booting {
		return nil
	}
	taken := false
	err := p.write(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		taken, err = tx.TakeBuildSlot(ctx, a, p.cfg.BuildLimit, p.cfg.ServerBudget)
		return err
	})
	switch {
	case err != nil || taken:
		return err
	case p.Now().Sub(created(a)) > p.cfg.BuildBudget:
		return &failure{"BuildLimitReached", db.KindAmphora, a.ID, fmt.Errorf("%d amphorae build already, which is [haproxy_amphora] build_rate_limit", p.cfg.BuildLimit)}
	case len(p.tree.Amphorae) > 1:
		return &notYet{"other amphorae to be built", min(10*p.cfg.WaitFirst, p.cfg.BuildWaitMax)}
	}
	return p.later("other amphorae to be built", created(a), p.cfg.BuildWaitMax)
}

// flavorData is what a flavor profile may say about amphorae.
type flavorData struct {
	ComputeFlavor string `json:"compute_flavor"`
	ImageTag      string `json:"amp_image_tag"`
}

func (p *pass) flavor() (flavorData, error) {
	var f flavorData
	if p.tree.Flavor == nil || p.tree.Flavor.FlavorData == "" {
		return f, nil
	}
	if err := json.Unmarshal([]byte(p.tree.Flavor.FlavorData), &f); err != nil {
		return f, &failure{"FlavorUnreadable", db.KindLoadBalancer, p.tree.LoadBalancer.ID, fmt.Errorf("flavor profile %s: %w", p.tree.Flavor.ID, err)}
	}
	return f, nil
}

func (p *pass) serverSpec(ctx context.Context, a *db.Amphora) (spec compute.ServerSpec, notAfter time.Time, err error) {
	f, err := p.flavor()
	if err != nil {
		return spec, notAfter, err
	}
	image, err := p.Images.NewestImage(ctx, cmp.Or(f.ImageTag, p.cfg.ImageTag), p.cfg.ImageOwner)
	if err != nil {
		return spec, notAfter, err
	}
	files, notAfter, err := p.files(a)
	if err != nil {
		return spec, notAfter, err
	}
	spec = compute.ServerSpec{
		Name: p.serverName(a.ID), ImageID: image.ID, FlavorID: cmp.Or(f.ComputeFlavor, p.cfg.ComputeFlavor),
		Networks: p.cfg.BootNetworks, SecurityGroups: p.cfg.SecurityGroups, KeyName: p.cfg.KeyName,
		ServerGroupID: deref(p.tree.LoadBalancer.ServerGroupID),
		Metadata: map[string]string{
			"octavia-amphora-id": a.ID, "octavia-loadbalancer-id": p.tree.LoadBalancer.ID, "octavia-role": deref(a.Role),
		},
	}
	if p.cfg.UserDataFiles {
		spec.UserData = agentconf.UserData(p.cfg.Timezone, files)
	} else {
		spec.UserData, spec.Files = agentconf.UserData(p.cfg.Timezone, nil), files
	}
	return spec, notAfter, nil
}

// files are what the amphora is born with.
func (p *pass) files(a *db.Amphora) (files map[string][]byte, notAfter time.Time, err error) {
	rsyslog, err := agentconf.Rsyslog(p.cfg.Logging)
	if err != nil {
		return nil, notAfter, &failure{"LoggingNotConfigured", db.KindAmphora, a.ID, err}
	}
	files = map[string][]byte{agentconf.AgentPath: p.agentConfig(a), agentconf.RsyslogPath: rsyslog}
	if p.CA == nil {
		return files, notAfter, nil
	}
	issued, err := p.CA.Server(a.ID, p.Now(), p.cfg.CertValidity)
	if err != nil {
		return nil, notAfter, &failure{"CertificateNotIssued", db.KindAmphora, a.ID, err}
	}
	clientCA, err := p.cfg.ClientCA()
	if err != nil {
		return nil, notAfter, &failure{"CertificateNotIssued", db.KindAmphora, a.ID, fmt.Errorf("client_ca: %w", err)}
	}
	files[agentconf.ServerCertPath], files[agentconf.ClientCAPath] = issued.Bundle(), clientCA
	return files, issued.NotAfter, nil
}

// agentConfig is amphora-agent.conf of an amphora.
func (p *pass) agentConfig(a *db.Amphora) []byte {
	conf := p.cfg.Agent
	conf.AmphoraID, conf.Topology = a.ID, cmp.Or(deref(p.tree.LoadBalancer.Topology), topologySingle)
	return agentconf.Agent(conf)
}

// configureAgent gives the agent its configuration anew when an administrator asked for it.
func (p *pass) configureAgent(ctx context.Context, a *db.Amphora) error {
	var asked bool
	err := p.Store.Read(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		asked, err = tx.ConfigRequested(ctx, a.ID)
		return err
	})
	if err != nil || !asked {
		return err
	}
	t, err := target(a)
	if err != nil {
		return err
	}
	// Forgotten first: who asks again meanwhile gets a second one. When it fails, it is asked for anew.
	err = p.write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := db.DeleteWhere[db.AmphoraRequest](ctx, tx, "amphora_id = ?", a.ID)
		return err
	})
	if err != nil {
		return err
	}
	if err := p.Agent.UploadConfig(ctx, t, p.agentConfig(a)); err != nil {
		again := p.write(context.WithoutCancel(ctx), func(ctx context.Context, tx *db.Tx) error { return tx.RequestConfig(ctx, a.ID) })
		return errors.Join(err, again)
	}
	return p.write(ctx, func(ctx context.Context, tx *db.Tx) error {
		return tx.Emit(ctx, p.about(db.KindAmphora, a.ID, "Normal", "AgentConfigured", "the agent has its configuration anew"))
	})
}

// notePlace stores where the server is: its address on the first boot network, and its zone.
func (p *pass) notePlace(ctx context.Context, a *db.Amphora, s compute.Server) error {
	if a.LBNetworkIP != nil {
		return nil
	}
	nics, err := p.Compute.Interfaces(ctx, s.ID)
	if err != nil {
		return err
	}
	for _, nic := range nics {
		if len(p.cfg.BootNetworks) > 0 && nic.NetworkID != p.cfg.BootNetworks[0] || len(nic.FixedIPs) == 0 {
			continue
		}
		a.LBNetworkIP, a.CachedZone = &nic.FixedIPs[0].Address, &s.Zone
		return p.update(ctx, a, "lb_network_ip", "cached_zone")
	}
	if !inService(*a) && p.Now().Sub(lateSince(a)) > p.cfg.ServerBudget {
		return p.condemn(ctx, a, "ServerWithoutAddress",
			fmt.Sprintf("the server has no address on the first of amp_boot_network_list after %s: another one is built", p.cfg.ServerBudget))
	}
	return p.later("the server's address on the management network", lateSince(a), p.cfg.ServerWaitMax)
}

func target(a *db.Amphora) (amphora.Target, error) {
	ip, err := netip.ParseAddr(deref(a.LBNetworkIP))
	if err != nil {
		return amphora.Target{}, &failure{"AmphoraWithoutAddress", db.KindAmphora, a.ID, errors.New("the amphora has no address on the management network")}
	}
	return amphora.Target{AmphoraID: a.ID, Address: ip}, nil
}

// ensureAgent waits until the agent answers, and learns what it runs.
func (p *pass) ensureAgent(ctx context.Context, a *db.Amphora) error {
	t, err := target(a)
	if err != nil {
		return err
	}
	told, err := p.ask(ctx, a, t)
	var agent *amphora.AgentError
	switch {
	case err == nil:
		p.server[a.ID] = told
		return p.dropTwins(ctx, a)
	case inService(*a) || !errors.As(err, &agent) || !agent.NotReady:
		return err
	case p.Now().Sub(lateSince(a)) > p.cfg.AgentBudget:
		return p.condemn(ctx, a, "AgentUnreachable", "the agent never answered: another amphora is built: "+err.Error())
	}
	return p.later("the agent to answer", lateSince(a), p.cfg.AgentWaitMax)
}

// firstAsk bounds a question to an agent that may be booting: better ask again soon than wait for a packet's retransmission.
const firstAsk = 2 * time.Second

func (p *pass) ask(ctx context.Context, a *db.Amphora, t amphora.Target) (info, error) {
	ctx, cancel := context.WithTimeout(ctx, firstAsk)
	defer cancel()
	told, err := p.Agent.Info(ctx, t)
	if err != nil {
		return info{}, err
	}
	details, err := p.Agent.Details(ctx, t)
	var refused *amphora.AgentError
	if err != nil && (inService(*a) || errors.As(err, &refused) && refused.Status != 0) {
		p.Log.DebugContext(ctx, "the agent tells no details", "amphora_id", a.ID, "error", err)
		err = nil // no reason to fail a change; upstream's agent cannot tell before its namespace is there
	}
	return info{told, details, p.remember(a.ID, sizeOf(details))}, err
}

// measure asks a new amphora for its size if it could not tell before it was plugged, so that its first configuration is not
// another than the second.
func (p *pass) measure(ctx context.Context, a *db.Amphora, t amphora.Target) {
	told := p.server[a.ID]
	if told.size != (size{}) || inService(*a) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, firstAsk)
	defer cancel()
	details, err := p.Agent.Details(ctx, t)
	if err != nil {
		p.Log.WarnContext(ctx, "the amphora is configured without knowing its size", "amphora_id", a.ID, "error", err)
		return
	}
	told.size = p.remember(a.ID, sizeOf(details))
	p.server[a.ID] = told
}

// remember keeps the size of an amphora, and returns the last one known: an agent that tells none once does not have its
// haproxy reloaded twice.
func (w *Worker) remember(amphoraID string, s size) size {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s == (size{}) {
		return w.sizes[amphoraID]
	}
	if len(w.sizes) > 10_000 {
		clear(w.sizes)
	}
	w.sizes[amphoraID] = s
	return s
}

// dropTwins deletes other servers of the amphora's name, which a create that was answered too late may have made.
func (p *pass) dropTwins(ctx context.Context, a *db.Amphora) error {
	if inService(*a) {
		return nil
	}
	found, err := p.Compute.FindServers(ctx, p.serverName(a.ID))
	if err != nil {
		return err
	}
	for _, s := range found {
		if s.ID == deref(a.ComputeID) {
			continue
		}
		p.Log.WarnContext(ctx, "second server of one amphora deleted", "server_id", s.ID)
		if err := p.Compute.DeleteServer(ctx, s.ID); err != nil {
			return err
		}
	}
	return nil
}

// retire has Nova delete the servers of doomed amphorae before their successor takes the VIP. A server that Nova does not delete, as
// one that is locked, loses its port instead: the successor must neither wait for it nor share the VIP with it.
func (p *pass) retire(ctx context.Context, successor *db.Amphora) error {
	if inService(*successor) {
		return nil
	}
	for i := range p.tree.Amphorae {
		a := &p.tree.Amphorae[i]
		if a.ID == successor.ID || !doomed(*a) || a.ComputeID == nil {
			continue
		}
		err := p.Compute.DeleteServer(ctx, *a.ComputeID)
		if err != nil && p.lease.Attempts >= retireAttempts {
			p.Log.WarnContext(ctx, "server of an amphora that is replaced not deleted: it loses its port", "server_id", *a.ComputeID, "error", err)
			err = p.deletePortsNamed(ctx, portNames{base: a.ID})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// retireAttempts is how many passes may fail before a successor goes on without the end of its predecessor's server.
const retireAttempts = 2

// removeDoomed takes away what is left of amphorae that were replaced.
func (p *pass) removeDoomed(ctx context.Context, successor *db.Amphora) error {
	for i := range p.tree.Amphorae {
		a := &p.tree.Amphorae[i]
		if a.ID == successor.ID || !doomed(*a) {
			continue
		}
		if err := p.removeAmphora(ctx, a); err != nil {
			return err
		}
		err := p.write(ctx, func(ctx context.Context, tx *db.Tx) error { return tx.FinishAmphora(ctx, a) })
		if err != nil {
			return err
		}
	}
	return nil
}

// removeAmphora deletes the server and the ports of an amphora; it is done when Nova says that the server is gone.
func (p *pass) removeAmphora(ctx context.Context, a *db.Amphora) error {
	if a.Status != db.PendingDelete {
		if err := p.setStatus(ctx, a, db.PendingDelete); err != nil {
			return err
		}
	}
	found, err := p.serversOf(ctx, a)
	if err != nil {
		return err
	}
	late := p.Now().Sub(lateSince(a)) > p.cfg.ServerBudget
	for _, s := range found {
		if s.TaskState == "deleting" && !late {
			continue
		}
		if err := p.Compute.DeleteServer(ctx, s.ID); err != nil {
			return err
		}
	}
	switch {
	case late && len(found) > 0:
		return &failure{"ServerNotDeleted", db.KindAmphora, a.ID,
			fmt.Errorf("server %s is still %s after Nova took its delete: it is asked for again", found[0].ID, found[0].Status)}
	case len(found) > 0:
		return p.later("the server to be gone", lateSince(a), p.cfg.ServerWaitMax)
	}
	return p.deletePortsNamed(ctx, portNames{base: a.ID, member: a.ID})
}

// serversOf are those of the amphora's name, and the one that its row has.
func (p *pass) serversOf(ctx context.Context, a *db.Amphora) ([]compute.Server, error) {
	found, err := p.Compute.FindServers(ctx, p.serverName(a.ID))
	if err != nil || a.ComputeID == nil || slices.ContainsFunc(found, func(s compute.Server) bool { return s.ID == *a.ComputeID }) {
		return found, err
	}
	s, err := p.Compute.Server(ctx, *a.ComputeID)
	switch {
	case cloud.IsGone(err):
		return found, nil
	case err != nil:
		return nil, err
	}
	return append(found, s), nil
}

// lateSince is when the amphora's row was changed last: when its server was asked for, when that was ACTIVE, or when its end began.
func lateSince(a *db.Amphora) time.Time {
	if a.UpdatedAt == nil {
		return created(a)
	}
	return *a.UpdatedAt
}

package api

import (
	"context"

	"github.com/ottavino/ottavino/db"
)

var (
	poolProtocols = []string{
		protocolTCP, protocolHTTP, protocolHTTPS, protocolProxy, protocolProxyV2, protocolUDP, protocolSCTP,
	}
	algorithms = []string{"ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT"}

	poolDefaults = map[string]any{"admin_state_up": true, "tls_enabled": false}
)

// poolIn is the body of a pool POST or PUT, or a pool inside a load balancer POST.
type poolIn struct {
	name, description, lbID, listenerID field[string]
	protocol, algorithm                 field[string]
	adminUp, tlsEnabled                 field[bool]
	persistence                         field[persistenceIn]
	members                             field[[]memberIn]
	monitor                             field[monitorIn]
	tlsRef, caRef, crlRef, ciphers      field[string]
	versions, alpn, tags                field[[]string]
	// material is what the references lead to; nil when they are not read.
	material *material
}

func decodePool(o *object) poolIn {
	in := decodePoolChange(o, decodePersistence)
	o.projectID() // accepted and ignored: the load balancer's counts
	in.lbID, in.listenerID = o.uuid("loadbalancer_id"), o.uuid("listener_id")
	o.need("protocol")
	in.protocol = o.enum("protocol", poolProtocols...)
	o.need("lb_algorithm")
	in.members = nestedList(o, "members", decodeNestedMember)
	in.monitor = nested(o, "healthmonitor", decodeNestedMonitor)
	if len(in.members.value) > 0 || in.monitor.given() {
		o.refuse("members and healthmonitor can only be created with their load balancer")
	}
	o.hide("members", "healthmonitor")
	o.notNull("protocol", "lb_algorithm")
	o.defaults(poolDefaults)
	return in
}

func decodeNestedPool(o *object) poolIn {
	in := decodePoolChange(o, decodePersistence)
	in.protocol = o.enum("protocol", poolProtocols...)
	in.members = nestedList(o, "members", decodeNestedMember)
	in.monitor = nested(o, "healthmonitor", decodeNestedMonitor)
	o.defaults(poolDefaults)
	return in
}

func decodePoolPut(o *object) poolIn {
	in := decodePoolChange(o, decodePersistenceChange)
	o.notNull("lb_algorithm", "tls_enabled")
	return in
}

func decodePoolChange(o *object, persistence func(*object) persistenceIn) poolIn {
	return poolIn{
		name: o.text("name", 255), description: o.text("description", 255), adminUp: o.boolean("admin_state_up"),
		algorithm:   o.enum("lb_algorithm", algorithms...),
		persistence: nested(o, "session_persistence", persistence),
		tags:        o.tags(),
		tlsEnabled:  o.boolean("tls_enabled"),
		tlsRef:      o.text("tls_container_ref", 255),
		caRef:       o.text("ca_tls_container_ref", 255),
		crlRef:      o.text("crl_container_ref", 255),
		ciphers:     o.text("tls_ciphers", 2048),
		versions:    o.versions("tls_versions"),
		alpn:        o.alpn("alpn_protocols"),
	}
}

type poolOut struct {
	ID                 string           `json:"id"`
	Name               string           `json:"name"`
	Description        string           `json:"description"`
	ProvisioningStatus string           `json:"provisioning_status"`
	OperatingStatus    string           `json:"operating_status"`
	AdminStateUp       bool             `json:"admin_state_up"`
	Protocol           string           `json:"protocol"`
	LBAlgorithm        string           `json:"lb_algorithm"`
	Persistence        *persistenceOut  `json:"session_persistence"`
	ProjectID          *string          `json:"project_id"`
	TenantID           *string          `json:"tenant_id"`
	LoadBalancers      []ref            `json:"loadbalancers"`
	Listeners          []ref            `json:"listeners"`
	CreatedAt          *stamp           `json:"created_at"`
	UpdatedAt          *stamp           `json:"updated_at"`
	MonitorID          string           `json:"healthmonitor_id,omitempty"`
	Members            []ref            `json:"members"`
	Tags               []string         `json:"tags"`
	TLSContainerRef    *string          `json:"tls_container_ref"`
	CATLSContainerRef  *string          `json:"ca_tls_container_ref"`
	CRLContainerRef    *string          `json:"crl_container_ref"`
	TLSEnabled         bool             `json:"tls_enabled"`
	TLSCiphers         *string          `json:"tls_ciphers"`
	TLSVersions        nullable[string] `json:"tls_versions"`
	ALPNProtocols      nullable[string] `json:"alpn_protocols"`
}

func (s *Server) pools() *resource[db.Pool, poolIn, poolOut] {
	return &resource[db.Pool, poolIn, poolOut]{
		s: s, kind: db.KindPool, singular: "pool", plural: "pools", policy: "pool",
		postArg: "pool_", putArg: "pool_", global: true, quota: db.QuotaPool,
		columns: columnsOf(
			"description", "loadbalancer_id=load_balancer_id", "protocol", "lb_algorithm",
			"healthmonitor_id=health_monitor.id", "tls_enabled", "tls_container_ref=tls_certificate_id",
			"ca_tls_container_ref=ca_tls_certificate_id", "crl_container_ref=crl_container_id",
			"tls_ciphers", "tls_versions", "alpn_protocols"),
		id:           func(p *db.Pool) string { return p.ID },
		project:      func(p *db.Pool) string { return deref(p.ProjectID) },
		view:         viewPools,
		decodeNew:    decodePool,
		decodeChange: decodePoolPut,
		locate:       locatePool,
		outside:      s.readPoolMaterial,
		check:        checkNewPool,
		create:       createPool,
		update:       updatePool,
		removable:    poolRemovable,
		marks:        func(p *db.Pool) marks { return marks{poolID: p.ID} },
	}
}

func viewPools(ctx context.Context, tx *db.Tx, rows []db.Pool) ([]poolOut, error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	var err error
	persistences, monitors := load(ctx, &err, tx.Persistences, ids), load(ctx, &err, tx.Monitors, ids)
	listeners := load(ctx, &err, tx.PoolListenerIDs, ids)
	if err != nil {
		return nil, err
	}
	lists, err := tx.Lists(ctx, ids, db.ListMembers, db.ListTags)
	out := make([]poolOut, len(rows))
	for i := range rows {
		id := rows[i].ID
		out[i] = viewPool(&rows[i])
		if p, ok := persistences[id]; ok {
			out[i].Persistence = viewPersistence(&p)
		}
		out[i].Listeners, out[i].Members = refs(listeners[id]...), refs(lists.Of(id, db.ListMembers)...)
		out[i].MonitorID, out[i].Tags = monitors[id].ID, orEmpty(lists.Of(id, db.ListTags))
	}
	return out, err
}

// viewPool shows what is in the row itself.
func viewPool(p *db.Pool) poolOut {
	out := poolOut{
		ID: p.ID, Name: deref(p.Name), Description: deref(p.Description), ProvisioningStatus: p.ProvisioningStatus,
		OperatingStatus: p.OperatingStatus, AdminStateUp: p.Enabled, Protocol: p.Protocol, LBAlgorithm: p.LBAlgorithm,
		ProjectID: p.ProjectID, TenantID: p.ProjectID, LoadBalancers: refs(),
		CreatedAt: stampOf(p.CreatedAt), UpdatedAt: stampOf(p.UpdatedAt), TLSContainerRef: p.TLSCertificateID,
		CATLSContainerRef: p.CATLSCertificateID, CRLContainerRef: p.CRLContainerID, TLSEnabled: p.TLSEnabled,
		TLSCiphers: p.TLSCiphers, TLSVersions: commaList(p.TLSVersions), ALPNProtocols: commaList(p.ALPNProtocols),
	}
	if p.LoadBalancerID != nil {
		out.LoadBalancers = refs(*p.LoadBalancerID)
	}
	return out
}

// locatePool finds the load balancer of a new pool, by its own or its listener's id.
func locatePool(ctx context.Context, tx *db.Tx, _ string, in *poolIn) (place, error) {
	switch {
	case in.lbID.given():
		return locateLoadBalancer(ctx, tx, in.lbID)
	case in.listenerID.given():
		l, err := db.Live[db.Listener](ctx, tx, in.listenerID.value)
		if err != nil {
			return place{}, err
		}
		return place{deref(l.LoadBalancerID), deref(l.ProjectID)}, nil
	default:
		return place{}, Invalid("Must provide at least one of: loadbalancer_id, listener_id")
	}
}

// checkNewPool is what comes before quota and lock.
func checkNewPool(ctx context.Context, c *change, in *poolIn) error {
	if in.protocol.null {
		return notAnOption("None", "protocol")
	}
	if in.algorithm.null {
		return notAnOption("None", "lb_algorithm")
	}
	if in.persistence.given() {
		if err := checkPersistence(in.protocol.value, in.persistence.value, postTimeouts); err != nil {
			return err
		}
	}
	if err := checkAlgorithm(c.lb, in.algorithm.value); err != nil {
		return err
	}
	if !in.listenerID.given() {
		return nil
	}
	l, err := db.Live[db.Listener](ctx, c.tx, in.listenerID.value)
	if err != nil {
		return err
	}
	if deref(l.LoadBalancerID) != c.lb.ID {
		return notFound("Listener", l.ID)
	}
	if err := matchProtocols(l.Protocol, in.protocol.value); err != nil {
		return err
	}
	if l.DefaultPoolID != nil {
		return conflict("This listener already has a default pool")
	}
	return nil
}

// createPool checks the rest, inserts the rows of a pool and hangs it on its listener.
func createPool(ctx context.Context, c *change, in *poolIn) (*db.Pool, error) {
	p, err := c.insertPool(ctx, in)
	if err != nil || !in.listenerID.given() {
		return p, err
	}
	l := &db.Listener{ID: in.listenerID.value, DefaultPoolID: &p.ID}
	return p, db.Update(ctx, c.tx, l, "default_pool_id")
}

func (c *change) insertPool(ctx context.Context, in *poolIn) (*db.Pool, error) {
	if in.crlRef.or("") != "" && in.caRef.or("") == "" {
		return nil, Invalid("A CA certificate reference is required to specify a revocation list.")
	}
	if err := in.checkMaterial(nil); err != nil {
		return nil, err
	}
	if err := c.s.cfg.checkCiphers(in.ciphers); err != nil {
		return nil, err
	}
	if in.tlsEnabled.value {
		if err := c.s.cfg.checkTLSOptions(in.versions, in.alpn); err != nil {
			return nil, err
		}
	}
	p := c.newPool(in)
	if err := db.Insert(ctx, c.tx, p); err != nil {
		return nil, err
	}
	if in.persistence.given() {
		if err := c.tx.SetPersistence(ctx, p.ID, in.persistence.value.row()); err != nil {
			return nil, err
		}
	}
	if err := c.tx.SetTags(ctx, p.ID, in.tags.value); err != nil {
		return nil, err
	}
	return p, in.material.checkNames(in.tlsRef.or(""), nil)
}

func (c *change) newPool(in *poolIn) *db.Pool {
	cfg := &c.s.cfg
	p := &db.Pool{
		ID: c.s.deps.NewID(), ProjectID: &c.projectID, LoadBalancerID: &c.lb.ID,
		Name: in.name.ptr(), Description: in.description.ptr(), Enabled: in.adminUp.absentOr(true),
		ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline,
		Protocol: in.protocol.value, LBAlgorithm: in.algorithm.value,
		TLSEnabled: in.tlsEnabled.value, TLSCertificateID: nonEmpty(in.tlsRef), CATLSCertificateID: nonEmpty(in.caRef),
		CRLContainerID: nonEmpty(in.crlRef), TLSCiphers: in.ciphers.ptr(),
		TLSVersions: joined(in.versions.value), ALPNProtocols: joined(in.alpn.value),
	}
	if p.TLSEnabled {
		p.TLSCiphers = new(in.ciphers.or(cfg.PoolCiphers))
		p.TLSVersions = joined(in.versions.or(cfg.PoolTLS))
		p.ALPNProtocols = joined(in.alpn.or(cfg.PoolALPN))
	}
	return p
}

// checkAlgorithm refuses what amphorae cannot do.
func checkAlgorithm(lb *db.LoadBalancer, name string) error {
	if name == "SOURCE_IP_PORT" && lb.HasAmphorae() {
		return unsupportedOption(providerOf(lb), "Amphora provider does not support SOURCE_IP_PORT algorithm.")
	}
	return nil
}

func updatePool(ctx context.Context, c *change, p *db.Pool, in *poolIn) ([]string, error) {
	if in.algorithm.null {
		return nil, notAnOption("None", "lb_algorithm")
	}
	if in.tlsEnabled.null {
		return nil, notAnOption("None", "tls_enabled")
	}
	if err := updatePersistence(ctx, c, p, in.persistence); err != nil {
		return nil, err
	}
	if err := c.s.cfg.checkPoolTLSChange(p, in); err != nil {
		return nil, err
	}
	if err := checkAlgorithm(c.lb, in.algorithm.value); err != nil {
		return nil, err
	}
	if err := in.material.checkNames(in.tlsRef.or(""), nil); err != nil {
		return nil, err
	}
	if in.tags.given() {
		if err := c.tx.SetTags(ctx, p.ID, in.tags.value); err != nil {
			return nil, err
		}
	}
	if in.tlsRef.set || in.caRef.set || in.crlRef.set {
		if err := c.tx.RecheckSecrets(ctx, c.lb.ID); err != nil {
			return nil, err
		}
	}
	var e edits
	putPtr(&e, "name", &p.Name, in.name)
	putPtr(&e, "description", &p.Description, in.description)
	put(&e, "enabled", &p.Enabled, in.adminUp)
	put(&e, "lb_algorithm", &p.LBAlgorithm, in.algorithm)
	put(&e, "tls_enabled", &p.TLSEnabled, in.tlsEnabled)
	putPtr(&e, "tls_certificate_id", &p.TLSCertificateID, in.tlsRef)
	putPtr(&e, "ca_tls_certificate_id", &p.CATLSCertificateID, in.caRef)
	putPtr(&e, "crl_container_id", &p.CRLContainerID, in.crlRef)
	putPtrOr(&e, "tls_ciphers", &p.TLSCiphers, in.ciphers, c.s.cfg.PoolCiphers)
	putList(&e, "tls_versions", &p.TLSVersions, in.versions, c.s.cfg.PoolTLS)
	putList(&e, "alpn_protocols", &p.ALPNProtocols, in.alpn, nil)
	return e.columns, nil
}

// checkPoolTLSChange tests the TLS options of a PUT against those stored.
func (c Config) checkPoolTLSChange(p *db.Pool, in *poolIn) error {
	storedCA := deref(p.CATLSCertificateID) != ""
	switch ca, crl := in.caRefs(p); {
	case in.caRef.set && ca == "" && storedCA && crl != "":
		return Invalid("A CA reference cannot be removed when a certificate revocation list is present.")
	case crl != "" && !storedCA && ca == "":
		return Invalid("A CA reference is required to specify a certificate revocation list.")
	}
	if err := in.checkMaterial(p); err != nil {
		return err
	}
	if err := c.checkCiphers(in.ciphers); err != nil {
		return err
	}
	return c.checkTLSOptions(in.versions, in.alpn)
}

// checkMaterial tests what the references of a body, or those stored in p, lead to.
func (in *poolIn) checkMaterial(p *db.Pool) error {
	if err := in.material.checkBundles(nonEmptyList(in.tlsRef.or(""))); err != nil {
		return err
	}
	return in.material.checkCA(in.caRefsToRead(p))
}

// poolRemovable refuses while an L7 policy redirects to the pool.
func poolRemovable(ctx context.Context, c *change, p *db.Pool) error {
	users, err := db.Where[db.L7Policy](ctx, c.tx, "redirect_pool_id = ?", p.ID)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return conflict("Pool " + p.ID + " is in use by L7 policy " + users[0].ID)
	}
	return nil
}

package api

import (
	"context"

	"github.com/ottavino/ottavino/db"
)

// highestTimeout bounds a listener's timeouts, in milliseconds.
const highestTimeout = 2073600000

// listenerIn is the body of a listener POST or PUT, or a listener inside a load balancer POST.
type listenerIn struct {
	name, description, lbID, protocol     field[string]
	adminUp                               field[bool]
	port, connectionLimit                 field[int]
	defaultPoolID                         field[string]
	defaultPool                           field[poolIn]
	policies                              field[[]policyIn]
	tlsRef, clientCA, clientCRL           field[string]
	clientAuth, ciphers                   field[string]
	sniRefs, cidrs, versions, alpn, tags  field[[]string]
	headers                               field[map[string]string]
	clientData, memberConnect, memberData field[int]
	tcpInspect, hstsMaxAge                field[int]
	hstsSubdomains, hstsPreload           field[bool]
	// material is what the references lead to; nil when they are not read.
	material *material
}

func decodeListener(o *object) listenerIn {
	in := decodeListenerChange(o)
	o.need("loadbalancer_id")
	in.lbID = o.uuid("loadbalancer_id")
	o.projectID() // accepted and ignored: the load balancer's counts
	decodeListenerIdentity(o, &in)
	if in.defaultPool.given() || len(in.policies.value) > 0 {
		o.refuse("default_pool and l7policies can only be created with their load balancer")
	}
	o.hide("default_pool", "l7policies")
	o.notNull("loadbalancer_id")
	return in
}

func decodeNestedListener(o *object) listenerIn {
	in := decodeListenerChange(o)
	decodeListenerIdentity(o, &in)
	return in
}

// decodeListenerIdentity reads what cannot be changed later.
func decodeListenerIdentity(o *object, in *listenerIn) {
	o.need("protocol")
	in.protocol = o.enum("protocol", listenerProtocols...)
	o.need("protocol_port")
	in.port = o.integer("protocol_port", 1, 65535)
	in.defaultPool = nested(o, "default_pool", decodeNestedPool)
	in.policies = nestedList(o, "l7policies", decodeNestedPolicy)
	o.notNull("protocol", "protocol_port")
	o.defaults(map[string]any{
		"admin_state_up": true, "connection_limit": -1, "client_authentication": "NONE", "insert_headers": map[string]string{},
		"hsts_include_subdomains": false, "hsts_preload": false,
	})
}

func decodeListenerChange(o *object) listenerIn {
	return listenerIn{
		name: o.text("name", 255), description: o.text("description", 255), adminUp: o.boolean("admin_state_up"),
		connectionLimit: o.integer("connection_limit", -1, unbounded),
		defaultPoolID:   o.uuid("default_pool_id"),
		tlsRef:          o.text("default_tls_container_ref", 255),
		sniRefs:         o.texts("sni_container_refs", 128),
		headers:         o.dict("insert_headers", 255),
		clientData:      o.integer("timeout_client_data", 0, highestTimeout),
		memberConnect:   o.integer("timeout_member_connect", 0, highestTimeout),
		memberData:      o.integer("timeout_member_data", 0, highestTimeout),
		tcpInspect:      o.integer("timeout_tcp_inspect", 0, highestTimeout),
		tags:            o.tags(),
		clientAuth:      o.enum("client_authentication", "NONE", "OPTIONAL", "MANDATORY"),
		clientCA:        o.text("client_ca_tls_container_ref", 255),
		clientCRL:       o.text("client_crl_container_ref", 255),
		cidrs:           o.cidrs("allowed_cidrs"),
		ciphers:         o.text("tls_ciphers", 2048),
		versions:        o.versions("tls_versions"),
		alpn:            o.alpn("alpn_protocols"),
		hstsMaxAge:      o.integer("hsts_max_age", 0, unbounded),
		hstsSubdomains:  o.boolean("hsts_include_subdomains"),
		hstsPreload:     o.boolean("hsts_preload"),
	}
}

type listenerOut struct {
	ID                   string            `json:"id"`
	Name                 string            `json:"name"`
	Description          string            `json:"description"`
	ProvisioningStatus   string            `json:"provisioning_status"`
	OperatingStatus      string            `json:"operating_status"`
	AdminStateUp         bool              `json:"admin_state_up"`
	Protocol             string            `json:"protocol"`
	ProtocolPort         int               `json:"protocol_port"`
	ConnectionLimit      *int              `json:"connection_limit"`
	DefaultTLSRef        *string           `json:"default_tls_container_ref"`
	SNIRefs              []string          `json:"sni_container_refs"`
	ProjectID            *string           `json:"project_id"`
	TenantID             *string           `json:"tenant_id"`
	DefaultPoolID        *string           `json:"default_pool_id"`
	L7Policies           []ref             `json:"l7policies"`
	InsertHeaders        map[string]string `json:"insert_headers"`
	CreatedAt            *stamp            `json:"created_at"`
	UpdatedAt            *stamp            `json:"updated_at"`
	LoadBalancers        []ref             `json:"loadbalancers,omitempty"`
	TimeoutClientData    *int              `json:"timeout_client_data"`
	TimeoutMemberConnect *int              `json:"timeout_member_connect"`
	TimeoutMemberData    *int              `json:"timeout_member_data"`
	TimeoutTCPInspect    *int              `json:"timeout_tcp_inspect"`
	Tags                 []string          `json:"tags"`
	ClientCARef          *string           `json:"client_ca_tls_container_ref"`
	ClientAuthentication string            `json:"client_authentication"`
	ClientCRLRef         *string           `json:"client_crl_container_ref"`
	AllowedCIDRs         nullable[string]  `json:"allowed_cidrs"`
	TLSCiphers           *string           `json:"tls_ciphers"`
	TLSVersions          nullable[string]  `json:"tls_versions"`
	ALPNProtocols        nullable[string]  `json:"alpn_protocols"`
	HSTSMaxAge           *int              `json:"hsts_max_age"`
	HSTSSubdomains       *bool             `json:"hsts_include_subdomains"`
	HSTSPreload          *bool             `json:"hsts_preload"`
}

func (s *Server) listeners() *resource[db.Listener, listenerIn, listenerOut] {
	return &resource[db.Listener, listenerIn, listenerOut]{
		s: s, kind: db.KindListener, singular: "listener", plural: "listeners", policy: "listener",
		postArg: "listener_", putArg: "listener_", global: true, quota: db.QuotaListener,
		columns: columnsOf(
			"description", "loadbalancer_id=load_balancer_id", "protocol", "protocol_port", "connection_limit",
			"default_pool_id", "default_tls_container_ref=tls_certificate_id",
			"client_ca_tls_container_ref=client_ca_tls_certificate_id",
			"client_crl_container_ref=client_crl_container_id", "client_authentication", "timeout_client_data",
			"timeout_member_connect", "timeout_member_data", "timeout_tcp_inspect", "tls_ciphers", "tls_versions",
			"alpn_protocols", "hsts_max_age", "hsts_include_subdomains", "hsts_preload", "insert_headers", "peer_port"),
		id:           func(l *db.Listener) string { return l.ID },
		project:      func(l *db.Listener) string { return deref(l.ProjectID) },
		view:         viewListeners,
		decodeNew:    decodeListener,
		decodeChange: decodeListenerChange,
		locate: func(ctx context.Context, tx *db.Tx, _ string, in *listenerIn) (place, error) {
			return locateLoadBalancer(ctx, tx, in.lbID)
		},
		outside: s.readListenerMaterial,
		check:   checkNewListener,
		create:  createListener,
		update:  updateListener,
		marks:   func(*db.Listener) marks { return marks{} },
	}
}

// locateLoadBalancer finds the load balancer that a body names.
func locateLoadBalancer(ctx context.Context, tx *db.Tx, id field[string]) (place, error) {
	if !id.given() {
		return place{}, notFound("Load Balancer", "None")
	}
	lb, err := db.Get[db.LoadBalancer](ctx, tx, id.value)
	if err != nil {
		return place{}, err
	}
	return place{lb.ID, deref(lb.ProjectID)}, nil
}

func viewListeners(ctx context.Context, tx *db.Tx, rows []db.Listener) ([]listenerOut, error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	lists, err := tx.Lists(ctx, ids, db.ListSNIs, db.ListCIDRs, db.ListPolicies, db.ListTags)
	out := make([]listenerOut, len(rows))
	for i := range rows {
		id := rows[i].ID
		out[i] = viewListener(&rows[i])
		out[i].SNIRefs, out[i].AllowedCIDRs = orEmpty(lists.Of(id, db.ListSNIs)), lists.Of(id, db.ListCIDRs)
		out[i].L7Policies, out[i].Tags = refs(lists.Of(id, db.ListPolicies)...), orEmpty(lists.Of(id, db.ListTags))
	}
	return out, err
}

// viewListener shows what is in the row itself.
func viewListener(l *db.Listener) listenerOut {
	headers := map[string]string(l.InsertHeaders)
	if headers == nil {
		headers = map[string]string{}
	}
	return listenerOut{
		ID: l.ID, Name: deref(l.Name), Description: deref(l.Description), ProvisioningStatus: l.ProvisioningStatus,
		OperatingStatus: l.OperatingStatus, AdminStateUp: l.Enabled, Protocol: l.Protocol, ProtocolPort: l.ProtocolPort,
		ConnectionLimit: l.ConnectionLimit, DefaultTLSRef: l.TLSCertificateID, ProjectID: l.ProjectID,
		TenantID: l.ProjectID, DefaultPoolID: l.DefaultPoolID, InsertHeaders: headers,
		CreatedAt: stampOf(l.CreatedAt), UpdatedAt: stampOf(l.UpdatedAt), LoadBalancers: refs(deref(l.LoadBalancerID)),
		TimeoutClientData: l.TimeoutClientData, TimeoutMemberConnect: l.TimeoutMemberConnect,
		TimeoutMemberData: l.TimeoutMemberData, TimeoutTCPInspect: l.TimeoutTCPInspect,
		ClientCARef: l.ClientCATLSCertificateID, ClientAuthentication: l.ClientAuthentication,
		ClientCRLRef: l.ClientCRLContainerID, TLSCiphers: l.TLSCiphers, TLSVersions: commaList(l.TLSVersions),
		ALPNProtocols: commaList(l.ALPNProtocols), HSTSMaxAge: l.HSTSMaxAge, HSTSSubdomains: l.HSTSIncludeSubdomains,
		HSTSPreload: l.HSTSPreload,
	}
}

// checkNewListener is what comes before quota and lock.
func checkNewListener(ctx context.Context, c *change, in *listenerIn) error {
	if in.protocol.null {
		return notAnOption("None", "protocol")
	}
	if in.port.null {
		return notAnOption(in.protocol.value, "protocol")
	}
	return c.checkDefaultPool(ctx, in.protocol.value, in.defaultPoolID)
}

// createListener checks the rest and inserts the rows of a listener.
func createListener(ctx context.Context, c *change, in *listenerIn) (*db.Listener, error) {
	l := c.newListener(in)
	if err := c.checkListener(ctx, l, in); err != nil {
		return nil, err
	}
	port, err := c.tx.PeerPort(ctx, c.lb.ID)
	if err != nil {
		return nil, err
	}
	l.PeerPort = &port
	if err := db.Insert(ctx, c.tx, l); err != nil {
		return nil, orDuplicate(err, portTaken(l.Protocol, l.ProtocolPort))
	}
	if err := c.tx.SetSNIs(ctx, l.ID, in.sniRefs.value); err != nil {
		return nil, err
	}
	if err := c.tx.SetCIDRs(ctx, l.ID, in.cidrs.value); err != nil {
		return nil, err
	}
	if err := c.tx.SetTags(ctx, l.ID, in.tags.value); err != nil {
		return nil, err
	}
	return l, in.material.checkNames(in.tlsRef.or(""), in.sniRefs.value)
}

// newListener builds the row of a listener. TLS options get their defaults where they apply.
func (c *change) newListener(in *listenerIn) *db.Listener {
	cfg := &c.s.cfg
	l := &db.Listener{
		ID: c.s.deps.NewID(), ProjectID: &c.projectID, LoadBalancerID: &c.lb.ID,
		Name: in.name.ptr(), Description: in.description.ptr(), Enabled: in.adminUp.absentOr(true),
		ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline,
		Protocol: in.protocol.value, ProtocolPort: in.port.value, ConnectionLimit: absentPtr(in.connectionLimit, -1),
		DefaultPoolID: in.defaultPoolID.ptr(), TLSCertificateID: nonEmpty(in.tlsRef),
		InsertHeaders: in.headers.or(map[string]string{}), ClientAuthentication: in.clientAuth.absentOr("NONE"),
		TimeoutClientData:        new(in.clientData.or(millis(cfg.Timeouts.ClientData))),
		TimeoutMemberConnect:     new(in.memberConnect.or(millis(cfg.Timeouts.MemberConnect))),
		TimeoutMemberData:        new(in.memberData.or(millis(cfg.Timeouts.MemberData))),
		TimeoutTCPInspect:        new(in.tcpInspect.or(millis(cfg.Timeouts.TCPInspect))),
		ClientCATLSCertificateID: nonEmpty(in.clientCA), ClientCRLContainerID: nonEmpty(in.clientCRL),
		TLSCiphers: in.ciphers.ptr(), TLSVersions: joined(in.versions.value), ALPNProtocols: joined(in.alpn.value),
		HSTSMaxAge:            in.hstsMaxAge.ptr(),
		HSTSIncludeSubdomains: absentPtr(in.hstsSubdomains, false), HSTSPreload: absentPtr(in.hstsPreload, false),
	}
	if l.Protocol == protocolTerminatedHTTPS {
		l.TLSCiphers = new(in.ciphers.or(cfg.ListenerCiphers))
		l.TLSVersions = joined(in.versions.or(cfg.ListenerTLS))
		l.ALPNProtocols = joined(in.alpn.or(cfg.ListenerALPN))
	}
	return l
}

// absentPtr is the value, def when the attribute is absent, and nil when it is null.
func absentPtr[T any](f field[T], def T) *T {
	if !f.set {
		return &def
	}
	return f.ptr()
}

// nonEmpty is the value; nil when it is absent, null or "".
func nonEmpty(f field[string]) *string {
	if f.or("") == "" {
		return nil
	}
	return f.ptr()
}

func updateListener(ctx context.Context, c *change, l *db.Listener, in *listenerIn) ([]string, error) {
	if err := c.checkListenerChange(ctx, l, in); err != nil {
		return nil, err
	}
	if err := c.checkDefaultPool(ctx, l.Protocol, in.defaultPoolID); err != nil {
		return nil, err
	}
	if err := in.material.checkNames(in.tlsRef.or(""), in.sniRefs.value); err != nil {
		return nil, err
	}
	if err := c.updateListenerLists(ctx, l.ID, in); err != nil {
		return nil, err
	}
	if in.tlsRef.set || in.sniRefs.set || in.clientCA.set || in.clientCRL.set {
		if err := c.tx.RecheckSecrets(ctx, c.lb.ID); err != nil {
			return nil, err
		}
	}
	cfg := &c.s.cfg
	var e edits
	putPtr(&e, "name", &l.Name, in.name)
	putPtr(&e, "description", &l.Description, in.description)
	put(&e, "enabled", &l.Enabled, in.adminUp)
	putPtrOr(&e, "connection_limit", &l.ConnectionLimit, in.connectionLimit, -1)
	putPtr(&e, "default_pool_id", &l.DefaultPoolID, in.defaultPoolID)
	putPtr(&e, "tls_certificate_id", &l.TLSCertificateID, in.tlsRef)
	putPtr(&e, "client_ca_tls_certificate_id", &l.ClientCATLSCertificateID, in.clientCA)
	putPtr(&e, "client_crl_container_id", &l.ClientCRLContainerID, in.clientCRL)
	putOr(&e, "client_authentication", &l.ClientAuthentication, in.clientAuth, "NONE")
	if in.headers.set {
		l.InsertHeaders = in.headers.or(map[string]string{})
		e.columns = append(e.columns, "insert_headers")
	}
	putPtrOr(&e, "timeout_client_data", &l.TimeoutClientData, in.clientData, millis(cfg.Timeouts.ClientData))
	putPtrOr(&e, "timeout_member_connect", &l.TimeoutMemberConnect, in.memberConnect, millis(cfg.Timeouts.MemberConnect))
	putPtrOr(&e, "timeout_member_data", &l.TimeoutMemberData, in.memberData, millis(cfg.Timeouts.MemberData))
	putPtrOr(&e, "timeout_tcp_inspect", &l.TimeoutTCPInspect, in.tcpInspect, millis(cfg.Timeouts.TCPInspect))
	putPtrOr(&e, "tls_ciphers", &l.TLSCiphers, in.ciphers, cfg.ListenerCiphers)
	putList(&e, "tls_versions", &l.TLSVersions, in.versions, cfg.ListenerTLS)
	putList(&e, "alpn_protocols", &l.ALPNProtocols, in.alpn, cfg.ListenerALPN)
	putPtr(&e, "hsts_max_age", &l.HSTSMaxAge, in.hstsMaxAge)
	putPtrOr(&e, "hsts_include_subdomains", &l.HSTSIncludeSubdomains, in.hstsSubdomains, false)
	putPtrOr(&e, "hsts_preload", &l.HSTSPreload, in.hstsPreload, false)
	return e.columns, nil
}

// updateListenerLists stores what a PUT has in tables of their own.
func (c *change) updateListenerLists(ctx context.Context, id string, in *listenerIn) error {
	if in.sniRefs.set {
		if err := c.tx.SetSNIs(ctx, id, in.sniRefs.value); err != nil {
			return err
		}
	}
	if in.cidrs.set {
		if err := c.tx.SetCIDRs(ctx, id, in.cidrs.value); err != nil {
			return err
		}
	}
	if in.tags.given() {
		return c.tx.SetTags(ctx, id, in.tags.value)
	}
	return nil
}

package api

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ottavino/ottavino/db"
)

// Types of health monitors that have rules of their own.
const (
	monitorHTTP       = "HTTP"
	monitorHTTPS      = "HTTPS"
	monitorPing       = "PING"
	monitorTCP        = "TCP"
	monitorUDPConnect = "UDP-CONNECT"
	monitorSCTP       = "SCTP"
)

var (
	monitorTypes = []string{
		monitorHTTP, monitorHTTPS, monitorPing, monitorTCP, "TLS-HELLO", monitorUDPConnect, monitorSCTP,
	}
	// datagramMonitors are the types that UDP and SCTP pools can have.
	datagramMonitors = []string{monitorUDPConnect, monitorSCTP, monitorTCP, monitorHTTP}
	httpMethods      = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH"}

	codesForm   = regexp.MustCompile(`^(\d{3}(\s*,\s*\d{3})*)$|^(\d{3}-\d{3})$`)
	codesRule   = pattern{source: codesForm.String(), match: codesForm.MatchString}
	domainLabel = regexp.MustCompile(`^_?[A-Za-z0-9-]{1,63}$`)
	domainRule  = pattern{
		source: `^(?=.{1,253}\.?$)(?:(?!-|[^.]+_)[A-Za-z0-9-_]{1,63}(?<!-)(?:\.|$))+$`,
		shown:  `^(_?[A-Za-z0-9]([A-Za-z0-9-]{0,60}[A-Za-z0-9])?(\.|$))+$`,
		match:  isDomainName,
	}
)

func isDomainName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if len(label) > 63 || !domainLabel.MatchString(label) || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return true
}

// monitorIn is the body of a health monitor POST or PUT, or a monitor inside a load balancer POST.
type monitorIn struct {
	name, kind, poolID, domain       field[string]
	delay, timeout, rise, fall       field[int]
	httpMethod, urlPath, expectCodes field[string]
	httpVersion                      field[float64]
	adminUp                          field[bool]
	tags                             field[[]string]
}

func decodeMonitor(o *object) monitorIn {
	in := decodeNestedMonitor(o)
	o.projectID() // accepted and ignored: the load balancer's counts
	o.need("pool_id")
	in.poolID = o.uuid("pool_id")
	o.notNull("pool_id")
	return in
}

func decodeNestedMonitor(o *object) monitorIn {
	for _, name := range []string{"type", "delay", "timeout", "max_retries"} {
		o.need(name)
	}
	kind := o.enum("type", monitorTypes...)
	in := decodeMonitorChange(o)
	in.kind = kind
	o.refuseNull("max_retries_down")
	o.notNull("type")
	o.defaults(map[string]any{"admin_state_up": true, "max_retries_down": 3})
	return in
}

func decodeMonitorPut(o *object) monitorIn { return decodeMonitorChange(o) }

func decodeMonitorChange(o *object) monitorIn {
	in := monitorIn{
		name: o.text("name", 255), delay: o.integer("delay", 0, unbounded), timeout: o.integer("timeout", 0, unbounded),
		rise: o.integer("max_retries", 1, 10), fall: o.integer("max_retries_down", 1, 10),
		httpMethod: o.enum("http_method", httpMethods...), urlPath: o.urlPath("url_path"),
		expectCodes: o.textLike("expected_codes", 0, 64, codesRule), adminUp: o.boolean("admin_state_up"),
		tags: o.tags(), httpVersion: o.httpVersion("http_version"),
		domain: o.textLike("domain_name", 1, 255, domainRule),
	}
	o.notNull("delay", "timeout", "max_retries")
	return in
}

type monitorOut struct {
	ID                 string       `json:"id"`
	Name               string       `json:"name"`
	Type               string       `json:"type"`
	Delay              int          `json:"delay"`
	Timeout            int          `json:"timeout"`
	MaxRetries         int          `json:"max_retries"`
	MaxRetriesDown     int          `json:"max_retries_down"`
	HTTPMethod         *string      `json:"http_method"`
	URLPath            *string      `json:"url_path"`
	ExpectedCodes      *string      `json:"expected_codes"`
	AdminStateUp       bool         `json:"admin_state_up"`
	ProjectID          *string      `json:"project_id"`
	TenantID           *string      `json:"tenant_id"`
	Pools              []ref        `json:"pools,omitempty"`
	ProvisioningStatus string       `json:"provisioning_status"`
	OperatingStatus    string       `json:"operating_status"`
	CreatedAt          *stamp       `json:"created_at"`
	UpdatedAt          *stamp       `json:"updated_at"`
	Tags               []string     `json:"tags"`
	HTTPVersion        *httpVersion `json:"http_version"`
	DomainName         *string      `json:"domain_name"`
}

// httpVersions is the description of both.
var httpVersions = oneOf("number", httpVersion(1.0), httpVersion(1.1))

// httpVersion is 1.0 or 1.1 and always shows its fraction.
type httpVersion float64

// MarshalJSON implements json.Marshaler.
func (v httpVersion) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%.1f", float64(v)), nil }

func (s *Server) healthMonitors() *resource[db.HealthMonitor, monitorIn, monitorOut] {
	return &resource[db.HealthMonitor, monitorIn, monitorOut]{
		s: s, kind: db.KindHealthMonitor, singular: "healthmonitor", plural: "healthmonitors", policy: "healthmonitor",
		postArg: "health_monitor_", putArg: "health_monitor_", global: true, quota: db.QuotaHealthMonitor,
		columns: columnsOf("type", "delay", "timeout", "max_retries=rise_threshold", "max_retries_down=fall_threshold",
			"http_method", "url_path", "expected_codes", "http_version", "domain_name", "pool_id"),
		id:           func(m *db.HealthMonitor) string { return m.ID },
		project:      func(m *db.HealthMonitor) string { return deref(m.ProjectID) },
		view:         viewMonitors,
		decodeNew:    decodeMonitor,
		decodeChange: decodeMonitorPut,
		locate: func(ctx context.Context, tx *db.Tx, _ string, in *monitorIn) (place, error) {
			if !in.poolID.given() {
				return place{}, notFound("Pool", "None")
			}
			return locateBelowPool(ctx, tx, in.poolID.value)
		},
		check:  checkNewMonitor,
		create: createMonitor,
		update: updateMonitor,
		removable: func(ctx context.Context, c *change, m *db.HealthMonitor) error {
			return c.poolMutable(ctx, m.PoolID)
		},
		marks: func(m *db.HealthMonitor) marks { return marks{poolID: m.PoolID, pool: true} },
	}
}

func viewMonitors(ctx context.Context, tx *db.Tx, rows []db.HealthMonitor) ([]monitorOut, error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	lists, err := tx.Lists(ctx, ids, db.ListTags)
	out := make([]monitorOut, len(rows))
	for i := range rows {
		m := &rows[i]
		out[i] = monitorOut{
			ID: m.ID, Name: deref(m.Name), Type: m.Type, Delay: m.Delay, Timeout: m.Timeout,
			MaxRetries: m.RiseThreshold, MaxRetriesDown: m.FallThreshold, HTTPMethod: m.HTTPMethod, URLPath: m.URLPath,
			ExpectedCodes: m.ExpectedCodes, AdminStateUp: m.Enabled, ProjectID: m.ProjectID, TenantID: m.ProjectID,
			Pools: refs(m.PoolID), ProvisioningStatus: m.ProvisioningStatus, OperatingStatus: m.OperatingStatus,
			CreatedAt: stampOf(m.CreatedAt), UpdatedAt: stampOf(m.UpdatedAt), Tags: orEmpty(lists.Of(m.ID, db.ListTags)),
			HTTPVersion: (*httpVersion)(m.HTTPVersion), DomainName: m.DomainName,
		}
	}
	return out, err
}

// checkNewMonitor is what comes before quota and lock.
func checkNewMonitor(ctx context.Context, c *change, in *monitorIn) error {
	pool, err := db.Get[db.Pool](ctx, c.tx, in.poolID.value)
	if err != nil {
		return err
	}
	if in.kind.value == monitorPing && !c.s.cfg.AllowPing {
		return disabled("type", monitorPing)
	}
	if err := c.s.cfg.checkMonitorPool(pool.Protocol, in); err != nil {
		return err
	}
	return c.mutable(db.KindPool, pool.ID, pool.ProvisioningStatus)
}

// checkMonitorPool tests a monitor's type against the protocol of its pool.
func (c Config) checkMonitorPool(protocol string, in *monitorIn) error {
	kind := in.kind.value
	switch {
	case in.kind.null:
		return notAnOption("None", "type")
	case datagram(protocol) && !slices.Contains(datagramMonitors, kind):
		return Invalid("The associated pool protocol is " + protocol +
			", so only a UDP-CONNECT/SCTP/TCP/HTTP health monitor is supported.")
	case datagram(protocol):
		return c.checkMonitorDelay(kind, in.delay)
	case kind == monitorUDPConnect || kind == monitorSCTP:
		return Invalid("The " + kind + " type is only supported for pools of type UDP/SCTP.")
	}
	return nil
}

// checkMonitorDelay keeps UDP-CONNECT from asking too often.
func (c Config) checkMonitorDelay(kind string, delay field[int]) error {
	lowest := int(c.MinUDPConnectDelay.Seconds())
	if kind == monitorUDPConnect && delay.given() && delay.value < lowest {
		return Invalid(fmt.Sprintf(
			"The request delay value %d should be larger than %d for %s health monitor type.", delay.value, lowest, kind))
	}
	return nil
}

func createMonitor(ctx context.Context, c *change, in *monitorIn) (*db.HealthMonitor, error) {
	if err := checkMonitorOptions(in); err != nil {
		return nil, err
	}
	there, err := c.tx.Monitors(ctx, []string{in.poolID.value})
	if err != nil {
		return nil, err
	}
	const taken = "This pool already has a health monitor"
	if len(there) > 0 {
		return nil, conflict(taken)
	}
	m := c.newMonitor(in)
	if err := db.Insert(ctx, c.tx, m); err != nil {
		return nil, orDuplicate(err, taken)
	}
	return m, c.tx.SetTags(ctx, m.ID, in.tags.value)
}

// checkMonitorOptions tests a new monitor in itself.
func checkMonitorOptions(in *monitorIn) error {
	if err := checkMonitorNulls(in); err != nil {
		return err
	}
	if err := checkHTTPOptions(in, in.kind.value, func(f field[string]) bool { return f.value != "" }); err != nil {
		return err
	}
	return checkDomain(in.domain.given(), in.httpVersion.ptr())
}

func checkMonitorNulls(in *monitorIn) error {
	for _, f := range []struct {
		name string
		null bool
	}{{"delay", in.delay.null}, {"timeout", in.timeout.null}, {"max_retries", in.rise.null}} {
		if f.null {
			return notAnOption("None", f.name)
		}
	}
	return nil
}

// checkHTTPOptions refuses options that only HTTP and HTTPS monitors have.
func checkHTTPOptions(in *monitorIn, kind string, used func(field[string]) bool) error {
	if kind == monitorHTTP || kind == monitorHTTPS {
		return nil
	}
	for _, f := range []struct {
		name  string
		value field[string]
	}{{"http_method", in.httpMethod}, {"url_path", in.urlPath}, {"expected_codes", in.expectCodes}} {
		if used(f.value) {
			return notAnOption(f.name, "health monitors of type "+kind)
		}
	}
	return nil
}

// checkDomain tests that a domain name can be sent: HTTP 1.0 has no Host header.
func checkDomain(domain bool, version *float64) error {
	switch {
	case domain && version == nil:
		return Invalid("'http_version' must be specified when 'domain_name' is provided.")
	case domain && *version < 1.1:
		return notAnOption("http_version 1.0", "health monitors HTTP 1.1 domain name health check")
	}
	return nil
}

func (c *change) newMonitor(in *monitorIn) *db.HealthMonitor {
	m := &db.HealthMonitor{
		ID: c.s.deps.NewID(), PoolID: in.poolID.value, ProjectID: &c.projectID, Name: in.name.ptr(),
		Type: in.kind.value, Delay: in.delay.value, Timeout: in.timeout.value, RiseThreshold: in.rise.value,
		FallThreshold: in.fall.or(3), Enabled: in.adminUp.absentOr(true), HTTPVersion: in.httpVersion.ptr(),
		DomainName: in.domain.ptr(), ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline,
	}
	if m.Type == monitorHTTP || m.Type == monitorHTTPS {
		m.HTTPMethod = new(in.httpMethod.or("GET"))
		m.URLPath = new(in.urlPath.or("/"))
		m.ExpectedCodes = new(in.expectCodes.or("200"))
	}
	return m
}

func updateMonitor(ctx context.Context, c *change, m *db.HealthMonitor, in *monitorIn) ([]string, error) {
	if err := c.checkMonitorChange(ctx, m, in); err != nil {
		return nil, err
	}
	if in.tags.given() {
		if err := c.tx.SetTags(ctx, m.ID, in.tags.value); err != nil {
			return nil, err
		}
	}
	var e edits
	putPtr(&e, "name", &m.Name, in.name)
	put(&e, "delay", &m.Delay, in.delay)
	put(&e, "timeout", &m.Timeout, in.timeout)
	put(&e, "rise_threshold", &m.RiseThreshold, in.rise)
	putOr(&e, "fall_threshold", &m.FallThreshold, in.fall, 3)
	putPtrOr(&e, "http_method", &m.HTTPMethod, in.httpMethod, "GET")
	putPtrOr(&e, "url_path", &m.URLPath, in.urlPath, "/")
	putPtrOr(&e, "expected_codes", &m.ExpectedCodes, in.expectCodes, "200")
	put(&e, "enabled", &m.Enabled, in.adminUp)
	putPtr(&e, "http_version", &m.HTTPVersion, in.httpVersion)
	putPtr(&e, "domain_name", &m.DomainName, in.domain)
	return e.columns, nil
}

// checkMonitorChange tests a PUT, in upstream's order.
func (c *change) checkMonitorChange(ctx context.Context, m *db.HealthMonitor, in *monitorIn) error {
	if err := checkHTTPOptions(in, m.Type, func(f field[string]) bool { return f.set }); err != nil {
		return err
	}
	if err := checkMonitorNulls(in); err != nil {
		return err
	}
	if err := checkDomainChange(m, in); err != nil {
		return err
	}
	pool, err := db.Get[db.Pool](ctx, c.tx, m.PoolID)
	if err != nil {
		return err
	}
	if datagram(pool.Protocol) {
		if err := c.s.cfg.checkMonitorDelay(m.Type, in.delay); err != nil {
			return err
		}
	}
	return c.mutable(db.KindPool, pool.ID, pool.ProvisioningStatus)
}

// checkDomainChange is checkDomain with what is stored. Taking the version away while a
// domain name is stored is accepted, as upstream does.
func checkDomainChange(m *db.HealthMonitor, in *monitorIn) error {
	version := m.HTTPVersion
	if in.httpVersion.given() {
		version = in.httpVersion.ptr()
	}
	if in.domain.given() {
		return checkDomain(true, version)
	}
	return checkDomain(!in.domain.set && m.DomainName != nil && version != nil, version)
}

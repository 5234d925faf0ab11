package api

import (
	"context"
	"encoding/json"
	"math"
	"slices"

	"github.com/ottavino/ottavino/db"
)

// Actions of L7 policies.
const (
	actionReject = "REJECT"
	actionURL    = "REDIRECT_TO_URL"
	actionPool   = "REDIRECT_TO_POOL"
	actionPrefix = "REDIRECT_PREFIX"
)

// defaultRedirectCode is the HTTP status of a redirect unless the user says another.
const defaultRedirectCode = 302

var (
	redirectCodes  = []int{301, 302, 303, 307, 308}
	policyDefaults = map[string]any{"admin_state_up": true}
)

// policyIn is the body of an L7 policy POST or PUT, or a policy inside a load balancer POST.
type policyIn struct {
	name, description, listenerID, action field[string]
	poolID, url, prefix                   field[string]
	adminUp                               field[bool]
	position, code                        field[int]
	pool                                  field[poolIn] // nested only
	rules                                 field[[]ruleIn]
	tags                                  field[[]string]
}

func decodePolicy(o *object) policyIn {
	o.projectID() // accepted and ignored: the load balancer's counts
	o.need("listener_id")
	id := o.uuid("listener_id")
	o.need("action")
	in := decodePolicyChange(o)
	in.listenerID = id
	if rules := nestedList(o, "rules", decodeRule); len(rules.value) > 0 {
		o.refuse("rules can only be created with their load balancer, or one by one")
	}
	o.hide("rules")
	o.notNull("listener_id")
	o.defaults(policyDefaults)
	return in
}

func decodeNestedPolicy(o *object) policyIn {
	o.need("action")
	in := decodePolicyCommon(o)
	in.pool = nested(o, "redirect_pool", decodeNestedPool)
	in.rules = nestedList(o, "rules", decodeNestedRule)
	o.defaults(policyDefaults)
	return in
}

func decodePolicyChange(o *object) policyIn {
	in := decodePolicyCommon(o)
	in.poolID = o.uuid("redirect_pool_id")
	return in
}

func decodePolicyCommon(o *object) policyIn {
	in := policyIn{
		name: o.text("name", 255), description: o.text("description", 255), adminUp: o.boolean("admin_state_up"),
		action: o.enum("action", actionReject, actionURL, actionPool, actionPrefix),
		url:    o.url("redirect_url"), prefix: o.url("redirect_prefix"), code: o.redirectCode("redirect_http_code"),
		position: o.integer("position", 1, math.MaxInt32), tags: o.tags(),
	}
	o.notNull("action")
	return in
}

// redirectCode reads the HTTP status of a redirect.
func (o *object) redirectCode(name string) field[int] {
	return read(o, name, form[int]{
		convert: func(raw json.RawMessage) (int, error) {
			n, err := integerOf(raw)
			if err != nil || !slices.Contains(redirectCodes, n) {
				return 0, wrongValue("Value should be one of: 301, 302, 303, 307, 308")
			}
			return n, nil
		},
		schema: oneOf("integer", redirectCodes...),
	})
}

type policyOut struct {
	ID                 string   `json:"id"`
	Name               string   `json:"name"`
	Description        string   `json:"description"`
	ProvisioningStatus string   `json:"provisioning_status"`
	OperatingStatus    string   `json:"operating_status"`
	AdminStateUp       bool     `json:"admin_state_up"`
	ProjectID          *string  `json:"project_id"`
	TenantID           *string  `json:"tenant_id"`
	Action             string   `json:"action"`
	ListenerID         string   `json:"listener_id"`
	RedirectPoolID     *string  `json:"redirect_pool_id"`
	RedirectURL        *string  `json:"redirect_url"`
	RedirectPrefix     *string  `json:"redirect_prefix"`
	RedirectHTTPCode   *int     `json:"redirect_http_code"`
	Position           int      `json:"position"`
	Rules              []ref    `json:"rules"`
	CreatedAt          *stamp   `json:"created_at"`
	UpdatedAt          *stamp   `json:"updated_at"`
	Tags               []string `json:"tags"`
}

func (s *Server) policies() *resource[db.L7Policy, policyIn, policyOut] {
	return &resource[db.L7Policy, policyIn, policyOut]{
		s: s, kind: db.KindL7Policy, singular: "l7policy", plural: "l7policies", policy: "l7policy",
		postArg: "l7policy_", putArg: "l7policy_", global: true, quota: db.QuotaL7Policy,
		columns: columnsOf("description", "listener_id", "action", "position", "redirect_pool_id", "redirect_url",
			"redirect_prefix", "redirect_http_code"),
		id:           func(p *db.L7Policy) string { return p.ID },
		project:      func(p *db.L7Policy) string { return deref(p.ProjectID) },
		view:         viewPolicies,
		decodeNew:    decodePolicy,
		decodeChange: decodePolicyChange,
		locate: func(ctx context.Context, tx *db.Tx, _ string, in *policyIn) (place, error) {
			if !in.listenerID.given() {
				return place{}, notFound("Listener", "None")
			}
			l, err := db.Live[db.Listener](ctx, tx, in.listenerID.value)
			if err != nil {
				return place{}, err
			}
			return place{deref(l.LoadBalancerID), deref(l.ProjectID)}, nil
		},
		create: createPolicy,
		update: updatePolicy,
		marks:  func(p *db.L7Policy) marks { return marks{listenerID: p.ListenerID} },
	}
}

func viewPolicies(ctx context.Context, tx *db.Tx, rows []db.L7Policy) ([]policyOut, error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	lists, err := tx.Lists(ctx, ids, db.ListRules, db.ListTags)
	out := make([]policyOut, len(rows))
	for i := range rows {
		p := &rows[i]
		out[i] = policyOut{
			ID: p.ID, Name: deref(p.Name), Description: deref(p.Description), ProvisioningStatus: p.ProvisioningStatus,
			OperatingStatus: p.OperatingStatus, AdminStateUp: p.Enabled, ProjectID: p.ProjectID, TenantID: p.ProjectID,
			Action: p.Action, ListenerID: p.ListenerID, RedirectPoolID: p.RedirectPoolID, RedirectURL: p.RedirectURL,
			RedirectPrefix: p.RedirectPrefix, RedirectHTTPCode: p.RedirectHTTPCode, Position: p.Position,
			Rules: refs(lists.Of(p.ID, db.ListRules)...), CreatedAt: stampOf(p.CreatedAt), UpdatedAt: stampOf(p.UpdatedAt),
			Tags: orEmpty(lists.Of(p.ID, db.ListTags)),
		}
	}
	return out, err
}

// badPolicy is upstream's InvalidL7PolicyArgs.
func badPolicy(text string) *Fault { return BadRequest("Invalid L7 Policy arguments: " + text) }

// consistent makes action and redirect attributes fit each other as upstream does: what the
// action does not need is dropped, and a redirect attribute that is left decides the action.
func (in policyIn) consistent() (policyIn, error) {
	if in.action.set {
		if err := in.dropUnneeded(); err != nil {
			return in, err
		}
	}
	null, code := field[string]{set: true, null: true}, field[int]{set: true, value: in.code.or(defaultRedirectCode)}
	pool := in.poolID.given() || in.pool.given()
	switch {
	case pool && (in.url.given() || in.prefix.given()):
		return in, badPolicy("Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time")
	case pool:
		in.action, in.url, in.prefix, in.code = wordOf(actionPool), null, null, field[int]{set: true, null: true}
	case in.url.given():
		in.action, in.poolID, in.prefix, in.code = wordOf(actionURL), null, null, code
	case in.prefix.given():
		in.action, in.poolID, in.url, in.code = wordOf(actionPrefix), null, null, code
	}
	return in, nil
}

// dropUnneeded removes what the action does not use, and tests that it has what it needs.
func (in *policyIn) dropUnneeded() error {
	switch in.action.value {
	case actionReject:
		in.url, in.poolID, in.pool = field[string]{}, field[string]{}, field[poolIn]{}
	case actionURL:
		if !in.url.given() {
			return badPolicy("redirect_url must not be None")
		}
		in.poolID, in.pool = field[string]{}, field[poolIn]{}
	case actionPool:
		if !in.poolID.given() && !in.pool.given() {
			return badPolicy("redirect_pool_id or redirect_pool must not be None")
		}
		in.url = field[string]{}
	case actionPrefix:
		if !in.prefix.given() {
			return badPolicy("redirect_prefix must not be None")
		}
	default:
		return BadRequest("Invalid L7 Policy action specified: None")
	}
	return nil
}

func wordOf(s string) field[string] { return field[string]{set: true, value: s} }

func createPolicy(ctx context.Context, c *change, body *policyIn) (*db.L7Policy, error) {
	l, err := db.Live[db.Listener](ctx, c.tx, body.listenerID.value)
	if err != nil {
		return nil, err
	}
	if l.Protocol == protocolPrometheus {
		return nil, BadRequest(prometheusChildren)
	}
	if err := c.checkDefaultPool(ctx, l.Protocol, body.poolID); err != nil {
		return nil, err
	}
	in, err := body.consistent()
	if err != nil {
		return nil, err
	}
	if l.Protocol != protocolHTTP && l.Protocol != protocolTerminatedHTTPS && c.lb.HasAmphorae() {
		return nil, unsupportedOption(providerOf(c.lb), l.Protocol+" protocol listeners do not support L7 policies")
	}
	return c.insertPolicy(ctx, &in)
}

// insertPolicy inserts the rows of a policy whose attributes are consistent.
func (c *change) insertPolicy(ctx context.Context, in *policyIn) (*db.L7Policy, error) {
	p := &db.L7Policy{
		ID: c.s.deps.NewID(), ProjectID: &c.projectID, ListenerID: in.listenerID.value, Name: in.name.ptr(),
		Description: in.description.ptr(), Enabled: in.adminUp.absentOr(true), Action: in.action.value,
		RedirectPoolID: in.poolID.ptr(), RedirectURL: in.url.ptr(), RedirectPrefix: in.prefix.ptr(),
		RedirectHTTPCode: in.code.ptr(), Position: math.MaxInt32,
		ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline,
	}
	if err := db.Insert(ctx, c.tx, p); err != nil {
		return nil, err
	}
	if err := c.tx.PlacePolicy(ctx, p.ListenerID, p.ID, in.position.ptr()); err != nil {
		return nil, err
	}
	return p, c.tx.SetTags(ctx, p.ID, in.tags.value)
}

func updatePolicy(ctx context.Context, c *change, p *db.L7Policy, body *policyIn) ([]string, error) {
	in, err := body.consistent()
	if err != nil {
		return nil, err
	}
	if in.empty() {
		return nil, badPolicy("Invalid update options")
	}
	l, err := db.Get[db.Listener](ctx, c.tx, p.ListenerID)
	if err != nil {
		return nil, err
	}
	if err := c.checkDefaultPool(ctx, l.Protocol, in.poolID); err != nil {
		return nil, err
	}
	if in.position.given() && in.position.value != p.Position {
		if err := c.tx.PlacePolicy(ctx, p.ListenerID, p.ID, in.position.ptr()); err != nil {
			return nil, err
		}
	}
	if in.tags.set {
		if err := c.tx.SetTags(ctx, p.ID, in.tags.value); err != nil {
			return nil, err
		}
	}
	if in.action.value == actionReject {
		none := field[string]{set: true, null: true}
		in.poolID, in.url, in.prefix, in.code = none, none, none, field[int]{set: true, null: true}
	}
	var e edits
	putPtr(&e, "name", &p.Name, in.name)
	putPtr(&e, "description", &p.Description, in.description)
	put(&e, "enabled", &p.Enabled, in.adminUp)
	put(&e, "action", &p.Action, in.action)
	putPtr(&e, "redirect_pool_id", &p.RedirectPoolID, in.poolID)
	putPtr(&e, "redirect_url", &p.RedirectURL, in.url)
	putPtr(&e, "redirect_prefix", &p.RedirectPrefix, in.prefix)
	putPtr(&e, "redirect_http_code", &p.RedirectHTTPCode, in.code)
	return e.columns, nil
}

// empty says that nothing is left that a PUT could change.
func (in *policyIn) empty() bool {
	return !in.name.set && !in.description.set && !in.adminUp.set && !in.action.set && !in.poolID.set && !in.url.set &&
		!in.prefix.set && !in.code.set && !in.position.set && !in.tags.set
}

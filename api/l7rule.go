package api

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ottavino/ottavino/db"
)

// mostRules bounds the rules of a policy.
const mostRules = 50

// Types and comparisons of L7 rules that have conditions of their own.
const (
	ruleHostName  = "HOST_NAME"
	rulePath      = "PATH"
	ruleFileType  = "FILE_TYPE"
	ruleHeader    = "HEADER"
	ruleCookie    = "COOKIE"
	ruleHasCert   = "SSL_CONN_HAS_CERT"
	ruleVerify    = "SSL_VERIFY_RESULT"
	ruleDN        = "SSL_DN_FIELD"
	compareRegex  = "REGEX"
	compareEquals = "EQUAL_TO"
)

var (
	ruleTypes    = []string{ruleHostName, rulePath, ruleFileType, ruleHeader, ruleCookie, ruleHasCert, ruleVerify, ruleDN}
	ruleCompares = []string{compareRegex, "STARTS_WITH", "ENDS_WITH", "CONTAINS", compareEquals}
	oneLine      = pattern{source: `^[^\r\n]*$`, match: func(s string) bool { return !strings.ContainsAny(s, "\r\n") }}
	anyText      = pattern{match: func(string) bool { return true }}

	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+,.^_`|~-]+$")
	headerValue = regexp.MustCompile(`^([!-~]+|"[!-~ \t]*")$`)
	cookieValue = regexp.MustCompile(`^[!#-:<-\[\]-~]+$`)
	dnField     = regexp.MustCompile(`^([a-zA-Z][A-Za-z0-9-]*)$`)
)

// ruleIn is the body of an L7 rule POST or PUT, or a rule inside a load balancer POST.
type ruleIn struct {
	kind, compare, key, value field[string]
	invert, adminUp           field[bool]
	tags                      field[[]string]
	policyID                  string // from the path
}

func decodeRule(o *object) ruleIn {
	o.projectID() // accepted and ignored: the load balancer's counts
	return decodeNewRule(o, oneLine)
}

func decodeNestedRule(o *object) ruleIn { return decodeNewRule(o, anyText) }

func decodeRulePut(o *object) ruleIn { return decodeRuleWith(o, oneLine) }

func decodeNewRule(o *object, p pattern) ruleIn {
	for _, name := range []string{"type", "compare_type", "value"} {
		o.need(name)
	}
	in := decodeRuleWith(o, p)
	o.defaults(map[string]any{"admin_state_up": true, "invert": false})
	return in
}

func decodeRuleWith(o *object, p pattern) ruleIn {
	in := ruleIn{
		kind: o.enum("type", ruleTypes...), compare: o.enum("compare_type", ruleCompares...),
		key: o.textLike("key", 0, 255, p), value: o.textLike("value", 0, 255, p), invert: o.boolean("invert"),
		adminUp: o.boolean("admin_state_up"), tags: o.tags(),
	}
	o.notNull("type", "compare_type", "value")
	return in
}

type ruleOut struct {
	ID                 string   `json:"id"`
	Type               string   `json:"type"`
	CompareType        string   `json:"compare_type"`
	Key                *string  `json:"key"`
	Value              string   `json:"value"`
	Invert             bool     `json:"invert"`
	AdminStateUp       bool     `json:"admin_state_up"`
	ProvisioningStatus string   `json:"provisioning_status"`
	OperatingStatus    string   `json:"operating_status"`
	ProjectID          *string  `json:"project_id"`
	TenantID           *string  `json:"tenant_id"`
	CreatedAt          *stamp   `json:"created_at"`
	UpdatedAt          *stamp   `json:"updated_at"`
	Tags               []string `json:"tags"`
}

func (s *Server) rules() *resource[db.L7Rule, ruleIn, ruleOut] {
	columns := columnsOf("type", "compare_type", "key", "value", "invert", "l7policy_id")
	delete(columns, "name")
	return &resource[db.L7Rule, ruleIn, ruleOut]{
		s: s, kind: db.KindL7Rule, singular: "rule", plural: "rules", policy: "l7rule",
		postArg: "rule_", putArg: "l7rule_", quota: db.QuotaL7Rule, columns: columns,
		parent:       &parent{path: "l7policies", column: "l7policy_id", of: "L7Policy", project: policyProject},
		parentOf:     func(r *db.L7Rule) string { return r.L7policyID },
		id:           func(r *db.L7Rule) string { return r.ID },
		project:      func(r *db.L7Rule) string { return deref(r.ProjectID) },
		view:         viewRules,
		decodeNew:    decodeRule,
		decodeChange: decodeRulePut,
		locate: func(ctx context.Context, tx *db.Tx, parentID string, in *ruleIn) (place, error) {
			in.policyID = parentID
			project, err := policyProject(ctx, tx, parentID)
			if err != nil {
				return place{}, err
			}
			lbID, err := tx.LoadBalancerOf(ctx, db.KindL7Policy, parentID)
			return place{lbID, project}, err
		},
		check:  checkNewRule,
		create: createRule,
		update: updateRule,
		removable: func(ctx context.Context, c *change, r *db.L7Rule) error {
			return c.policyMutable(ctx, r.L7policyID)
		},
		marks: func(r *db.L7Rule) marks { return marks{policyID: r.L7policyID} },
	}
}

func policyProject(ctx context.Context, tx *db.Tx, id string) (string, error) {
	p, err := db.Get[db.L7Policy](ctx, tx, id)
	if err != nil {
		return "", err
	}
	return deref(p.ProjectID), nil
}

func viewRules(ctx context.Context, tx *db.Tx, rows []db.L7Rule) ([]ruleOut, error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	lists, err := tx.Lists(ctx, ids, db.ListTags)
	out := make([]ruleOut, len(rows))
	for i := range rows {
		r := &rows[i]
		out[i] = ruleOut{
			ID: r.ID, Type: r.Type, CompareType: r.CompareType, Key: r.Key, Value: r.Value, Invert: r.Invert,
			AdminStateUp: r.Enabled, ProvisioningStatus: r.ProvisioningStatus, OperatingStatus: r.OperatingStatus,
			ProjectID: r.ProjectID, TenantID: r.ProjectID, CreatedAt: stampOf(r.CreatedAt),
			UpdatedAt: stampOf(r.UpdatedAt), Tags: orEmpty(lists.Of(r.ID, db.ListTags)),
		}
	}
	return out, err
}

// policyMutable tests that the rules of a policy may change.
func (c *change) policyMutable(ctx context.Context, id string) error {
	p, err := db.Get[db.L7Policy](ctx, c.tx, id)
	if err != nil {
		return err
	}
	return c.mutable(db.KindL7Policy, id, p.ProvisioningStatus)
}

func checkNewRule(ctx context.Context, c *change, in *ruleIn) error {
	if err := checkRule(in.row()); err != nil {
		return err
	}
	rules, err := c.tx.Lists(ctx, []string{in.policyID}, db.ListRules)
	if err != nil {
		return err
	}
	if len(rules.Of(in.policyID, db.ListRules)) >= mostRules {
		return tooManyRules(in.policyID)
	}
	return c.policyMutable(ctx, in.policyID)
}

func tooManyRules(policyID string) error { return conflict("Too many rules on L7 policy " + policyID) }

// row is the rule of a body as far as the body says.
func (in *ruleIn) row() *db.L7Rule {
	return &db.L7Rule{
		L7policyID: in.policyID, Type: in.kind.value, CompareType: in.compare.value, Key: in.key.ptr(),
		Value: in.value.value, Invert: in.invert.value, Enabled: in.adminUp.absentOr(true),
		ProvisioningStatus: db.PendingCreate, OperatingStatus: db.Offline,
	}
}

func createRule(ctx context.Context, c *change, in *ruleIn) (*db.L7Rule, error) {
	r := in.row()
	r.ID, r.ProjectID = c.s.deps.NewID(), &c.projectID
	if err := db.Insert(ctx, c.tx, r); err != nil {
		return nil, err
	}
	return r, c.tx.SetTags(ctx, r.ID, in.tags.value)
}

func updateRule(ctx context.Context, c *change, r *db.L7Rule, in *ruleIn) ([]string, error) {
	var e edits
	put(&e, "type", &r.Type, in.kind)
	put(&e, "compare_type", &r.CompareType, in.compare)
	put(&e, "value", &r.Value, in.value)
	putPtr(&e, "key", &r.Key, in.key)
	put(&e, "invert", &r.Invert, in.invert)
	put(&e, "enabled", &r.Enabled, in.adminUp)
	if slices.Contains([]string{ruleHostName, rulePath, ruleFileType}, r.Type) && r.Key != nil {
		r.Key = nil
		e.columns = append(e.columns, "key")
	}
	if err := checkRule(r); err != nil {
		return nil, err
	}
	if in.tags.set {
		if err := c.tx.SetTags(ctx, r.ID, in.tags.value); err != nil {
			return nil, err
		}
	}
	return e.columns, c.policyMutable(ctx, r.L7policyID)
}

// checkRule tests a rule in itself.
func checkRule(r *db.L7Rule) error {
	text := ruleProblem(r)
	if text == "" {
		return nil
	}
	return BadRequest("Error parsing L7Rule: " + text)
}

// ruleProblem says what is wrong with a rule; "" is nothing.
func ruleProblem(r *db.L7Rule) string {
	const invalid = "Invalid L7 Rule: "
	if r.Value == "" {
		return invalid + "L7 rule type requires a value"
	}
	if r.Type == "" {
		return invalid + "invalid rule type"
	}
	if r.CompareType == "" {
		return invalid + "invalid comparison type for rule type"
	}
	switch r.Type {
	case ruleHasCert, ruleVerify:
		return prefixed(invalid, certificateRuleProblem(r))
	case ruleDN:
		return dnRuleProblem(r)
	case ruleHeader, ruleCookie:
		return keyedRuleProblem(r)
	case ruleFileType:
		if r.CompareType != compareRegex && r.CompareType != compareEquals {
			return invalid + "invalid comparison type for rule type"
		}
	}
	return valueProblem(r, headerValue, "Invalid characters in comparison value")
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

func keyedRuleProblem(r *db.L7Rule) string {
	switch {
	case deref(r.Key) == "":
		return "Invalid L7 Rule: L7 rule type requires a key"
	case !headerName.MatchString(*r.Key):
		return "Invalid characters in key"
	case r.Type == ruleHeader:
		return valueProblem(r, headerValue, "Invalid characters in header value")
	default:
		return valueProblem(r, cookieValue, "Invalid characters in cookie value")
	}
}

// valueProblem tests the value: as an expression, or its characters.
func valueProblem(r *db.L7Rule, allowed *regexp.Regexp, text string) string {
	if r.CompareType == compareRegex {
		return regexProblem(r.Value)
	}
	if !allowed.MatchString(r.Value) {
		return text
	}
	return ""
}

// beyondRE2 is what haproxy's expressions have and Go's do not: look-around, back-references,
// atomic groups and possessive quantifiers. Those are left to haproxy to judge.
var beyondRE2 = regexp.MustCompile(`\(\?(=|!|<=|<!|>|P=|\()|\\[1-9]|[*+?}]\+`)

func regexProblem(expression string) string {
	if beyondRE2.MatchString(expression) {
		return ""
	}
	if _, err := regexp.Compile(expression); err != nil {
		return "Unable to parse regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	return ""
}

func certificateRuleProblem(r *db.L7Rule) string {
	n, err := strconv.Atoi(r.Value)
	switch {
	case deref(r.Key) != "":
		return "L7rule type " + r.Type + ` does not use the "key" field.`
	case r.Type == ruleHasCert && !strings.EqualFold(r.Value, "true"):
		return "L7rule value " + r.Value + " is not a boolean True string."
	case r.Type == ruleVerify && (err != nil || n < 0 || r.Value[0] == '+'):
		return "L7rule type SSL_VERIFY_RESULT needs a int value, which is >= 0"
	case r.CompareType != compareEquals:
		return "L7rule type " + r.Type + " only supports the EQUAL_TO compare type."
	}
	return ""
}

func dnRuleProblem(r *db.L7Rule) string {
	switch {
	case deref(r.Key) == "":
		return "Invalid L7 Rule: L7rule type SSL_DN_FIELD needs to specify a key and a value."
	case !dnField.MatchString(*r.Key):
		return "Invalid L7 Rule: Invalid L7rule distinguished name field."
	case r.CompareType == compareRegex:
		return regexProblem(r.Value)
	}
	return ""
}

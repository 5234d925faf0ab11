package haproxy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ottavino/ottavino/amphora"
)

var matches = map[string]string{
	"REGEX": "-m reg", "STARTS_WITH": "-m beg", "ENDS_WITH": "-m end", "CONTAINS": "-m sub", "EQUAL_TO": "-m str",
}

// keyed are the types of rules whose key is written.
var keyed = []string{"HEADER", "COOKIE", "SSL_DN_FIELD"}

// policy writes an acl per rule and the action.
func (r *renderer) policy(l amphora.Listener, p amphora.L7Policy) error {
	if !p.Enabled {
		return nil
	}
	var condition strings.Builder
	var acls []string
	for _, rule := range p.Rules {
		if !rule.Enabled {
			continue
		}
		acl, err := expression(rule)
		if err != nil {
			return amphora.Unrenderable("l7policy", p.ID, "rule "+rule.ID+": "+err.Error())
		}
		acls = append(acls, fmt.Sprintf("        acl %s %s\n", rule.ID, acl))
		condition.WriteByte(' ')
		if rule.Invert {
			condition.WriteByte('!')
		}
		condition.WriteString(rule.ID)
	}
	if len(acls) == 0 {
		return nil
	}
	action, err := r.action(l, p)
	if err != nil {
		return amphora.Unrenderable("l7policy", p.ID, err.Error())
	}
	for _, acl := range acls {
		r.out.WriteString(acl)
	}
	if action != "" {
		r.line("%s if%s", action, condition.String())
	}
	return nil
}

func expression(rule amphora.L7Rule) (string, error) {
	value, err := pattern(rule.Value)
	if err != nil {
		return "", fmt.Errorf("value %w", err)
	}
	key := ""
	if slices.Contains(keyed, rule.Type) {
		if key, err = argument(rule.Key); err != nil {
			return "", fmt.Errorf("key %w", err)
		}
	}
	match := matches[rule.CompareType]
	switch rule.Type {
	case "HOST_NAME":
		return fmt.Sprintf("req.hdr(host) -i %s %s", match, value), nil
	case "PATH":
		return fmt.Sprintf("path %s %s", match, value), nil
	case "FILE_TYPE":
		if rule.CompareType == "EQUAL_TO" {
			return "path_end " + value, nil
		}
		return fmt.Sprintf("path_end %s %s", match, value), nil
	case "HEADER":
		return fmt.Sprintf("req.hdr(%s) %s %s", key, match, value), nil
	case "COOKIE":
		return fmt.Sprintf("req.cook(%s) %s %s", key, match, value), nil
	case "SSL_CONN_HAS_CERT":
		return "ssl_c_used", nil
	case "SSL_VERIFY_RESULT":
		if _, err := strconv.ParseUint(rule.Value, 10, 31); err != nil {
			return "", errors.New("value is not a number")
		}
		return "ssl_c_verify eq " + value, nil
	case "SSL_DN_FIELD":
		return fmt.Sprintf("ssl_c_s_dn(%s) %s %s", key, match, value), nil
	}
	return "", fmt.Errorf("type %s is not known", rule.Type)
}

// action is "" when the policy's pool is not there to be used.
func (r *renderer) action(l amphora.Listener, p amphora.L7Policy) (string, error) {
	code := ""
	if p.RedirectHTTPCode != 0 {
		code = fmt.Sprintf(" code %d", p.RedirectHTTPCode)
	}
	switch p.Action {
	case "REJECT":
		return "http-request deny", nil
	case "REDIRECT_TO_URL":
		url, err := logFormatWord(p.RedirectURL)
		if err != nil || url == "" {
			return "", fmt.Errorf("redirect_url cannot be used")
		}
		return fmt.Sprintf("redirect%s location %s", code, url), nil
	case "REDIRECT_PREFIX":
		prefix, err := logFormatWord(p.RedirectPrefix)
		if err != nil || prefix == "" {
			return "", fmt.Errorf("redirect_prefix cannot be used")
		}
		return fmt.Sprintf("redirect%s prefix %s", code, prefix), nil
	case "REDIRECT_TO_POOL":
		if pool, ok := r.pools[p.RedirectPoolID]; ok && pool.Enabled {
			return fmt.Sprintf("use_backend %s:%s", pool.ID, l.ID), nil
		}
		return "", nil
	}
	return "", fmt.Errorf("action %s is not known", p.Action)
}

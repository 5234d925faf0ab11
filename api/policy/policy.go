// Package policy decides who may call what, with oslo.policy's rule language, Octavia's rule
// names and defaults, and the operator's policy.yaml.
package policy

// Credentials are the facts about a caller that rules can test.
type Credentials struct {
	UserID, ProjectID, SystemScope string
	Roles                          []string
	IsAdmin                        bool
}

// Target are the facts about the object, for %(name)s in rules: project_id at least.
type Target map[string]string

// Enforcer holds the rules in force. It is safe for concurrent use.
type Enforcer struct{}

// Options say where rules come from.
type Options struct {
	// File is [oslo_policy] policy_file; "" or an absent file means the defaults only. It is
	// read again when it changes.
	File string
	// OldDefaults is not [oslo_policy] enforce_new_defaults: the load-balancer_* roles count too.
	OldDefaults bool
}

// Load reads the rules. A rule in the file that cannot be parsed is an error.
func Load(o Options) (*Enforcer, error) { panic("todo") }

// Defaults are the rules without any file.
func Defaults() *Enforcer { panic("todo") }

// Authorize says whether the rule (os_load-balancer_api:listener:post) passes; a rule that
// does not exist never does.
func (e *Enforcer) Authorize(rule string, c Credentials, t Target) bool { panic("todo") }

// Package policy decides who may call what, with oslo.policy's rule language, Octavia's rule
// names and defaults, and the operator's policy files.
package policy

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// lookAgain is how old the rules may be: files are looked at once in this time, however many
// questions there are.
const lookAgain = time.Second

// Target are the facts about the object, for %(name)s in rules: project_id at least. A rule
// sees an empty value as None.
type Target map[string]string

// Options say where rules come from.
type Options struct {
	// File is [oslo_policy] policy_file; "" or an absent file means the defaults only.
	File string
	// Dirs are [oslo_policy] policy_dirs: all their files, by name, win over File.
	Dirs []string
	// Path are the directories that relative names are looked for in; none is where the
	// process runs.
	Path []string
	// DefaultRule is [oslo_policy] policy_default_rule, which stands in for rules that other
	// rules name and that are not there; "" is "default".
	DefaultRule string
	// OldDefaults is not [oslo_policy] enforce_new_defaults: the load-balancer_* roles count too.
	OldDefaults bool
	// AnyScope is not [oslo_policy] enforce_scope.
	AnyScope bool

	Log *slog.Logger     // nil discards
	Now func() time.Time // nil is time.Now
}

// Enforcer holds the rules in force: the defaults, and over them the files, which are read
// again within a second of a change. It is safe for concurrent use.
type Enforcer struct {
	opts    Options
	base    *ruleset // the defaults
	started time.Time

	rules atomic.Pointer[ruleset]
	next  atomic.Int64 // when to look at the files again, in nanoseconds since started

	mu    sync.Mutex // guards the fields below
	seen  []source   // what the files held at the last look
	fault string     // what the last look could not read
}

// Load reads the rules. A file that cannot be read, and a rule that cannot be understood or
// refers to itself, is an error that names file and rule.
func Load(o Options) (*Enforcer, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.DefaultRule = cmp.Or(o.DefaultRule, "default")
	base, err := newRuleset(nil, defaults(o.OldDefaults), o.DefaultRule)
	if err != nil {
		return nil, fmt.Errorf("policy: defaults: %w", err)
	}
	e := &Enforcer{opts: o, base: base, started: o.Now()}
	e.next.Store(int64(lookAgain))
	e.rules.Store(base)
	if err := e.look(); err != nil {
		return nil, err
	}
	return e, nil
}

// Defaults are the rules without any file.
func Defaults() *Enforcer {
	e, err := Load(Options{})
	if err != nil {
		panic(err) // the defaults are constants
	}
	return e
}

// Authorize says whether the rule (os_load-balancer_api:listener:post) passes. A rule that
// does not exist is DefaultRule, which does not exist unless a file has it.
func (e *Enforcer) Authorize(rule string, c Credentials, t Target) bool {
	return e.outOfScope(rule, &c, c.DomainID) == "" && e.passes(rule, &c, t)
}

// IsAdmin says whether the caller is what rules call is_admin:True, by the rule
// context_is_admin. The caller's own facts are the target.
func (e *Enforcer) IsAdmin(c Credentials) bool {
	// As in Octavia, it is not seen here that a token is of a domain.
	return e.outOfScope(adminRule, &c, "") == "" && e.passes(adminRule, &c, c.target())
}

func (e *Enforcer) passes(rule string, c *Credentials, t Target) bool {
	ev := &evaluation{rules: e.current(), creds: c, target: t}
	return ruleRef(rule).passes(ev)
}

// outOfScope names the scope of a token that is not one of those a rule is for. Only rules
// that are asked themselves are looked at, not those they refer to.
func (e *Enforcer) outOfScope(rule string, c *Credentials, domain string) string {
	switch {
	case e.opts.AnyScope || e.base.rules[rule] == nil || strings.HasPrefix(rule, CallPrefix):
		return "" // calls are for tokens of all scopes
	case c.SystemScope != "":
		return "system"
	case domain != "":
		return "domain"
	}
	return ""
}

// Rules are the rules in force by name.
func (e *Enforcer) Rules() []Rule {
	var out []Rule
	for _, r := range e.current().sorted() {
		out = append(out, *r)
	}
	return out
}

// Calls are the names of the rules that calls ask for.
func (e *Enforcer) Calls() []string {
	var out []string
	for _, r := range e.base.sorted() {
		if strings.HasPrefix(r.Name, CallPrefix) {
			out = append(out, r.Name)
		}
	}
	return out
}

// Warnings name rules in force that are probably not what was meant: they refer to a rule
// that is not there, or nothing asks for them.
func (e *Enforcer) Warnings() []string { return slices.Clone(e.current().warnings) }

// current returns the rules in force, after a look at the files when it is time for one.
func (e *Enforcer) current() *ruleset {
	now := int64(e.opts.Now().Sub(e.started)) // so that it does not matter when clocks are set
	if next := e.next.Load(); now >= next && e.next.CompareAndSwap(next, now+int64(lookAgain)) {
		if err := e.look(); err != nil {
			//nolint:sloglint // asked from everywhere, and of no request
			e.opts.Log.Error("policy files not usable, earlier rules stay", "error", err)
		}
	}
	return e.rules.Load()
}

// look reads the files and takes their rules if they are others than last time. What is
// wrong is reported once.
func (e *Enforcer) look() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	files, err := e.opts.sources()
	if err != nil {
		if err.Error() == e.fault {
			return nil
		}
		e.fault = err.Error()
		return fmt.Errorf("policy: %w", err)
	}
	e.fault = ""
	if slices.EqualFunc(files, e.seen, source.equal) {
		return nil
	}
	e.seen = files
	rules, err := e.compile(files)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	e.rules.Store(rules)
	for _, w := range rules.warnings {
		//nolint:sloglint // asked from everywhere, and of no request
		e.opts.Log.Warn("policy", "warning", w)
	}
	return nil
}

func (e *Enforcer) compile(files []source) (*ruleset, error) {
	var rules []Rule
	var errs []error
	for _, f := range files {
		more, err := f.rules()
		rules, errs = append(rules, more...), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return newRuleset(e.base.rules, rules, e.opts.DefaultRule)
}
